"""Emulated Binance: spot, USD-M and COIN-M market data streams; its REST half is in binance_rest.py.

Its one rule: as unhelpful as the real one. A stream that does not exist, or not on this route, is acknowledged and stays silent.
Every depth stream (`@depth`, `@depth@100ms`, `@depth@500ms`, `@depth@0ms`) has the market's own batch interval.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from xtrader.emulator.agents import Batch, Fill, prints
from xtrader.emulator.binance_rest import BinanceBoard, BinanceRest, contract_status, delivery
from xtrader.emulator.client import Client
from xtrader.emulator.faults import Message
from xtrader.emulator.listed_instruments import Coin, ListedInstrument, Scale, coins
from xtrader.emulator.truth import BookEvent, TradeEvent
from xtrader.emulator.venue import Allowance, HttpAnswer, Stage, Venue

EXCHANGES = ("BINANCE_SPOT", "BINANCE_FUTURES", "BINANCE_COINM")
MOST_STREAMS = 1024
CONTRACTS = "!contractInfo"
"""The stream of contracts that are listed, delivered or changed."""
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
VOIDS = 0.012
"""Share of the ids of a futures `@trade` stream that no print has."""
DEPTHS = ("depth@100ms", "depth", "depth@500ms", "depth@0ms")


def venue(exchange: str, instruments: int, stage: Stage) -> Binance:
    """The emulated venue of one exchange token, listing `instruments` instruments."""
    return Binance(exchange, [_listing(exchange, coin) for coin in coins(instruments)], stage)


def _listing(exchange: str, coin: Coin) -> ListedInstrument:
    if exchange == "BINANCE_SPOT":
        tick, lot = Scale(1, coin.decimals, 8), Scale(1, coin.size_decimals, 8)
        return ListedInstrument(f"{coin.name}USDT", "spot", coin.name, "USDT", "USDT", tick, lot, coin.price, 400)
    tick = Scale(1, coin.decimals, coin.decimals + 1)
    if exchange == "BINANCE_FUTURES":
        lot = Scale(1, coin.size_decimals, coin.size_decimals)
        return ListedInstrument(f"{coin.name}USDT", "perpetual", coin.name, "USDT", "USDT", tick, lot, coin.price, 400, "1")
    contract = "100" if coin.name == "BTC" else "10"
    symbol = f"{coin.name}USD_PERP"
    return ListedInstrument(symbol, "perpetual", coin.name, "USD", coin.name, tick, Scale(1, 0), coin.price, 40, contract, True)


class _BinanceConnection:
    """One client's conversation: where it connected, what it asked for, how often it spoke."""

    def __init__(self, route: str, combined: bool, per_second: int) -> None:
        self.route = route
        self.combined = combined
        self.streams: dict[str, None] = {}
        self.allowance = Allowance(per_second, 1.0)
        self.end: asyncio.TimerHandle | None = None
        self.held: dict[str, _Held] = {}
        """By symbol, if the venue cuts unevenly."""


class _Held:
    """Depth changes that one client is yet to be sent, in one event with those that follow."""

    def __init__(self, first: int, previous: int) -> None:
        self.first, self.previous = first, previous
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}


