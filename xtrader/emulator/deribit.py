"""Emulated Deribit v2: JSON-RPC over websocket and HTTP GET, credentials, heartbeats, raw and 100 ms channels.

Its one rule: one `.raw` channel in a call of an unauthenticated connection refuses the whole call; unknown ones are left out.
Both intervals are served at the market's own batch interval, with the same chain of change ids.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from random import Random
from secrets import token_hex
from types import MappingProxyType
from typing import Any

import msgspec

from xtrader.emulator.agents import Batch, Fill
from xtrader.emulator.client import Client
from xtrader.emulator.deribit_rest import DeribitBoard, Failed, Methods, fair_price, listings, state
from xtrader.emulator.faults import Message
from xtrader.emulator.listed_instruments import ListedInstrument
from xtrader.emulator.truth import BookEvent, TradeEvent
from xtrader.emulator.venue import Credits, HttpAnswer, Stage, Venue

EXCHANGES = ("DERIBIT",)
CLIENT_ID = "emulated-client"
CLIENT_SECRET = "emulated-secret-of-the-emulated-client"  # noqa: S105 - opens nothing
"""The only credentials that the emulated venue knows."""
INTERVALS = ("raw", "100ms")
STATES = "instrument.state.any.any"
"""The channel of all instruments' states."""
LONGEST = 32 * 1024
SOCKET = "/ws/api/v2"
HTTP = "/api/v2/"


def venue(exchange: str, instruments: int, stage: Stage) -> Deribit:
    """The emulated venue, listing `instruments` instruments."""
    return Deribit(exchange, listings(instruments), stage)


class _DeribitConnection:
    """One connection: until when it is authenticated, its channels, its heartbeat, its credits."""

    def __init__(self, now: float) -> None:
        self.trusted_until = 0.0
        self.channels: set[str] = set()
        self.heartbeat = 0.0
        self.beat_at = 0.0
        self.tested = False
        self.requests = Credits(50_000, 10_000, now)
        self.subscribes = Credits(30_000, 10_000, now)


