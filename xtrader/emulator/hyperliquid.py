"""Emulated Hyperliquid: `l2Book` and `trades` of perpetuals, and the info requests that go with them.

Its one rule: nothing has a number. Every message of a book is the whole book, and the time of its block tells two apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any

import msgspec

from xtrader.emulator.agents import Batch, Print, prints
from xtrader.emulator.client import BODY, Client
from xtrader.emulator.damage import USUAL
from xtrader.emulator.faults import Message
from xtrader.emulator.listed_instruments import Coin, ListedInstrument, Scale, coins
from xtrader.emulator.truth import BookEvent, TradeEvent
from xtrader.emulator.venue import Allowance, Board, HttpAnswer, Stage, Venue
from xtrader.emulator.window import floor, window_changes

EXCHANGES = ("HYPERLIQUID",)
WINDOW = 20
PAST = 30  # Trades that who subscribes is told first.
WEIGHTS = {"l2Book": 2, "allMids": 2}


def venue(exchange: str, instruments: int, stage: Stage) -> Hyperliquid:
    """The emulated venue, listing `instruments` perpetuals."""
    return Hyperliquid(exchange, [_listing(coin) for coin in coins(instruments)], stage)


def _listing(coin: Coin) -> ListedInstrument:
    tick, lot = Scale(1, coin.decimals), Scale(1, coin.size_decimals)
    return ListedInstrument(coin.name, "perpetual", coin.name, "USD", "USDC", tick, lot, coin.price, 1500)


class HyperliquidBoard(Board):
    """One perpetual: what its window showed last, and the last trades."""

    def __init__(self, exchange: str, listing: ListedInstrument, stage: Stage) -> None:
        super().__init__(exchange, listing, stage, 600)
        self.ids = Random(f"{stage.seed}/{exchange}/{listing.symbol}/ids")
        book = self.market.book
        self.floors = [floor(book.bids, WINDOW), floor(book.asks, WINDOW)]
        self.trades: list[str] = []


class Hyperliquid(Venue[HyperliquidBoard]):
    """The main exchange."""

    window = WINDOW
    cannot = frozenset({"slow_snapshot", "stale_snapshot", "refused_snapshot", "notice", "odd_ids", "seq_reset", "expiry_change"})
    cannot |= {"crossed", "crossings", "undeleted", "odd"}
    """Its books start on the socket, it announces nothing, nothing has a number or expires, whole books have no removals, and a
    message without its data does not say what it is of. Levels are objects, which cannot be crossed here."""
    blind = frozenset({"L2", "TRADES"})
    connects = (30, 60.0)
    sockets = 10
    times = MappingProxyType({"hyperliquid_silence": 60.0})
    """Closed when the venue said nothing for so long."""
    words = USUAL._replace(names=("channel",))

    def __init__(self, exchange: str, listings: Sequence[ListedInstrument], stage: Stage) -> None:
        super().__init__(exchange, [HyperliquidBoard(exchange, listing, stage) for listing in listings], stage)
        self._subscribers: dict[tuple[str, str], set[Client]] = {}
        self._weight = Allowance(1200, 60.0)
        self._messages: dict[Client, Allowance] = {}

    def begin(self) -> None:
        for board in self.boards.values():
            board.sequence = self.stage.ms()
        super().begin()

    def accepts(self, path: str) -> bool:
        return path == "/ws"

    def opened(self, client: Client) -> None:
        self._messages[client] = Allowance(2000, 60.0)
        client.send("Websocket connection established.")

    def closed(self, client: Client) -> None:
        del self._messages[client]
        for clients in self._subscribers.values():
            clients.discard(client)

    def received(self, client: Client, message: str) -> None:
        if not self._messages[client].take(asyncio.get_running_loop().time()):
            self.counts["too many messages"] += 1
            client.close(1008, "too many messages")
            return
        try:
            request = msgspec.json.decode(message)
            method, asked = request["method"], request.get("subscription", {})
            kind, coin = asked.get("type", ""), asked.get("coin", "")
        except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
            self._say(client, "error", f"Error parsing JSON into valid websocket request: {message[:200]}")
            return
        self.counts[str(method)] += 1
        clients = self._subscribers.get((kind, coin), set())
        if method == "ping":
            client.send('{"channel":"pong"}')
        elif method not in ("subscribe", "unsubscribe") or kind not in ("l2Book", "trades") or coin not in self.boards:
            self._say(client, "error", f"Invalid subscription {msgspec.json.encode(asked).decode()}")
        elif method == "unsubscribe" and client not in clients:
            self._say(client, "error", f"Already unsubscribed: {msgspec.json.encode(asked).decode()}")
        elif method == "subscribe" and client in clients:
            self._say(client, "error", f"Already subscribed: {msgspec.json.encode(asked).decode()}")
        else:
            extra = {"nSigFigs": None, "mantissa": None} if kind == "l2Book" else {}
            self._say(client, "subscriptionResponse", {"method": method, "subscription": {"type": kind, "coin": coin, **extra}})
            if method == "unsubscribe":
                clients.discard(client)
            else:
                self._subscribe(client, kind, self.boards[coin])

    def idle(self, now: float) -> None:
        for client in self.clients:
            if client.state == "open" and now - client.last_sent > self.seconds("hyperliquid_silence"):
                client.close(1000, "Inactive")

    def publish(self, board: HyperliquidBoard, batch: Batch) -> None:
        if rows := prints(batch.fills):
            self._publish_trades(board, rows)
        book = board.market.book
        bids = window_changes(book.bids, WINDOW, board.floors[0], batch.bids)
        asks = window_changes(book.asks, WINDOW, board.floors[1], batch.asks)
        board.floors = [floor(book.bids, WINDOW), floor(book.asks, WINDOW)]
        previous, board.sequence = board.sequence, max(board.sequence + 1, self.stage.ms())
        if self.stage.truth is not None:
            changes = board.texts(bids), board.texts(asks)
            self.stage.truth.add(BookEvent(self.exchange, board.symbol, board.sequence, previous, board.sequence, *changes))
        clients = self._subscribers.get(("l2Book", board.symbol))
        if clients:
            text = f'{{"channel":"l2Book","data":{self._book(board)}}}'
            self.deliver(Message("L2", board.symbol, previous, board.sequence), [(clients, text)])

    def restart_numbering(self, board: HyperliquidBoard) -> None:
        """There are no numbers."""

    def answer(self, path: str, query: Mapping[str, str]) -> HttpAnswer:
        try:
            asked = msgspec.json.decode(query.get(BODY, ""))
            kind, board = asked["type"], self.boards.get(asked.get("coin", ""))
        except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
            return HttpAnswer(b'"Failed to deserialize the JSON body into the target type"', 422)
        now = asyncio.get_running_loop().time()
        if path != "/info" or not all(self._weight.take(now) for _ in range(WEIGHTS.get(kind, 20))):
            return HttpAnswer(b"null", 404 if path != "/info" else 429)
        match kind:
            case "meta":
                return HttpAnswer(msgspec.json.encode({"universe": [self._row(board) for board in self.boards.values()]}))
            case "spotMeta":
                return HttpAnswer(b'{"universe":[],"tokens":[{"name":"USDC","szDecimals":8,"weiDecimals":8,"index":0}]}')
            case "l2Book":
                return HttpAnswer(b"null" if board is None else self._book(board).encode())
            case "recentTrades":
                return HttpAnswer(b"null" if board is None else f"[{','.join(board.trades[:-11:-1])}]".encode())
        return HttpAnswer(b'"Failed to deserialize the JSON body into the target type"', 422)

    def _say(self, client: Client, channel: str, data: Any) -> None:
        client.send(msgspec.json.encode({"channel": channel, "data": data}))

    def _subscribe(self, client: Client, kind: str, board: HyperliquidBoard) -> None:
        stream = "L2" if kind == "l2Book" else "TRADES"
        if self.strikes.mutes(stream, board.symbol):
            return
        self._subscribers.setdefault((kind, board.symbol), set()).add(client)
        if stream == "L2":
            client.send(f'{{"channel":"l2Book","data":{self._book(board)}}}')
        else:
            if board.trades:
                client.send(f'{{"channel":"trades","data":[{",".join(board.trades[-PAST:])}]}}')
            self.strikes.catch_up(client, board.symbol)

    def _book(self, board: HyperliquidBoard) -> str:
        sides = []
        for side, levels in zip((board.market.book.bids, board.market.book.asks), board.top(WINDOW), strict=True):
            rows = zip(levels, board.texts(levels), strict=True)
            sides.append(",".join(f'{{"px":"{px}","sz":"{sz}","n":{len(side.queues[price])}}}' for (price, _), (px, sz) in rows))
        return f'{{"coin":"{board.symbol}","time":{board.sequence},"levels":[[{sides[0]}],[{sides[1]}]]}}'

    def _publish_trades(self, board: HyperliquidBoard, rows: Sequence[Print]) -> None:
        texts, names = [], []
        for row in rows:
            ts, name = self.stage.ms() - row.age, str(board.ids.getrandbits(50))
            price, size, side = board.prices[row.price], board.sizes[row.lots], "buy" if row.is_buy else "sell"
            head = f'"coin":"{board.symbol}","side":"{"B" if row.is_buy else "A"}","px":"{price}","sz":"{size}","time":{ts}'
            texts.append(f'{{{head},"hash":"0x{row.last:064x}","tid":{name},"users":["0x01","0x02"]}}')
            names.append(name)
            if self.stage.truth is not None:
                self.stage.truth.add(TradeEvent(self.exchange, board.symbol, name, side, price, size, ts))
        board.trades = [*board.trades, *texts][-1000:]
        clients = self._subscribers.get(("trades", board.symbol))
        if clients:
            text = f'{{"channel":"trades","data":[{",".join(texts)}]}}'
            self.deliver(Message("TRADES", board.symbol, ids=tuple(names)), [(clients, text)])

    def _row(self, board: HyperliquidBoard) -> dict[str, Any]:
        delisted = {"isDelisted": True} if board.is_halted else {}
        return {"name": board.symbol, "szDecimals": board.listing.lot.decimals, "maxLeverage": 50, "marginTableId": 56, **delisted}