class Binance(Venue[BinanceBoard]):
    """One of the three Binance markets."""

    connects = (300, 300.0)
    times = MappingProxyType(
        {"lifetime": 86_400.0, "spot_ping": 20.0, "spot_pong": 60.0, "futures_ping": 180.0, "futures_pong": 600.0}
    )
    """Life of a connection; how often the venue pings, and closes when no pong came for how long."""
    snapshots = frozenset({"depth"})

    def __init__(self, exchange: str, listings: Sequence[ListedInstrument], stage: Stage) -> None:
        super().__init__(exchange, [BinanceBoard(exchange, listing, stage) for listing in listings], stage)
        self.uneven = False
        """Cut the same changes into other depth events for each client, as USD-M does."""
        self._cuts = Random(f"{stage.seed}/{exchange}/cuts")
        self._spot = exchange == "BINANCE_SPOT"
        self._routed = exchange == "BINANCE_FUTURES"
        pace = "spot" if self._spot else "futures"
        self.ping = (self.seconds(f"{pace}_ping"), self.seconds(f"{pace}_pong"))
        if self._spot:
            self.cannot = frozenset({"expiry_change"})
        self._rest = BinanceRest(exchange, self.boards, stage)
        self._sessions: dict[Client, _BinanceConnection] = {}
        self._plain: dict[str, set[Client]] = {}
        self._wrapped: dict[str, set[Client]] = {}
        self._ids = Random(f"{stage.seed}/{exchange}/ids")
        self._routes: dict[str, str] = {}
        self._symbols = {board.stream: board.symbol for board in self.boards.values()}
        for board in self.boards.values():
            board.sequence = self._ids.randrange(10**10, 10**11) if self._spot else self._ids.randrange(10**12, 10**13)
            self._number(board)
            self._routes[f"{board.stream}@aggTrade"] = "market"
            self._routes.update({f"{board.stream}@{name}": "public" for name in (*DEPTHS, "trade")})
        if not self._spot:
            self._routes[CONTRACTS] = "market"

    def accepts(self, path: str) -> bool:
        return self._place(path) is not None

    def opened(self, client: Client) -> None:
        url = urlsplit(client.path)
        place = self._place(url.path)
        assert place is not None
        route, combined, streams = place
        session = self._sessions[client] = _BinanceConnection(route, combined, 5 if self._spot else 10)
        if combined:
            streams = [name for joined in parse_qs(url.query).get("streams", []) for name in joined.split("/")]
        loop = asyncio.get_running_loop()
        session.end = loop.call_later(self.seconds("lifetime"), client.close, 1001, "connection lifetime is over")
        client.socket.watch = lambda: self._heard(client, loop.time())
        self._subscribe(client, session, streams)

    def closed(self, client: Client) -> None:
        client.socket.watch = None
        session = self._sessions.pop(client)
        if session.end is not None:
            session.end.cancel()
        for name in session.streams:
            self._unlist(client, name)

    def received(self, client: Client, message: str) -> None:
        client.send(msgspec.json.encode(self._reply(client, self._sessions[client], message)))

    def answer(self, path: str, query: Mapping[str, str]) -> HttpAnswer:
        return self._rest.answer(path, query)

    def idle(self, now: float) -> None:
        """Nothing is due: pings and the end of a connection have their own timers."""

    def publish(self, board: BinanceBoard, batch: Batch) -> None:
        ts = self.stage.ms()
        self._publish_trades(board, batch, ts)
        first, last, previous = board.first_id, board.id_after(batch.touches), board.sequence
        bids, asks = sorted(batch.bids, reverse=True), sorted(batch.asks)
        board.sequence = last
        self._number(board)
        truth = self.stage.truth
        if truth is not None:
            event = BookEvent(self.exchange, board.symbol, last, previous, ts, board.texts(bids), board.texts(asks))
            truth.add(event)
        names = [name for name in board.depth_streams if name in self._wrapped or name in self._plain]
        if not names:
            return
        if self.uneven:
            for client in [one for name in names for group in (self._plain, self._wrapped) for one in group.get(name, ())]:
                self._hold(client, board, (first, last, previous), (bids, asks))
            return
        data = self._depth(board, ts, (first, last, previous), (bids, asks))
        message = Message("L2", board.symbol, previous, last)
        for name in names:
            self._send(message, name, data)

    def _depth(self, board: BinanceBoard, ts: int, ids: tuple[int, int, int], sides: Sequence[list[tuple[int, int]]]) -> str:
        first, last, previous = ids
        levels = f'"b":[{board.pairs(sides[0])}],"a":[{board.pairs(sides[1])}]'
        if self._spot:
            return f'{{"e":"depthUpdate","E":{ts},"s":"{board.symbol}","U":{first},"u":{last},{levels}}}'
        return (
            f'{{"e":"depthUpdate","E":{ts},"T":{ts - 1},"s":"{board.symbol}","ps":"{board.pair}",'
            f'"U":{first},"u":{last},"pu":{previous},{levels},"st":{board.contract_type}}}'
        )

    def _hold(self, client: Client, board: BinanceBoard, ids: tuple[int, int, int], sides: Sequence[list[tuple[int, int]]]) -> None:
        """Add changes to what a client is to be sent, and send it sooner or later."""
        session = self._sessions[client]
        held = session.held.setdefault(board.symbol, _Held(ids[0], ids[2]))
        held.bids.update(sides[0])
        held.asks.update(sides[1])
        if self._cuts.random() < 0.5:
            return
        del session.held[board.symbol]
        levels = sorted(held.bids.items(), reverse=True), sorted(held.asks.items())
        data = self._depth(board, self.stage.ms(), (held.first, ids[1], held.previous), levels)
        for name in board.depth_streams:
            if client in self._plain.get(name, ()):
                client.send(data)
            if client in self._wrapped.get(name, ()):
                client.send(f'{{"stream":"{name}","data":{data}}}')

    def _publish_trades(self, board: BinanceBoard, batch: Batch, ts: int) -> None:
        truth = self.stage.truth
        symbol = board.symbol
        fills, aggregates = f"{board.stream}@trade", f"{board.stream}@aggTrade"
        fills_wanted = fills in self._wrapped or fills in self._plain
        aggregates_wanted = aggregates in self._wrapped or aggregates in self._plain
        shown: list[Fill] = []
        for fill in batch.fills:
            at = ts - fill.age
            if not self._spot:
                if self._ids.random() < VOIDS:
                    board.voids += 1
                    self._publish_void(board, fills, fill.number + board.voids - 1, ts, at)
                fill = fill._replace(number=fill.number + board.voids)
            shown.append(fill)
            board.fills.append((fill, at))
            price, size, maker = board.prices[fill.price], board.sizes[fill.lots], "false" if fill.is_buy else "true"
            if truth is not None and self._spot:
                side = "buy" if fill.is_buy else "sell"
                truth.add(TradeEvent(self.exchange, symbol, str(fill.number), side, price, size, at))
            if fills_wanted and self._spot:
                head = f'{{"e":"trade","E":{ts},"s":"{symbol}","t":{fill.number},'
                data = f'{head}"p":"{price}","q":"{size}","T":{at},"m":{maker},"M":true}}'
                self._send(Message("TRADES", symbol, ids=(str(fill.number),)), fills, data)
            elif fills_wanted:
                head = f'{{"e":"trade","E":{ts},"T":{at},"s":"{symbol}","t":{fill.number},'
                data = f'{head}"p":"{price}","q":"{size}","X":"MARKET","m":{maker}}}'
                self._send(Message("TRADES", symbol, ids=(str(fill.number),)), fills, data)
        for row in prints(shown):
            at = ts - row.age
            number = board.aggregate = board.aggregate + 1
            board.aggregates.append((number, row, at))
            price, size, maker = board.prices[row.price], board.sizes[row.lots], "false" if row.is_buy else "true"
            if truth is not None and not self._spot:
                side = "buy" if row.is_buy else "sell"
                truth.add(TradeEvent(self.exchange, symbol, str(number), side, price, size, at))
            if aggregates_wanted:
                head = f'{{"e":"aggTrade","E":{ts},"s":"{symbol}","a":{number},"p":"{price}","q":"{size}",'
                tail = f'"f":{row.first},"l":{row.last},"T":{at},"m":{maker},'
                tail = f'{tail}"M":true}}' if self._spot else f'"nq":"{size}",{tail}"st":{board.contract_type}}}'
                self._send(Message("TRADES", symbol, ids=(str(number),)), aggregates, head + tail)

    def _publish_void(self, board: BinanceBoard, stream: str, number: int, ts: int, at: int) -> None:
        """An id that no print of the market has; `@aggTrade` shows it only by leaving it out between two of its own."""
        head = f'{{"e":"trade","E":{ts},"T":{at},"s":"{board.symbol}","t":{number},'
        self._send(Message("TRADES", board.symbol, ids=(str(number),)), stream, f'{head}"p":"0","q":"0","X":"NA","m":false}}')

    def _number(self, board: BinanceBoard) -> None:
        """Fix the update ids of the coming event: contiguous on spot; on futures one numbering runs through all symbols."""
        if self._spot:
            board.first_id, board.id_step = board.sequence + 1, 1
        else:
            board.first_id, board.id_step = board.sequence + self._ids.randrange(1, 400), self._ids.randrange(1, 40)

    def restart_numbering(self, board: BinanceBoard) -> None:
        board.sequence = self._ids.randrange(10**6, 10**9)
        self._number(board)

    def relisted(self, board: BinanceBoard) -> None:
        if self._spot:
            return
        head = f'{{"e":"contractInfo","E":{self.stage.ms()},"s":"{board.symbol}","ps":"{board.pair}","ct":"PERPETUAL",'
        data = f'{head}"dt":{delivery(board)},"ot":1569398400000,"cs":"{contract_status(board)}"}}'
        for client in self._plain.get(CONTRACTS, ()):
            client.send(data)
        for client in self._wrapped.get(CONTRACTS, ()):
            client.send(f'{{"stream":"{CONTRACTS}","data":{data}}}')

    def notice(self, client: Client) -> str:
        event = f'{{"e":"serverShutdown","E":{self.stage.ms()}}}'
        return f'{{"stream":"!serverShutdown","data":{event}}}' if self._sessions[client].combined else event

    def _send(self, message: Message, stream: str, data: str) -> None:
        groups = []
        plain, wrapped = self._plain.get(stream), self._wrapped.get(stream)
        if plain:
            groups.append((plain, data))
        if wrapped:
            groups.append((wrapped, f'{{"stream":"{stream}","data":{data}}}'))
        self.deliver(message, groups)

    def _place(self, path: str) -> tuple[str, bool, list[str]] | None:
        """Route, combined or not, and the streams in the path; None if there is nothing. Unrouted USD-M URLs are `public`."""
        parts = path.strip("/").split("/")
        route = "public" if self._routed else "all"
        if self._routed and parts[0] in ("public", "market", "private"):
            route = parts.pop(0)
        if parts == ["stream"]:
            return route, True, []
        if parts[:1] == ["ws"]:
            return route, False, parts[1:]
        return None

    def _heard(self, client: Client, now: float) -> None:
        if not self._sessions[client].allowance.take(now):
            self.counts["too many messages"] += 1
            client.close(1008, "Too many requests")

    def _reply(self, client: Client, session: _BinanceConnection, message: str) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(message)
        except msgspec.DecodeError:
            return {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}
        if not isinstance(request, dict) or "method" not in request:
            return {"code": 2, "msg": "Invalid request: missing field `method`"}
        method, params, number = request["method"], request.get("params", []), request.get("id")
        if not self._number_is_valid(number):
            return {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}
        if method not in METHODS:
            return {"code": 2, "msg": f"Invalid request: unknown variant `{method}`, expected one of {', '.join(METHODS)}"}
        self.counts[method] += 1
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(session.streams), "id": number}
        if method.endswith("_PROPERTY"):
            return self._property(client, session, method, params, number)
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            return {"code": 2, "msg": "Invalid request: params must be an array of strings"}
        if method == "SUBSCRIBE":
            self._subscribe(client, session, params)
        else:
            for name in params:
                session.streams.pop(name, None)
                self._unlist(client, name)
        return {"result": None, "id": number}

    def _number_is_valid(self, number: object) -> bool:
        if isinstance(number, bool):
            return False
        if isinstance(number, int):
            return -(2**63) <= number < 2**63 if self._spot else 0 <= number < 2**64
        return self._spot and (number is None or (isinstance(number, str) and len(number) <= 36))

    def _property(self, client: Client, session: _BinanceConnection, method: str, params: object, number: object) -> dict[str, Any]:
        if not isinstance(params, list) or params[:1] != ["combined"]:
            return {"code": 0, "msg": "Unknown property"}
        if method == "GET_PROPERTY":
            return {"result": session.combined, "id": number}
        if len(params) != 2 or not isinstance(params[1], bool):
            return {"code": 1, "msg": "Invalid value type: expected Boolean"}
        for name in session.streams:
            self._unlist(client, name)
        session.combined = params[1]
        self._subscribe(client, session, list(session.streams))
        return {"result": None, "id": number}

    def _subscribe(self, client: Client, session: _BinanceConnection, streams: Sequence[str]) -> None:
        session.streams.update(dict.fromkeys(streams))
        if len(session.streams) > MOST_STREAMS:
            client.close(1008, "Too many streams")
            return
        listing = self._wrapped if session.combined else self._plain
        for name in streams:
            route = self._routes.get(name)
            symbol, _, kind = name.partition("@")
            stream = "L2" if kind.startswith("depth") else "TRADES"
            if symbol in self._symbols and self.strikes.mutes(stream, self._symbols[symbol]):
                continue
            if route is not None and session.route in (route, "all"):
                listing.setdefault(name, set()).add(client)
                if symbol in self._symbols and stream == "TRADES":
                    self.strikes.catch_up(client, self._symbols[symbol])

    def _unlist(self, client: Client, name: str) -> None:
        for listing in (self._plain, self._wrapped):
            clients = listing.get(name)
            if clients is not None:
                clients.discard(client)
                if not clients:
                    del listing[name]