class Deribit(Venue[DeribitBoard]):
    """Deribit, with its one set of credentials."""

    cannot = frozenset({"slow_snapshot", "stale_snapshot", "refused_snapshot", "notice"})
    """Its books start on the socket, and it announces nothing."""
    sockets = 32
    times = MappingProxyType({"deribit_second": 1.0, "deribit_token": 900.0})
    """How long a second of `set_heartbeat` takes; life of an access token."""
    parameter = "instrument_name"
    snapshots = frozenset({"get_order_book"})

    def __init__(self, exchange: str, listings: Sequence[ListedInstrument], stage: Stage) -> None:
        super().__init__(exchange, [DeribitBoard(exchange, listing, stage) for listing in listings], stage)
        self._methods = Methods(self.boards, stage)
        self._sessions: dict[Client, _DeribitConnection] = {}
        self._subscribers: dict[str, set[Client]] = {}
        self._ids = Random(f"{stage.seed}/{exchange}/ids")
        self._trade_ids: dict[str, int] = {}
        self._tokens: dict[str, float] = {}
        """Refresh tokens, and until when they are good (event loop time)."""
        for board in self.boards.values():
            board.sequence = self._ids.randrange(10**11, 2 * 10**11)
            self._remember(board)

    def accepts(self, path: str) -> bool:
        return path == SOCKET

    def opened(self, client: Client) -> None:
        self._sessions[client] = _DeribitConnection(asyncio.get_running_loop().time())

    def closed(self, client: Client) -> None:
        for channel in self._sessions.pop(client).channels:
            self._subscribers[channel].discard(client)

    def received(self, client: Client, message: str) -> None:
        started = self.stage.us()
        number: object = None
        try:
            number, method, params = _request(message)
            self.counts[method] += 1
            result = self._call(client, self._sessions[client], method, params)
        except Failed as failed:
            client.send(self._response(number, failed, started))
            if failed.code == 10028:
                client.close(1000, "too_many_requests")
            return
        client.send(self._response(number, result, started))
        if method == "public/subscribe":
            self._snapshots(client, result)

    def answer(self, path: str, query: Mapping[str, str]) -> HttpAnswer:
        started = self.stage.us()
        method = self._methods.table.get(path.removeprefix(HTTP)) if path.startswith(HTTP) else None
        if method is None:
            return HttpAnswer(self._response(None, Failed(-32601, "Method not found"), started), 404)
        try:
            return HttpAnswer(self._response(None, method(query), started))
        except Failed as failed:
            return HttpAnswer(self._response(None, failed, started), 400)

    def idle(self, now: float) -> None:
        for client, session in self._sessions.items():
            if session.heartbeat and now >= session.beat_at and client.state == "open":
                self._beat(client, session, now)

    def publish(self, board: DeribitBoard, batch: Batch) -> None:
        if batch.fills:
            self._publish_trades(board, batch.fills)
        shown_bids, shown_asks = board.shown
        bids, asks = _actions(shown_bids, batch.bids), _actions(shown_asks, batch.asks)
        if not bids and not asks:
            return
        previous = board.sequence
        board.sequence += self._ids.randrange(1, 500)
        ts = self.stage.ms()
        if self.stage.truth is not None:
            texts = [board.texts((price, lots) for _, price, lots in side) for side in (bids, asks)]
            self.stage.truth.add(BookEvent(self.exchange, board.symbol, board.sequence, previous, ts, *texts))
        data = (
            f'{{"timestamp":{ts},"type":"change","change_id":{board.sequence},"instrument_name":"{board.symbol}",'
            f'"bids":[{_levels(board, bids)}],"asks":[{_levels(board, asks)}],"prev_change_id":{previous}}}'
        )
        for interval in INTERVALS:
            self._push(Message("L2", board.symbol, previous, board.sequence), f"book.{board.symbol}.{interval}", data)

    def _publish_trades(self, board: DeribitBoard, fills: Sequence[Fill]) -> None:
        """Raw: a message per taker order; 100ms: one for all of the batch."""
        rows: list[str] = []
        every: list[str] = []
        for _, group in groupby(fills, key=lambda fill: fill.order):
            own = [self._trade(board, fill) for fill in group]
            ids = [name for name, _ in own]
            self._push(Message("TRADES", board.symbol, ids=ids), f"trades.{board.symbol}.raw", f"[{','.join(t for _, t in own)}]")
            every += ids
            rows += [text for _, text in own]
        self._push(Message("TRADES", board.symbol, ids=every), f"trades.{board.symbol}.100ms", f"[{','.join(rows)}]")

    def _trade(self, board: DeribitBoard, fill: Fill) -> tuple[str, str]:
        """trade_id and JSON of one match."""
        listing = board.listing
        ts = self.stage.ms() - fill.age
        currency = listing.settle
        number = self._trade_ids[currency] = self._trade_ids.get(currency, 440_000_000) + 1
        name = str(number) if currency == "BTC" else f"{currency}-{number}"
        if fill.price != board.traded:
            board.direction = 0 if fill.price > board.traded else 2
        else:
            board.direction |= 1
        board.traded = fill.price
        side = "buy" if fill.is_buy else "sell"
        price, size, fair = board.prices[fill.price], board.sizes[fill.lots], fair_price(board)
        volatility = '"iv":56.25,' if listing.kind == "option" else ""
        text = (
            f'{{"timestamp":{ts},"price":{price},{volatility}"direction":"{side}","index_price":{fair},"trade_id":"{name}",'
            f'"instrument_name":"{board.symbol}","trade_seq":{fill.number},"amount":{size},"mark_price":{fair},'
            f'"tick_direction":{board.direction},"starbase_match_id":"{213_378_943_000_000_000 + number}",'
            f'"contracts":{board.contracts[fill.lots]},"starbase_timestamp":{ts * 1_000_000 + 208_300}}}'
        )
        board.trades.append((fill.number, text))
        if self.stage.truth is not None:
            self.stage.truth.add(TradeEvent(self.exchange, board.symbol, name, side, price, size, ts))
        return name, text

    def relisted(self, board: DeribitBoard) -> None:
        words = state(board) if board.symbol in self.boards else "archivized"
        data = f'{{"timestamp":{self.stage.ms()},"state":"{words}","instrument_name":"{board.symbol}"}}'
        for client in self._subscribers.get(STATES, ()):
            client.send(_notification(STATES, data))

    def restart_numbering(self, board: DeribitBoard) -> None:
        board.sequence = self._ids.randrange(10**6, 10**9)

    def _push(self, message: Message, channel: str, data: str) -> None:
        clients = self._subscribers.get(channel)
        if clients:
            self.deliver(message, [(clients, _notification(channel, data))])

    def _remember(self, board: DeribitBoard) -> None:
        book = board.market.book
        board.shown = (dict(book.bids.totals), dict(book.asks.totals))

    def _snapshots(self, client: Client, channels: Sequence[str]) -> None:
        for channel in channels:
            if channel == STATES:
                continue
            kind, name, _ = channel.split(".")
            if kind == "book" and client in self._subscribers.get(channel, ()):
                board = self.boards[name]
                bids, asks = self.levels(board, self.window)
                sides = [_levels(board, [("new", price, lots) for price, lots in side]) for side in (bids, asks)]
                data = (
                    f'{{"timestamp":{self.stage.ms()},"type":"snapshot","change_id":{board.sequence},'
                    f'"instrument_name":"{name}","bids":[{sides[0]}],"asks":[{sides[1]}]}}'
                )
                client.send(_notification(channel, data))

    def _call(self, client: Client, session: _DeribitConnection, method: str, params: Mapping[str, Any]) -> Any:
        now = asyncio.get_running_loop().time()
        is_subscribe = method == "public/subscribe"
        if not (session.subscribes.take(3_000, now) if is_subscribe else session.requests.take(500, now)):
            raise Failed(10028, "too_many_requests")
        if method == "public/test":
            session.tested = False
        if is_subscribe:
            return self._subscribe(client, session, _names(params), now)
        if method == "public/unsubscribe":
            return self._unsubscribe(client, session, _names(params))
        if method == "public/unsubscribe_all":
            self._unsubscribe(client, session, sorted(session.channels))
            return "ok"
        if method == "public/auth":
            return self._authenticate(session, params, now)
        if method == "public/set_heartbeat":
            interval = params.get("interval")
            if not isinstance(interval, int | float) or interval < 10:
                raise Failed(-32602, "Invalid params", param="interval", reason="must be at least 10")
            session.heartbeat = interval * self.seconds("deribit_second")
            session.beat_at = now + session.heartbeat
            session.tested = False
            return "ok"
        if method == "public/disable_heartbeat":
            session.heartbeat = 0.0
            return "ok"
        if method not in self._methods.table:
            raise Failed(-32601, "Method not found")
        return self._methods.table[method](params)

    def _subscribe(self, client: Client, session: _DeribitConnection, channels: Sequence[str], now: float) -> list[str]:
        if now >= session.trusted_until and any(channel.endswith(".raw") for channel in channels):
            raise Failed(13778, "raw_subscriptions_not_available_for_unauthorized")
        known = []
        for channel in dict.fromkeys(channels):
            kind, _, rest = channel.partition(".")
            name, _, interval = rest.rpartition(".")
            if channel == STATES:
                known.append(channel)
                self._subscribers.setdefault(channel, set()).add(client)
                session.channels.add(channel)
            if kind in ("book", "trades") and name in self.boards and interval in INTERVALS:
                known.append(channel)
                if not self.strikes.mutes("L2" if kind == "book" else "TRADES", name):
                    self._subscribers.setdefault(channel, set()).add(client)
                    session.channels.add(channel)
                    if kind == "trades":
                        self.strikes.catch_up(client, name)
        return known

    def _unsubscribe(self, client: Client, session: _DeribitConnection, channels: Sequence[str]) -> list[str]:
        known = [channel for channel in channels if channel in session.channels]
        for channel in known:
            session.channels.discard(channel)
            self._subscribers[channel].discard(client)
        return known

    def _authenticate(self, session: _DeribitConnection, params: Mapping[str, Any], now: float) -> dict[str, Any]:
        grant = params.get("grant_type")
        self.counts[f"public/auth {grant}"] += 1
        if grant == "client_credentials":
            right = (params.get("client_id"), params.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        elif grant == "client_signature":
            right = self._signature_is_right(params)
        elif grant == "refresh_token":
            if self._tokens.pop(str(params.get("refresh_token")), 0.0) < now:
                raise Failed(13009, "invalid_token")
            right = True
        else:
            raise Failed(-32602, "Invalid params", param="grant_type", reason="wrong format")
        if not right:
            raise Failed(13004, "invalid_credentials")
        life = self.seconds("deribit_token")
        session.trusted_until = now + life
        number = token_hex(8)
        self._tokens = {token: until for token, until in self._tokens.items() if until >= now}
        self._tokens[f"refresh.{number}"] = now + 2 * life
        return {
            "token_type": "bearer",
            "scope": "connection mainaccount",
            "refresh_token": f"refresh.{number}",
            "expires_in": round(life) or 1,
            "access_token": f"access.{number}",
        }

    def _signature_is_right(self, params: Mapping[str, Any]) -> bool:
        """hex(HMAC-SHA256(secret, timestamp \\n nonce \\n data)), the timestamp no older or newer than a minute."""
        stamp, nonce, data = params.get("timestamp"), params.get("nonce", ""), params.get("data", "")
        if params.get("client_id") != CLIENT_ID or not str(stamp).isdecimal():
            return False
        if abs(self.stage.ms() - self.stage.wrong - int(str(stamp))) > 60_000:
            return False
        signed = hmac.new(CLIENT_SECRET.encode(), f"{stamp}\n{nonce}\n{data}".encode(), sha256).hexdigest()
        return hmac.compare_digest(signed, str(params.get("signature")))

    def _beat(self, client: Client, session: _DeribitConnection, now: float) -> None:
        """A client that said nothing since the last beat is tested; one that left a test unanswered is closed."""
        if session.tested:
            client.close(1000, "heartbeat test was not answered")
            session.heartbeat = 0.0
            return
        session.tested = client.last_received < session.beat_at - session.heartbeat
        kind = "test_request" if session.tested else "heartbeat"
        client.send(f'{{"jsonrpc":"2.0","method":"heartbeat","params":{{"type":"{kind}"}}}}')
        session.beat_at = now + session.heartbeat

    def _response(self, number: object, result: object, started: int) -> bytes:
        ended = self.stage.us()
        head: dict[str, Any] = {"jsonrpc": "2.0"} if number is None else {"jsonrpc": "2.0", "id": number}
        if isinstance(result, Failed):
            error: dict[str, Any] = {"message": result.message, "code": result.code}
            head["error"] = {**error, "data": result.data} if result.data else error
        else:
            head["result"] = result
        return msgspec.json.encode({**head, "usIn": started, "usOut": ended, "usDiff": ended - started, "testnet": True})


def _request(message: str) -> tuple[int | str, str, Mapping[str, Any]]:
    """id, method and params of a request; raises Failed."""
    if len(message) > LONGEST:
        raise Failed(-32600, "request entity too large")
    try:
        request = msgspec.json.decode(message)
    except msgspec.DecodeError:
        raise Failed(-32700, "Parse error") from None
    number = request.get("id") if isinstance(request, dict) else None
    if not isinstance(number, int | str) or not isinstance(request.get("method"), str):
        raise Failed(-32600, "Invalid Request")
    params = request.get("params") or {}
    if not isinstance(params, dict):
        raise Failed(-32602, "Invalid params", reason="params must be an object")
    return number, request["method"], params


def _names(params: Mapping[str, Any]) -> list[str]:
    channels = params.get("channels")
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        raise Failed(-32602, "Invalid params", param="channels", reason="must be an array of strings")
    return channels


def _actions(shown: dict[int, int], levels: Sequence[tuple[int, int]]) -> list[tuple[str, int, int]]:
    """(action, price, lots) that turn what is shown into `levels`; levels that came and went are not mentioned."""
    actions = []
    for price, lots in levels:
        before = shown.get(price, 0)
        if lots == before:
            continue
        if not lots:
            actions.append(("delete", price, 0))
            del shown[price]
        else:
            actions.append(("change" if before else "new", price, lots))
            shown[price] = lots
    return actions


def _levels(board: DeribitBoard, actions: Sequence[tuple[str, int, int]]) -> str:
    prices, sizes = board.prices, board.sizes
    return ",".join([f'["{action}",{prices[price]},{sizes[lots]}]' for action, price, lots in actions])


def _notification(channel: str, data: str) -> str:
    return f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}'
