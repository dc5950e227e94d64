"""Faults on the sequence level, by the hundred thousand: messages lost, doubled, swapped, numbers begun anew, connections cut.

After every one the book equals the truth at the number it states, or it was declared broken; every trade is stored once or named as
missing. XTRADER_FAULTS sets how many faults there are in all, XTRADER_FAULTS_SEED the first seed; a seed replays the same faults.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from random import Random

import pytest

from tests.venues.speakers import SPEAKERS, Level, Speaker
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, MarketSession, Output
from xtrader.venues.machine.trades import SeenTrades

FAULTS = int(os.environ.get("XTRADER_FAULTS", "40000"))
SEED = int(os.environ.get("XTRADER_FAULTS_SEED", "1"))
EPISODE = 1_000
"""Faults of one seed."""
MS = 1_000_000
FATES = ["fine"] * 8 + ["lost"] * 4 + ["doubled"] * 4 + ["swapped"] * 4 + ["late"] * 2
GRACE = 5_200
"""Milliseconds after which numbers that began anew must have been found; until then they may pass for repetitions."""
UNDATED = 30_200
"""The same for books whose snapshot states no time: changes below its number may be those of a stream that is behind."""


class BookTruth:
    """The venue's book, and what was stored of it. Every size is the version that set it, so no two versions are equal."""

    def __init__(self, random: Random, grace: int) -> None:
        self._random = random
        self._grace = grace
        self.number = 1_000_000
        self.version = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.recent: deque[tuple[int, int, dict[int, int], dict[int, int]]] = deque(maxlen=8)
        self.states: dict[int, tuple[int, dict[int, int], dict[int, int]]] = {}
        self.stored_bids: dict[float, float] = {}
        self.stored_asks: dict[float, float] = {}
        self.stored: int | None = None
        """Version that is stored; None while the book is declared broken."""
        self.lost = -1
        """The newest version that a fault kept from the session."""
        self.ts_reset: int | None = None
        self._keep()

    def change(self) -> tuple[int, list[Level], list[Level]]:
        """(number before, bids, asks) of the next version."""
        random = self._random
        previous = self.number
        self.version += 1
        levels: tuple[list[Level], list[Level]] = ([], [])
        for side, (held, out) in enumerate(zip((self.bids, self.asks), levels, strict=True)):
            price = int(random.random() * 6) + 1 + 10 * side
            size = self.version if random.random() < 0.8 else 0
            held.pop(price, None)
            if size:
                held[price] = size
            out.append((price, size))
        self.number += int(random.random() * 4) + 1
        self._keep()
        return previous, *levels

    def begin_anew(self, ms: int) -> None:
        """Numbers from now on are lower than before."""
        self.number -= int(self._random.random() * 300_000) + 100_000
        if self.number < 1:
            self.number = 500_000
        self.recent.clear()
        self.states.clear()
        self.ts_reset = ms
        self._keep()

    def _keep(self) -> None:
        state = (self.version, dict(self.bids), dict(self.asks))
        self.recent.append((self.number, *state))
        self.states[self.number] = state
        if len(self.states) > 4000:
            for number in list(self.states)[:2000]:
                del self.states[number]

    def take(self, update: BookUpdate) -> None:
        """What the session emitted must be true; a change must follow what is stored without leaving out a version."""
        assert update.sequence is not None
        version, bids, asks = self.states[update.sequence]
        if update.is_snapshot:
            self.stored_bids.clear()
            self.stored_asks.clear()
        else:
            assert self.stored is not None, "a change was stored where no book is"
            assert version - self.stored <= 1, "versions were left out, and nothing says so"
        for side, levels in ((self.stored_bids, update.bids), (self.stored_asks, update.asks)):
            for price, size in levels:
                side.pop(price, None)
                if size:
                    side[price] = size
        assert (self.stored_bids, self.stored_asks) == (bids, asks), "the stored book is not the true one"
        self.stored = version

    def broken(self) -> None:
        """The session declared a gap: there must be a reason."""
        assert self.stored is None or self.lost > self.stored or self.ts_reset is not None, "a gap where nothing is missing"
        self.stored = None

    def check(self, ms: int) -> None:
        """After the newest message was delivered: its state is stored, or the book is declared broken."""
        if self.ts_reset is not None:
            if self.stored is None or self.stored == self.version:
                self.ts_reset = None
            elif ms - self.ts_reset <= self._grace:
                return
        assert self.stored is None or self.stored == self.version, "a change was dropped, and nothing says so"


