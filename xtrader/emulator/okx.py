"""Emulated OKX v5: public `books`, `trades` and (of swaps) `funding-rate` channels and the REST calls that go with them.

Its one rule: a book is a window of the best 400 levels a side, and every level that enters or leaves the window is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any

import msgspec

from xtrader.emulator.agents import Batch, Print, prints
from xtrader.emulator.client import Client
from xtrader.emulator.faults import Message
from xtrader.emulator.listed_instruments import EXPIRY, Coin, ListedInstrument, Scale, coins
from xtrader.emulator.matching import OrderSide
from xtrader.emulator.truth import BookEvent, TradeEvent
from xtrader.emulator.venue import Allowance, Board, HttpAnswer, Stage, Venue
from xtrader.emulator.window import floor, window_changes

EXCHANGES = ("OKX_SPOT", "OKX_SWAP", "OKX_FUTURES", "OKX_OPTION")
LISTING = "instruments"
"""The channel of an instrument type's catalogue."""
WINDOW = 400
RESTING = 1300
"""Orders a side that usually rest in a book: enough for more levels than the window shows."""
MOST_ARGS = 65_536
"""Bytes of a request."""
PUBLIC = "/ws/v5/public"
FUNDING = "funding-rate"
FUNDING_SECONDS = 2.0
"""Between two messages; the venue's are 30 to 90 s apart."""
EIGHT_HOURS = 8 * 3600 * 1000


def venue(exchange: str, instruments: int, stage: Stage) -> Okx:
    """The emulated venue of one exchange token, listing `instruments` instruments."""
    listings = _options(instruments) if exchange == "OKX_OPTION" else [_listing(exchange, coin) for coin in coins(instruments)]
    return Okx(exchange, listings, stage)


def _listing(exchange: str, coin: Coin) -> ListedInstrument:
    tick = Scale(1, coin.decimals)
    if exchange == "OKX_SPOT":
        return ListedInstrument(f"{coin.name}-USDT", "spot", coin.name, "USDT", "", tick, Scale(1, 6), coin.price, 200_000)
    contract = {0: "0.01", 1: "0.1"}.get(coin.size_decimals, "1")
    if exchange == "OKX_SWAP":
        symbol, kind = f"{coin.name}-USDT-SWAP", "perpetual"
    else:
        symbol, kind = f"{coin.name}-USDT-{EXPIRY:%y%m%d}", "future"
    return ListedInstrument(symbol, kind, coin.name, "USDT", "USDT", tick, Scale(1, 2), coin.price, 1500, contract)


