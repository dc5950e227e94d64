"""Emulated Bybit v5: public `orderbook` and `publicTrade` topics of one category, and the REST calls that go with them.

Its one rule: a topic of a book shows so many levels a side, counts its own messages by one, and sends every level that enters or
leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from xtrader.emulator.agents import Batch, Print, prints
from xtrader.emulator.client import Client
from xtrader.emulator.damage import USUAL
from xtrader.emulator.faults import Message
from xtrader.emulator.listed_instruments import EXPIRY, Coin, ListedInstrument, Scale, coins
from xtrader.emulator.truth import BookEvent, TradeEvent
from xtrader.emulator.venue import Allowance, Board, HttpAnswer, Stage, Venue
from xtrader.emulator.window import floor, window_changes

EXCHANGES = ("BYBIT_SPOT", "BYBIT_LINEAR", "BYBIT_INVERSE")
DEPTHS = (50, 200, 1000)
TOLD = 200  # The depth of which the truth is told.
PAGE = 3
"""Instruments on a page of the catalogue, whatever is asked for: the real one's pages are of up to 1,000."""
PER_REQUEST = 10  # Topics in one request, of spot.


def venue(exchange: str, instruments: int, stage: Stage) -> Bybit:
    """The emulated venue of one exchange token, listing `instruments` instruments."""
    return Bybit(exchange, [_listing(exchange, coin, number) for number, coin in enumerate(coins(instruments))], stage)


def _listing(exchange: str, coin: Coin, number: int) -> ListedInstrument:
    tick = Scale(1, coin.decimals)
    if exchange == "BYBIT_SPOT":
        return ListedInstrument(f"{coin.name}USDT", "spot", coin.name, "USDT", "", tick, Scale(1, 6), coin.price, 200_000)
    if exchange == "BYBIT_INVERSE":
        return ListedInstrument(
            f"{coin.name}USD", "perpetual", coin.name, "USD", coin.name, tick, Scale(1, 0), coin.price, 1500, "1", True
        )
    lot = Scale(1, coin.size_decimals)
    if number % 4 == 3:
        symbol = f"{coin.name}USDT-{EXPIRY:%d%b%y}".upper()
        return ListedInstrument(symbol, "future", coin.name, "USDT", "USDT", tick, lot, coin.price, 1500, "1")
    return ListedInstrument(f"{coin.name}USDT", "perpetual", coin.name, "USDT", "USDT", tick, lot, coin.price, 1500, "1")


class BybitBoard(Board):
    """One instrument: the window of each depth, where its numbers are, and the last trades."""

    def __init__(self, exchange: str, listing: ListedInstrument, stage: Stage) -> None:
        super().__init__(exchange, listing, stage, 1300)
        self.numbers = Random(f"{stage.seed}/{exchange}/{listing.symbol}/ids")
        self.last = {depth: self.numbers.randrange(10**6, 10**8) for depth in DEPTHS}
        """The number u of each depth's last message."""
        self.cross = self.numbers.randrange(10**11, 10**12)
        book = self.market.book
        self.floors = {depth: [floor(book.bids, depth), floor(book.asks, depth)] for depth in DEPTHS}
        self.sequence = self.last[TOLD]
        self.trades: list[str] = []


