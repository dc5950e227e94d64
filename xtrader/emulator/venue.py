"""What every emulated venue is to the server: sockets in, messages out, REST answered. Its one rule: a venue never waits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

from xtrader.emulator.agents import Batch, EmulatedMarket, Flow
from xtrader.emulator.client import Client, text_frame
from xtrader.emulator.damage import USUAL, Words
from xtrader.emulator.faults import Message
from xtrader.emulator.listed_instruments import ListedInstrument, Texts
from xtrader.emulator.strikes import Groups, Strikes
from xtrader.emulator.truth import BookEvent, Truth


class Timers:
    """Seconds that take the place of the venues' own (`Venue.seconds`), by their names there."""

    def __init__(self, **seconds: float) -> None:
        self.given: Mapping[str, float] = seconds


class HttpAnswer(msgspec.Struct, frozen=True):
    """A REST response with a JSON body."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Stage(msgspec.Struct):
    """What a venue is run with. `epoch` is its time in milliseconds UTC at which simulated time was 0."""

    seed: int
    timers: Timers
    interval: float
    """Simulated seconds a batch."""
    prints: float
    operations: float
    truth: Truth | None = None
    epoch: float = 0.0
    now: float = 0.0
    """Simulated seconds since the start."""
    wrong: float = 0.0
    """Milliseconds by which the time in the venue's messages is wrong."""

    def ms(self) -> int:
        """The venue's time now, milliseconds UTC."""
        return int(self.epoch + self.wrong + 1000 * self.now)

    def us(self) -> int:
        """The same in microseconds."""
        return int(1000 * (self.epoch + self.wrong) + 1_000_000 * self.now)