def _options(count: int) -> list[ListedInstrument]:
    listings = []
    for number in range(count):
        strike = 40_000 + 5_000 * (number // 2)
        kind, letter = ("call", "C") if number % 2 == 0 else ("put", "P")
        symbol = f"BTC-USD-{EXPIRY:%y%m%d}-{strike}-{letter}"
        tick, lot, price = Scale(5, 4), Scale(1, 0), 120 + 10 * number
        listings.append(ListedInstrument(symbol, "option", "BTC", "USD", "BTC", tick, lot, price, 20, "0.01", False, strike, kind))
    return listings


class OkxBoard(Board):
    """One instrument: what the window showed last, and the last trades."""

    def __init__(self, exchange: str, listing: ListedInstrument, stage: Stage) -> None:
        super().__init__(exchange, listing, stage, RESTING)
        self.numbers = Random(f"{stage.seed}/{exchange}/{listing.symbol}/ids")
        self.sequence = self.numbers.randrange(10**11, 10**12)
        self.floors = [floor(self.market.book.bids, WINDOW), floor(self.market.book.asks, WINDOW)]
        self.trades: list[str] = []
        self.pushed = 0.0
        self.funded = 0.0

    def next_number(self) -> int:
        """A later sequence number; numbers are not contiguous."""
        return self.sequence + self.numbers.randrange(1, 300)

    def rows(self, side: OrderSide, levels: Sequence[tuple[int, int]]) -> str:
        """JSON `["price","size","0","orders"],…`."""
        prices, sizes, queues = self.prices, self.sizes, side.queues
        return ",".join(
            [f'["{prices[price]}","{sizes[lots]}","0","{len(queues[price]) if lots else 0}"]' for price, lots in levels]
        )


class Okx(Venue[OkxBoard]):
    """One OKX instrument type."""

    window = WINDOW
    cannot = frozenset({"slow_snapshot", "stale_snapshot", "refused_snapshot"})
    """Its books start on the socket."""
    connects = (3, 1.0)
    times = MappingProxyType({"okx_silence": 30.0, "okx_keepalive": 60.0})
    """Closed with 4004 when nothing went either way for so long; an unchanged book is confirmed so often."""
    parameter = "instId"
    snapshots = frozenset({"books"})

    def __init__(self, exchange: str, listings: Sequence[ListedInstrument], stage: Stage) -> None:
        super().__init__(exchange, [OkxBoard(exchange, listing, stage) for listing in listings], stage)
        self._kind = exchange.removeprefix("OKX_")
        self._subscribers: dict[tuple[str, str], set[Client]] = {}
        self._requests: dict[Client, Allowance] = {}
        self._connections = 0
        self._names: dict[Client, str] = {}
        self._routes: dict[str, tuple[Allowance, Callable[[Mapping[str, str]], list[Any]]]] = {
            "/api/v5/public/time": (Allowance(10, 2), lambda query: [{"ts": str(stage.ms())}]),
            "/api/v5/public/instruments": (Allowance(20, 2), self._instruments),
            "/api/v5/market/books": (Allowance(40, 2), self._books),
            "/api/v5/market/trades": (Allowance(100, 2), self._trades),
            "/api/v5/public/funding-rate": (Allowance(20, 2), lambda query: [self._funding(self.boards[query.get("instId", "")])]),
        }

    def accepts(self, path: str) -> bool:
        return path == PUBLIC

    def opened(self, client: Client) -> None:
        self._connections += 1
        self._names[client] = f"{self._connections:08x}"
        self._requests[client] = Allowance(480, 3600)

    def closed(self, client: Client) -> None:
        del self._names[client], self._requests[client]
        for clients in self._subscribers.values():
            clients.discard(client)

    def received(self, client: Client, message: str) -> None:
        if message == "ping":
            self.counts["ping"] += 1
            client.send("pong")
            return
        try:
            request = msgspec.json.decode(message)
            operation, args = request["op"], request["args"]
            channels = [(arg["channel"], arg.get("instId", "")) for arg in args]
        except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
            self._event(client, None, event="error", code="60012", msg=f"Invalid request: {message[:200]}")
            return
        number = request.get("id")
        self.counts[str(operation)] += 1
        if operation not in ("subscribe", "unsubscribe"):
            self._event(client, number, event="error", code="60019", msg=f"Invalid op: {operation}")
        elif len(message) > MOST_ARGS:
            self._event(client, number, event="error", code="60013", msg="Invalid args: total length over 64 KB")
        else:
            for (channel, name), arg in zip(channels, args, strict=True):
                self._change(client, number, operation, channel, name, arg)

    def idle(self, now: float) -> None:
        for client in self.clients:
            if client.state == "open" and now - max(client.last_sent, client.last_received) > self.seconds("okx_silence"):
                client.close(4004, "No data received in 30s")
        for board in self.boards.values():
            if board.pushed == 0.0:
                board.pushed = now
            elif now - board.pushed > self.seconds("okx_keepalive"):
                self._push(board, [], [], board.sequence)
            if now - board.funded > FUNDING_SECONDS:
                board.funded = now
                for client in self._subscribers.get((FUNDING, board.symbol), ()):
                    client.send(self._funding_push(board))

    def publish(self, board: OkxBoard, batch: Batch) -> None:
        for row in prints(batch.fills):
            self._publish_trade(board, row)
        book = board.market.book
        bids = window_changes(book.bids, WINDOW, board.floors[0], batch.bids)
        asks = window_changes(book.asks, WINDOW, board.floors[1], batch.asks)
        board.floors = [floor(book.bids, WINDOW), floor(book.asks, WINDOW)]
        if bids or asks:
            self._push(board, bids, asks, board.next_number())

    def restart_numbering(self, board: OkxBoard) -> None:
        """The next message of this book has a lower seqId than its prevSeqId."""
        self._push(board, [], [], board.numbers.randrange(1, 1000))

    def relisted(self, board: OkxBoard) -> None:
        if board.symbol in self.boards:
            row = msgspec.json.encode(_row(self._kind, board)).decode()
            for client in self._subscribers.get((LISTING, ""), ()):
                client.send(f'{{"arg":{{"channel":"{LISTING}","instType":"{self._kind}"}},"data":[{row}]}}')

    def notice(self, client: Client) -> str:
        words = "The connection will soon be closed for a service upgrade. Please reconnect."
        return f'{{"event":"notice","code":"64008","msg":"{words}","connId":"{self._names[client]}"}}'

    def _publish_trade(self, board: OkxBoard, row: Print) -> None:
        ts = self.stage.ms() - row.age
        side = "buy" if row.is_buy else "sell"
        price, size = board.prices[row.price], board.sizes[row.lots]
        data = (
            f'{{"instId":"{board.symbol}","tradeId":"{row.last}","px":"{price}","sz":"{size}","side":"{side}","ts":"{ts}",'
            f'"count":"{row.last - row.first + 1}","source":"0","seqId":{board.sequence}}}'
        )
        if len(board.trades) >= 1000:
            del board.trades[:500]
        board.trades.append(data)
        if self.stage.truth is not None:
            self.stage.truth.add(TradeEvent(self.exchange, board.symbol, str(row.last), side, price, size, ts))
        clients = self._subscribers.get(("trades", board.symbol))
        if clients:
            self.deliver(Message("TRADES", board.symbol, ids=(str(row.last),)), [(clients, _trade_push(board.symbol, data))])

    def _push(self, board: OkxBoard, bids: list[tuple[int, int]], asks: list[tuple[int, int]], number: int) -> None:
        """Send one update of the book."""
        previous, board.sequence = board.sequence, number
        board.pushed = asyncio.get_running_loop().time()
        ts = self.stage.ms()
        if self.stage.truth is not None:
            event = BookEvent(self.exchange, board.symbol, number, previous, ts, board.texts(bids), board.texts(asks))
            self.stage.truth.add(event)
        clients = self._subscribers.get(("books", board.symbol))
        if clients:
            self.deliver(
                Message("L2", board.symbol, previous, number), [(clients, self._book(board, "update", bids, asks, previous))]
            )

    def _book(
        self, board: OkxBoard, action: str, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], previous: int
    ) -> str:
        book = board.market.book
        return (
            f'{{"arg":{{"channel":"books","instId":"{board.symbol}"}},"action":"{action}","data":[{{'
            f'"asks":[{board.rows(book.asks, asks)}],"bids":[{board.rows(book.bids, bids)}],'
            f'"ts":"{self.stage.ms()}","checksum":0,"prevSeqId":{previous},"seqId":{board.sequence}}}]}}'
        )

    def _change(self, client: Client, number: Any, operation: str, channel: Any, name: Any, arg: dict[str, Any]) -> None:
        """Subscribe or unsubscribe one channel of one instrument."""
        board = self.boards.get(name)
        if channel == LISTING and arg.get("instType") == self._kind:
            clients = self._subscribers.setdefault((LISTING, ""), set())
            (clients.add if operation == "subscribe" else clients.discard)(client)
            self._event(client, number, event=operation, arg=arg)
        elif board is None or channel not in ("books", "trades", *((FUNDING,) if self._kind == "SWAP" else ())):
            words = (
                f"Wrong URL or channel:{channel},instId:{name} doesn't exist. "
                "Please use the correct URL, channel and parameters referring to API document."
            )
            self._event(client, number, event="error", code="60018", msg=words)
        elif not self._requests[client].take(asyncio.get_running_loop().time()):
            self._event(client, number, event="error", code="60014", msg="Requests too frequent")
        elif operation == "unsubscribe":
            self._subscribers.get((channel, name), set()).discard(client)
            self._event(client, number, event="unsubscribe", arg=arg)
        else:
            self._event(client, number, event="subscribe", arg=arg)
            if channel == FUNDING:
                self._subscribers.setdefault((channel, name), set()).add(client)
                client.send(self._funding_push(board))
                return
            if self.strikes.mutes("L2" if channel == "books" else "TRADES", name):
                return
            self._subscribers.setdefault((channel, name), set()).add(client)
            if channel == "books":
                client.send(self._book(board, "snapshot", *self.levels(board, WINDOW), -1))
                return
            if board.trades:
                client.send(_trade_push(name, board.trades[-1]))
            self.strikes.catch_up(client, name)

    def _funding(self, board: OkxBoard) -> dict[str, str]:
        """The rate now: it changes with every second and has either sign."""
        ts = self.stage.ms()
        paid = ts - ts % EIGHT_HOURS + EIGHT_HOURS
        return {
            "formulaType": "withRate",
            "fundingRate": f"{((ts // 1000) % 7 - 3) / 10000:.16f}",
            "fundingTime": str(paid),
            "instId": board.symbol,
            "instType": self._kind,
            "method": "current_period",
            "nextFundingRate": "",
            "nextFundingTime": str(paid + EIGHT_HOURS),
            "settState": "settled",
            "ts": str(ts),
        }

    def _funding_push(self, board: OkxBoard) -> bytes:
        return msgspec.json.encode({"arg": {"channel": FUNDING, "instId": board.symbol}, "data": [self._funding(board)]})

    def _event(self, client: Client, number: Any, **facts: Any) -> None:
        head = {} if number is None else {"id": number}
        client.send(msgspec.json.encode({**head, **facts, "connId": self._names[client]}))

    def answer(self, path: str, query: Mapping[str, str]) -> HttpAnswer:
        if path not in self._routes:
            return HttpAnswer(_envelope("404", "Not Found", []), 404)
        allowance, route = self._routes[path]
        if not allowance.take(asyncio.get_running_loop().time()):
            return HttpAnswer(_envelope("50011", "Too Many Requests", []), 429)
        try:
            return HttpAnswer(_envelope("0", "", route(query)))
        except LookupError as error:
            return HttpAnswer(_envelope("51001", f"Instrument ID doesn't exist: {error}", []))
        except ValueError as error:
            return HttpAnswer(_envelope("51000", f"Parameter {error} error", []), 400)

    def _instruments(self, query: Mapping[str, str]) -> list[Any]:
        wanted = query.get("instType")
        if wanted not in ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"):
            raise ValueError("instType")
        if wanted == "OPTION" and "instFamily" not in query:
            raise ValueError("instFamily")
        rows = [_row(wanted, board) for board in self.boards.values() if self.exchange == f"OKX_{wanted}"]
        keys = [key for key in ("instFamily", "instId") if key in query]
        return [row for row in rows if all(row[key] == query[key] for key in keys)]

    def _books(self, query: Mapping[str, str]) -> list[Any]:
        board = self.boards[query.get("instId", "")]
        bids, asks = self.levels(board, _count(query, "sz", 1, WINDOW))
        levels = f'"asks":[{board.rows(board.market.book.asks, asks)}],"bids":[{board.rows(board.market.book.bids, bids)}]'
        return [msgspec.Raw(f'{{{levels},"ts":"{self.stage.ms()}","seqId":{board.sequence}}}'.encode())]

    def _trades(self, query: Mapping[str, str]) -> list[Any]:
        board = self.boards[query.get("instId", "")]
        return [msgspec.Raw(row.encode()) for row in board.trades[: -1 - _count(query, "limit", 100, 500) : -1]]