class Bybit(Venue[BybitBoard]):
    """One category."""

    window = TOLD
    cannot = frozenset({"slow_snapshot", "stale_snapshot", "refused_snapshot", "notice"})
    """Its books start on the socket, and it announces nothing."""
    blind = frozenset({"TRADES"})
    connects = (500, 300.0)
    times = MappingProxyType({"bybit_silence": 60.0})
    """Closed when the client said nothing for so long."""
    words = USUAL._replace(aggressors=("S",), names=("topic",))
    snapshots = frozenset({"orderbook"})

    def __init__(self, exchange: str, listings: Sequence[ListedInstrument], stage: Stage) -> None:
        super().__init__(exchange, [BybitBoard(exchange, listing, stage) for listing in listings], stage)
        self._category = exchange.removeprefix("BYBIT_").lower()
        self._subscribers: dict[str, set[Client]] = {}
        self._requests = Allowance(600, 5.0)
        self._routes: dict[str, Callable[[Mapping[str, str]], dict[str, Any]]] = {
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/orderbook": self._orderbook,
            "/v5/market/recent-trade": self._recent,
        }

    def accepts(self, path: str) -> bool:
        return path == f"/v5/public/{self._category}"

    def opened(self, client: Client) -> None: ...

    def closed(self, client: Client) -> None:
        for clients in self._subscribers.values():
            clients.discard(client)

    def received(self, client: Client, message: str) -> None:
        try:
            request = msgspec.json.decode(message)
            operation, topics = request["op"], request.get("args", [])
        except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
            client.send(self._reply(client, "", "error", False, f"error:invalid request {message[:100]}"))
            return
        number = str(request.get("req_id", ""))
        self.counts[str(operation)] += 1
        if operation == "ping":
            client.send(self._reply(client, number, "ping", True, "pong"))
        elif operation == "unsubscribe":
            for topic in topics:
                self._subscribers.get(topic, set()).discard(client)
            client.send(self._reply(client, number, operation, True, ""))
        elif operation != "subscribe":
            client.send(self._reply(client, number, str(operation), False, "error:unknown operation"))
        elif len(topics) > PER_REQUEST and self._category == "spot":
            client.send(self._reply(client, number, operation, False, "args size >10"))
        elif unknown := [topic for topic in topics if self._board(topic) is None]:
            client.send(self._reply(client, number, operation, False, f"error:handler not found,topic:{unknown[0]}"))
        else:
            client.send(self._reply(client, number, operation, True, "subscribe" if self._category == "spot" else ""))
            for topic in topics:
                self._subscribe(client, topic)

    def idle(self, now: float) -> None:
        for client in self.clients:
            if client.state == "open" and now - client.last_received > self.seconds("bybit_silence"):
                client.close(1000, "no ping")

    def publish(self, board: BybitBoard, batch: Batch) -> None:
        if rows := prints(batch.fills):
            self._publish_trades(board, rows)
        book = board.market.book
        board.cross += board.numbers.randrange(1, 50)
        for depth in DEPTHS:
            floors = board.floors[depth]
            bids = window_changes(book.bids, depth, floors[0], batch.bids)
            asks = window_changes(book.asks, depth, floors[1], batch.asks)
            board.floors[depth] = [floor(book.bids, depth), floor(book.asks, depth)]
            if bids or asks:
                self._push(board, depth, "delta", bids, asks, board.last[depth] + 1)

    def restart_numbering(self, board: BybitBoard) -> None:
        """The service restarted: the next message is a snapshot whose u is 1."""
        for depth in DEPTHS:
            self._push(board, depth, "snapshot", *board.top(depth), 1)

    def answer(self, path: str, query: Mapping[str, str]) -> HttpAnswer:
        if path not in self._routes:
            return HttpAnswer(b'{"retCode":404,"retMsg":"Not Found","result":{}}', 404)
        if not self._requests.take(asyncio.get_running_loop().time()):
            return HttpAnswer(b'{"retCode":10006,"retMsg":"access too frequent","result":{}}', 403)
        try:
            return self._envelope(0, "OK", self._routes[path](query))
        except LookupError:
            return self._envelope(10001, "params error: Symbol Is Invalid", {})

    def _envelope(self, code: int, words: str, result: dict[str, Any]) -> HttpAnswer:
        envelope = {"retCode": code, "retMsg": words, "result": result, "retExtInfo": {}, "time": self.stage.ms()}
        return HttpAnswer(msgspec.json.encode(envelope))

    def _reply(self, client: Client, number: str, operation: str, is_good: bool, words: str) -> bytes:
        connection = f"{client.number:08x}"
        return msgspec.json.encode({"success": is_good, "ret_msg": words, "conn_id": connection, "req_id": number, "op": operation})

    def _board(self, topic: str) -> BybitBoard | None:
        kind, _, rest = topic.partition(".")
        depth, _, symbol = rest.rpartition(".")
        known = depth in map(str, DEPTHS) if kind == "orderbook" else kind == "publicTrade" and not depth
        return self.boards.get(symbol) if known else None

    def _subscribe(self, client: Client, topic: str) -> None:
        stream, board = "L2" if topic.startswith("orderbook") else "TRADES", self.boards[topic.rpartition(".")[2]]
        if self.strikes.mutes(stream, board.symbol):
            return
        self._subscribers.setdefault(topic, set()).add(client)
        if stream == "L2":
            client.send(self._book(board, int(topic.split(".")[1]), "snapshot", *board.top(int(topic.split(".")[1]))))
        else:
            self.strikes.catch_up(client, board.symbol)

    def _push(
        self, board: BybitBoard, depth: int, kind: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]], number: int
    ) -> None:
        previous, board.last[depth] = board.last[depth], number
        if depth == TOLD:
            board.sequence = number
            if self.stage.truth is not None:
                changes = (board.texts(bids), board.texts(asks)) if kind == "delta" else ([], [])
                self.stage.truth.add(BookEvent(self.exchange, board.symbol, number, previous, self.stage.ms(), *changes))
        clients = self._subscribers.get(f"orderbook.{depth}.{board.symbol}")
        if clients:
            message = Message("L2", board.symbol, previous, number)
            self.deliver(message, [(clients, self._book(board, depth, kind, bids, asks))])

    def _book(self, board: BybitBoard, depth: int, kind: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> str:
        ts = self.stage.ms()
        levels = f'"b":[{board.pairs(bids)}],"a":[{board.pairs(asks)}],"u":{board.last[depth]},"seq":{board.cross}'
        data = f'"data":{{"s":"{board.symbol}",{levels}}}'
        return f'{{"topic":"orderbook.{depth}.{board.symbol}","type":"{kind}","ts":{ts + 2},{data},"cts":{ts}}}'

    def _publish_trades(self, board: BybitBoard, rows: Sequence[Print]) -> None:
        texts, names = [], []
        for row in rows:
            ts = self.stage.ms() - row.age
            is_spot = self._category == "spot"
            name = f"{2_290_000_000_000_000_000 + 7 * row.last}" if is_spot else f"{UUID(int=board.numbers.getrandbits(128))}"
            side, price, size = "Buy" if row.is_buy else "Sell", board.prices[row.price], board.sizes[row.lots]
            more = "" if is_spot else ',"L":"PlusTick"'
            head = f'"i":"{name}","T":{ts},"p":"{price}","v":"{size}","S":"{side}"'
            texts.append(f'{{{head},"seq":{board.cross},"s":"{board.symbol}","BT":false,"RPI":false{more}}}')
            names.append(name)
            if self.stage.truth is not None:
                self.stage.truth.add(TradeEvent(self.exchange, board.symbol, name, side.lower(), price, size, ts))
            board.trades.append(
                f'{{"execId":"{name}","symbol":"{board.symbol}","price":"{price}","size":"{size}","side":"{side}","time":"{ts}",'
                f'"isBlockTrade":false,"isRPITrade":false,"seq":"{board.cross}"}}'
            )
        del board.trades[:-1000]
        clients = self._subscribers.get(f"publicTrade.{board.symbol}")
        if clients:
            head = f'"topic":"publicTrade.{board.symbol}","type":"snapshot","ts":{self.stage.ms()}'
            text = f'{{{head},"data":[{",".join(texts)}]}}'
            self.deliver(Message("TRADES", board.symbol, ids=tuple(names)), [(clients, text)])

    def _instruments(self, query: Mapping[str, str]) -> dict[str, Any]:
        rows = [self._row(board) for board in self.boards.values() if query.get("symbol", board.symbol) == board.symbol]
        start = int(query.get("cursor") or 0)
        cursor = str(start + PAGE) if start + PAGE < len(rows) else ""
        return {"category": self._category, "nextPageCursor": cursor, "list": rows[start : start + PAGE]}

    def _row(self, board: BybitBoard) -> dict[str, Any]:
        one = board.listing
        names = {"symbol": one.symbol, "baseCoin": one.base, "quoteCoin": one.quote}
        status = {"status": "Closed" if board.is_halted else "Trading"}
        prices = {"priceFilter": {"tickSize": one.tick.text(1)}}
        lot = board.sizes[1]
        if self._category == "spot":
            return names | status | prices | {"lotSizeFilter": {"basePrecision": lot, "minOrderQty": lot}}
        kind = self._category.capitalize() + ("Futures" if one.kind == "future" else "Perpetual")
        expiry = "0" if board.expiry is None else str(int(board.expiry.timestamp()) * 1000)
        lots = {"lotSizeFilter": {"qtyStep": lot, "minOrderQty": lot}}
        more = {"contractType": kind, "settleCoin": one.settle, "deliveryTime": expiry, "fundingInterval": 480}
        return names | status | prices | lots | more

    def _orderbook(self, query: Mapping[str, str]) -> dict[str, Any]:
        board = self.boards[query.get("symbol", "")]
        bids, asks = (board.texts(side) for side in board.top(int(query.get("limit", 25))))
        numbers = {"ts": self.stage.ms(), "u": board.last[1000], "seq": board.cross, "cts": self.stage.ms()}
        return {"s": board.symbol, "b": bids, "a": asks, **numbers}

    def _recent(self, query: Mapping[str, str]) -> dict[str, Any]:
        board = self.boards[query.get("symbol", "")]
        rows = [msgspec.Raw(row.encode()) for row in board.trades[: -1 - int(query.get("limit", 500)) : -1]]
        return {"category": self._category, "list": rows}