class Board:
    """One instrument as a venue shows it: its market, how its numbers are written, where its message numbers are."""

    def __init__(self, exchange: str, listing: ListedInstrument, stage: Stage, resting: int) -> None:
        self.listing = listing
        self.symbol = listing.symbol
        self.prices = Texts(listing.tick)
        self.sizes = Texts(listing.lot)
        width = min(800, listing.price // 2)
        flow = Flow(
            price=listing.price,
            size=listing.size,
            resting=min(resting, 2 * width),
            width=width,
            operations=stage.operations,
            prints=stage.prints,
            interval=stage.interval,
        )
        self.market = EmulatedMarket(f"{stage.seed}/{exchange}/{listing.symbol}", flow)
        self.sequence = 0
        self.is_halted = False
        """Whether the catalogue has the status of what does not trade."""
        self.expiry = listing.expiry

    def top(self, count: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The best `count` (price, lots) of both sides."""
        return self.market.book.bids.top(count), self.market.book.asks.top(count)

    def refine(self) -> None:
        """The venue makes the tick ten times finer: prices are written with one more decimal."""
        tick = self.listing.tick
        self.listing = self.listing._replace(tick=tick.finer(1))
        self.prices = Texts(self.prices.scale.finer(10))

    def texts(self, levels: Iterable[tuple[int, int]]) -> list[tuple[str, str]]:
        """Levels in ticks and lots -> price and size texts."""
        prices, sizes = self.prices, self.sizes
        return [(prices[price], sizes[lots]) for price, lots in levels]

    def pairs(self, levels: Iterable[tuple[int, int]]) -> str:
        """Levels in ticks and lots -> JSON `["price","size"],…`."""
        prices, sizes = self.prices, self.sizes
        return ",".join([f'["{prices[price]}","{sizes[lots]}"]' for price, lots in levels])


BoardT = TypeVar("BoardT", bound=Board)


class Venue(ABC, Generic[BoardT]):
    """One exchange token on one port."""

    ping: tuple[float, float] | None = None
    """(interval, timeout) in seconds of the websocket pings that the venue sends, None if it sends none."""
    most = 2**20
    """The longest message that the venue reads, bytes."""
    window = 2**31
    """How many levels a side the venue's books show."""
    cannot: frozenset[str] = frozenset()
    """Faults that this venue cannot have."""
    blind: frozenset[str] = frozenset()
    """Streams in which a message that is lost between two others cannot be seen by anybody: they have no numbers."""
    times: Mapping[str, float] = MappingProxyType({})
    """The venue's own times in seconds; tests shorten them (`Timers`)."""
    words: Words = USUAL
    """How its messages name what faults change."""
    parameter = "symbol"
    """The query parameter of REST requests that names an instrument."""
    snapshots: frozenset[str] = frozenset()
    """Last words of the paths that answer with a book."""
    connects: tuple[int, float] | None = None
    """(count, seconds): more connection attempts are refused with 429; None if the venue states no such limit."""
    sockets: int | None = None
    """How many connections may be open at once."""

    def __init__(self, exchange: str, boards: Iterable[BoardT], stage: Stage) -> None:
        self.exchange = exchange
        self.stage = stage
        self.boards: dict[str, BoardT] = {board.symbol: board for board in boards}
        self.clients: set[Client] = set()
        self.counts: Counter[str] = Counter()
        """What clients did, by name: "connect", a request's method, "GET /path"."""
        self.strikes = Strikes(self)
        self._attempts = Allowance(*self.connects) if self.connects is not None else None

    def seconds(self, name: str) -> float:
        """One of `times`, or what was given in its place."""
        return self.stage.timers.given.get(name, self.times[name])

    def admits(self, now: float) -> bool:
        """Whether one more connection is within the venue's limits."""
        if self.sockets is not None and len(self.clients) >= self.sockets:
            return False
        return self._attempts is None or self._attempts.take(now)

    def deliver(self, message: Message, groups: Groups) -> None:
        """Send one message of a subscription: each group of clients gets it in its own envelope."""
        if self.strikes.is_needed and any(clients for clients, _ in groups):
            self.strikes.deliver(message, groups)
            return
        for clients, text in groups:
            frame = text_frame(text.encode())
            for client in clients:
                client.outbox.append(frame)

    def begin(self) -> None:
        """Tell the truth how every book looks before the first batch."""
        truth, ts = self.stage.truth, self.stage.ms()
        if truth is not None:
            for board in self.boards.values():
                bids, asks = self.levels(board, self.window)
                texts = board.texts(bids), board.texts(asks)
                truth.add(BookEvent(self.exchange, board.symbol, board.sequence, None, ts, *texts))

    def levels(self, board: BoardT, count: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The best `count` (price, lots) of both sides, no more than the venue shows."""
        return board.top(min(count, self.window))

    @abstractmethod
    def accepts(self, path: str) -> bool:
        """Whether there is a websocket at this path (without its query)."""

    @abstractmethod
    def opened(self, client: Client) -> None:
        """A client connected."""

    @abstractmethod
    def received(self, client: Client, message: str) -> None:
        """A client sent a text message."""

    @abstractmethod
    def closed(self, client: Client) -> None:
        """A client is gone."""

    @abstractmethod
    def answer(self, path: str, query: Mapping[str, str]) -> HttpAnswer:
        """Answer a REST GET."""

    @abstractmethod
    def publish(self, board: BoardT, batch: Batch) -> None:
        """Tell the subscribers what a batch did."""

    @abstractmethod
    def restart_numbering(self, board: BoardT) -> None:
        """Go on numbering a book's messages from a lower number, as venues do after maintenance."""

    def relisted(self, board: BoardT) -> None:
        """Tell who wants to know that the catalogue says something else of an instrument; nothing where a venue does not."""

    def notice(self, client: Client) -> str:
        """The message that announces the end of a client's connection, empty where a venue has none (and `cannot` says so)."""
        return ""

    def error(self, status: int) -> HttpAnswer:
        """A REST error in the venue's form."""
        return HttpAnswer(msgspec.json.encode({"code": status, "msg": f"HTTP {status}"}), status)

    @abstractmethod
    def idle(self, now: float) -> None:
        """Called about twenty times a second; `now` is the event loop's time."""


class Allowance:
    """At most `count` uses in any `seconds`."""

    def __init__(self, count: int, seconds: float) -> None:
        self._uses: deque[float] = deque(maxlen=count)
        self._count = count
        self._seconds = seconds

    def take(self, now: float) -> bool:
        """Use it once; False if that is too often."""
        uses = self._uses
        if len(uses) == self._count and now - uses[0] < self._seconds:
            return False
        uses.append(now)
        return True


class Credits:
    """A pool that refills: `most` at `per_second`."""

    def __init__(self, most: float, per_second: float, now: float) -> None:
        self._left = self._most = most
        self._per_second = per_second
        self._at = now

    def take(self, cost: float, now: float) -> bool:
        """Pay; False if the pool is too empty."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < cost:
            return False
        self._left -= cost
        return True