class TradeTruth:
    """The venue's trades, and which numbers were stored or declared missing."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.number = 700_000
        self.accounted: int | None = None
        self.ts_reset: int | None = None
        self.stored: set[int] = set()
        self.missing: set[int] = set()
        """What the rows say is missing."""
        self.lost: set[int] = set()
        """What never arrived, since the first trade."""

    def print(self, counts: bool) -> tuple[int, int]:
        """(first, last) number of the next print."""
        first = self.number + 1
        self.number += int(self._random.random() * 3) + 1 if counts else 1
        return first, self.number

    def begin_anew(self, ms: int) -> None:
        self.number = max(1, self.number - 200_000) if self.number > 300_000 else 700_000 + self.number
        self.ts_reset = ms

    def take(self, trade: Trade, counts: dict[int, int]) -> None:
        assert trade.sequence is not None
        numbers = set(range(counts[trade.sequence], trade.sequence + 1))
        assert not numbers & self.stored, "a trade is stored twice"
        assert not numbers & self.missing, "a trade is stored that is told as missing"
        self.stored |= numbers
        is_late = self.accounted is not None and trade.sequence <= self.accounted
        assert is_late or self.accounted is None or min(numbers) == self.accounted + 1, "a trade is missing"
        self.accounted = self.accounted if is_late else trade.sequence

    def tell(self, row: Coverage) -> None:
        """A row about numbers: they are missing, came after all, or began anew."""
        if row.ids_from is None or row.ids_to is None:
            assert self.ts_reset is not None, "numbers did not begin anew"
            self.ts_reset = self.accounted = None
            self._forget()
            return
        named = set(range(row.ids_from, row.ids_to + 1))
        if row.cause == "filled":
            self.missing -= named
            return
        if self.ts_reset is not None:
            # A jump forwards by numbers that began anew cannot be told from a loss.
            self.ts_reset = None
            self._forget()
        else:
            assert self.accounted is None or row.ids_from == self.accounted + 1
            self.missing |= named
        self.accounted = row.ids_to

    def lose(self, first: int) -> None:
        """The trades from `first` on never arrive."""
        if self.accounted is not None:
            self.lost.update(range(first, self.number + 1))

    def _forget(self) -> None:
        self.stored.clear()
        self.missing.clear()
        self.lost.clear()

    def check(self, ms: int) -> None:
        if self.ts_reset is not None and ms - self.ts_reset <= GRACE:
            return
        assert self.accounted is None or self.accounted == self.number, "a trade was dropped, and nothing says so"
        assert self.ts_reset is not None or self.missing == self.lost, "told as missing what came, or the other way round"


class Episode:
    """One instrument's book and trades through a chain of sessions, a fault at more than every second message."""

    def __init__(self, speaker: Speaker, seed: int) -> None:
        self.random = random = Random(seed)
        self.speaker = speaker
        self.market = market(speaker.exchange, {})
        self.books = BookTruth(random, UNDATED if speaker.exchange.startswith("BINANCE") else GRACE)
        self.tape = TradeTruth(random)
        self.firsts: dict[int, int] = {}
        self.faults: Counter[str] = Counter()
        self.ms = 1_790_000_000_000
        self.now = self.ms * MS
        self.asked: Fetch | None = None
        self.owed = -1
        """Messages until the book that was asked for comes; -1 if none was."""
        self.session = self.connect({})

    def connect(self, resume: dict[str, SeenTrades]) -> MarketSession:
        one = self.speaker
        subscriptions = [Subscription(stream, one.exchange, one.symbol) for stream in ("L2", "TRADES")]
        links = self.market.links(subscriptions)
        link = links[0].__class__(one.exchange, "test", "", tuple(subscriptions))
        self.session = self.market.session(link, "disconnect", resume)
        self.owed, self.asked, self.books.stored = -1, None, None
        self.note(self.session.start(self.now))
        for text in one.hello():
            self.note(self.session.receive(text, self.now))
        if not isinstance(self.asked, Fetch) and "BINANCE" not in one.exchange:
            self.owed = 1
        return self.session

    def note(self, outputs: object) -> None:
        for output in outputs:  # type: ignore[attr-defined]
            self.take(output)

    def take(self, output: Output) -> None:
        if isinstance(output, BookUpdate):
            self.books.take(output)
        elif isinstance(output, Trade):
            self.tape.take(output, self.firsts)
        elif isinstance(output, Coverage):
            if output.state == "gap" and output.stream == "L2":
                self.books.broken()
            elif output.state == "gap" or output.cause == "filled":
                self.tape.tell(output)
        elif self.speaker.asks_for_book(output):
            self.asked = output if isinstance(output, Fetch) else None
            self.owed = int(self.random.random() * 4)

    def hear(self, text: bytes) -> None:
        self.now += MS
        self.note(self.session.receive(text, self.now))

    def run(self, faults: int) -> None:
        random = self.random
        while self.faults.total() < faults:
            self.ms += 50
            self.now = max(self.now, self.ms * MS)
            chance = random.random()
            if chance < 0.004:
                self.cut()
            elif chance < 0.006:
                self.begin_anew()
            (self.change if random.random() < 0.6 else self.trade)(random.choice(FATES))
            self.serve()

    def messages(self, fate: str, make: object) -> tuple[list[bytes], int]:
        """The messages to deliver, in order, and how many versions or prints they are."""
        assert callable(make)
        first: bytes = make()
        if fate == "doubled":
            return [first, first], 1
        if fate == "swapped":
            return [make(), first], 2
        if fate == "late":
            second: bytes = make()
            return [second, make(), first], 3
        return [first], 1

    def change(self, fate: str) -> None:
        def make() -> bytes:
            previous, bids, asks = self.books.change()
            return self.speaker.delta(previous, self.books.number, bids, asks, self.ms)

        before = self.books.version
        texts, _ = self.messages(fate, make)
        if fate != "fine":
            self.faults[f"book {fate}"] += 1
        if fate in ("swapped", "late", "lost"):
            self.books.lost = before + 1
        for text in () if fate == "lost" else texts:
            self.hear(text)
        if fate != "lost":
            self.books.check(self.ms)

    def trade(self, fate: str) -> None:
        def make() -> bytes:
            first, last = self.tape.print(self.speaker.counts)
            self.firsts[last] = first
            return self.speaker.trade(first, last, self.ms)

        before = self.tape.number
        texts, _ = self.messages(fate, make)
        if fate != "fine":
            self.faults[f"trade {fate}"] += 1
        if fate == "lost":
            self.tape.lose(before + 1)
        for text in () if fate == "lost" else texts:
            self.hear(text)
        if fate != "lost":
            self.tape.check(self.ms)

    def cut(self) -> None:
        self.faults["cut"] += 1
        self.connect(dict(self.session.resume()))

    def begin_anew(self) -> None:
        """Numbers from here on are lower, of the book or of the trades."""
        self.faults["numbers begun anew"] += 1
        if self.random.random() < 0.5:
            self.books.begin_anew(self.ms)
            return
        self.tape.begin_anew(self.ms)

    def serve(self) -> None:
        """Answer what was asked for when it is due; where a venue rations requests, let time pass until it is asked."""
        if self.owed > 0:
            self.owed -= 1
        elif self.owed == 0:
            self.owed = -1
            behind = min(int(self.random.random() * 3), len(self.books.recent) - 1) if self.asked is not None else 0
            number, _, bids, asks = self.books.recent[-1 - behind]
            text = self.speaker.snapshot(number, bids.items(), asks.items(), self.ms)
            if self.asked is None:
                self.hear(text)
            else:
                asked, self.asked = self.asked, None
                self.faults["stale snapshot"] += behind > 0
                self.note(self.session.answer(asked, 200, text, self.now))
        elif self.books.stored is None and "BINANCE" not in self.speaker.exchange:
            self.ms += 301_000
            self.now = self.ms * MS
            self.trade("fine")
            self.note(self.session.idle(self.now))


@pytest.mark.parametrize("exchange", list(SPEAKERS))
def test_no_fault_goes_by_undetected(exchange: str) -> None:
    total: Counter[str] = Counter()
    seed = SEED
    while total.total() < FAULTS / len(SPEAKERS):
        episode = Episode(SPEAKERS[exchange], seed)
        try:
            episode.run(EPISODE)
        except AssertionError as error:
            raise AssertionError(f"{error}; replay with XTRADER_FAULTS_SEED={seed} XTRADER_FAULTS=1") from error
        total.update(episode.faults)
        seed += 1
    print(f"{exchange}: {total.total()} faults, seeds {SEED} to {seed - 1}: {dict(total)}")
    assert all(total[f"{what} {fate}"] for what in ("book", "trade") for fate in ("lost", "doubled", "swapped", "late"))
    assert total["cut"]
    assert total["numbers begun anew"]