def _trade_push(symbol: str, data: str) -> str:
    return f'{{"arg":{{"channel":"trades","instId":"{symbol}"}},"data":[{data}]}}'


def _envelope(code: str, words: str, data: list[Any]) -> bytes:
    return msgspec.json.encode({"code": code, "msg": words, "data": data})


def _count(query: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = query.get(name, str(usual))
    if not text.isdecimal() or not 0 < int(text) <= most:
        raise ValueError(name)
    return int(text)


def _row(kind: str, board: OkxBoard) -> dict[str, str]:
    listing = board.listing
    spot = kind == "SPOT"
    expiry = board.expiry
    uly = "" if spot else f"{listing.base}-{listing.quote}"
    return {
        "alias": "",
        "baseCcy": listing.base if spot else "",
        "category": "1",
        "ctMult": "" if spot else "1",
        "ctType": "" if spot or kind == "OPTION" else "linear",
        "ctVal": listing.contract,
        "ctValCcy": "" if spot else listing.base,
        "expTime": "" if expiry is None else str(int(expiry.timestamp()) * 1000),
        "instFamily": uly,
        "instId": listing.symbol,
        "instType": kind,
        "lever": "" if kind == "OPTION" else "10",
        "listTime": "1611916828000",
        "lotSz": board.sizes[1],
        "maxIcebergSz": "100000000",
        "maxLmtSz": "100000000",
        "maxMktSz": "1600",
        "maxStopSz": "1600",
        "maxTriggerSz": "100000000",
        "maxTwapSz": "100000000",
        "minSz": board.sizes[1],
        "optType": {"call": "C", "put": "P"}.get(listing.option_type, ""),
        "quoteCcy": listing.quote if spot else "",
        "ruleType": "normal",
        "settleCcy": listing.settle,
        "state": "suspend" if board.is_halted else "live",
        "stk": str(listing.strike) if listing.strike else "",
        "tickSz": listing.tick.text(1),
        "uly": uly,
    }
