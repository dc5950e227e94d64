"""The trades of two connections recorded as one: each once, and a hole only where neither of them has what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from xtrader.feed.redundant import Redundant
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.machine.trades import TradeChain

BOOK = Subscription("L2", "X", "B")
TAPE = Subscription("TRADES", "X", "B")
MS = 1_000_000


@pytest.mark.parametrize("subscription", [BOOK, TAPE])
def test_a_connection_that_hangs_is_passed_after_seconds_and_holds_no_memory(subscription: Subscription) -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    book = Book()
    merged = Redundant([subscription], [lambda key: book, lambda key: book], stored.append)

    def take(number: int, at: int, ts: int) -> None:
        book.sequence = at
        if subscription is TAPE:
            merged.take(number, Trade(TAPE.key, str(at), "buy", 1.0, 1.0, None, ts, at))
        else:
            merged.take(number, BookUpdate(BOOK.key, False, [], [], at, at - 1, None, ts))

    for number, at in ((0, 100), (1, 103)):
        if subscription is BOOK:
            merged.take(number, BookUpdate(BOOK.key, True, [], [], at, None, None, 0))
        merged.take(number, Coverage(subscription.key, subscription.stream, "live", "start", 0, None))
        if subscription is TAPE:
            take(number, at, 0)
    for n in range(1, 60_000):
        take(1, 103 + n, n * MS)
    part = merged.of(subscription)
    assert max(len(member.held) for member in part.members) <= 10_000
    gaps = [r for r in stored if isinstance(r, Coverage) and r.state == "gap"]
    assert len(gaps) == 1
    assert gaps[0].ts_from == 0
    last = stored[-1]
    assert isinstance(last, Trade | BookUpdate)
    assert last.sequence is not None
    assert last.sequence > 60_000


class Two:
    """The trades of two live connections, recorded as one."""

    def __init__(self) -> None:
        self.stored: list[Trade | BookUpdate | Coverage] = []
        self.merged = Redundant([TAPE], [lambda key: None, lambda key: None], self.stored.append)
        self.now = MS
        self.chains = [TradeChain(TAPE.key, "start", Counter(), None) for _ in range(2)]
        for number in (0, 1):
            self.merged.take(number, Coverage(TAPE.key, "TRADES", "live", "start", self.now, None))

    def take(self, number: int, *trades: int, late: int = 0) -> None:
        """Trades with their numbers as seconds of their time, and what the connection's session says of them."""
        for at in trades:
            self.now += MS
            ts = (at + late) * 1000 * MS
            for row in self.chains[number].check(at, at, ts, self.now) or ():
                self.merged.take(number, row)
            self.merged.take(number, Trade(TAPE.key, str(at), "buy", 1.0, 1.0, ts, self.now, at))

    def drop(self, number: int) -> None:
        self.now += MS
        self.merged.take(number, Coverage(TAPE.key, "TRADES", "gap", "disconnect", self.now, None))

    @property
    def numbers(self) -> list[int | None]:
        return [record.sequence for record in self.stored if isinstance(record, Trade)]

    @property
    def told(self) -> list[tuple[str, int | None, int | None]]:
        """What is said of missing numbers, and the gaps without any."""
        rows = [record for record in self.stored if isinstance(record, Coverage) and record.ts_to is not None]
        return [(row.cause, row.ids_from, row.ids_to) for row in rows]


def test_a_late_trade_is_no_hole_while_the_other_connection_brings_it_too() -> None:
    two = Two()
    two.take(1, 99)
    two.take(0, 100, 102, 101, 103)
    two.take(1, 100, 101, 102, 103)
    assert (two.numbers, two.told) == ([99, 100, 101, 102, 103], [])


def test_a_late_trade_fills_the_hole_that_no_connection_covers() -> None:
    two = Two()
    two.drop(1)
    two.take(0, 100, 103, 102)
    assert (two.numbers, two.told) == ([100, 103, 102], [("venue_gap", 101, 102), ("filled", 102, 102)])


def test_what_one_connection_missed_is_filled_by_the_other_one_long_after() -> None:
    two = Two()
    two.take(0, 100, 105)
    two.take(1, 98, 99, 100, 101, 102, 103, 104, 105, 106)
    assert sorted(two.numbers, key=str) == sorted(range(98, 107), key=str)
    assert two.told == [("venue_gap", 101, 104), *(("filled", n, n) for n in (98, 99, 101, 102, 103, 104))]


def test_the_connection_that_is_first_does_not_decide_what_was_before_it() -> None:
    two = Two()
    two.take(0, 105)
    two.take(1, 103, 104, 105, 106)
    assert (two.numbers, two.told) == ([105, 103, 104, 106], [("filled", 103, 103), ("filled", 104, 104)])


def test_a_hole_ends_where_the_first_trade_is_that_any_connection_holds() -> None:
    two = Two()
    two.take(0, 100)
    two.take(1, 100)
    two.take(1, 104, 105)
    two.take(0, 108)
    assert (two.numbers, two.told) == ([100, 104, 105], [("disconnect", 101, 103)]), "the other one may still bring 106"
    two.drop(1)
    assert (two.numbers[3:], two.told[1:]) == ([108], [("disconnect", 106, 107)])


def test_a_connection_that_is_seconds_behind_after_a_reconnect_doubles_nothing() -> None:
    two = Two()
    two.take(0, *range(900, 1001))
    two.drop(1)
    two.chains[1] = TradeChain(TAPE.key, "disconnect", Counter(), None)
    two.merged.take(1, Coverage(TAPE.key, "TRADES", "live", "disconnect", two.now, None))
    two.take(1, *range(976, 1011))
    assert (two.numbers, two.told) == (list(range(900, 1011)), [])


def test_a_connection_without_a_trade_yet_does_not_count_the_old_way_after_the_other_one_began_anew() -> None:
    two = Two()
    two.take(0, 500)
    two.take(0, 1, late=600)
    two.drop(0)
    two.take(1, 2, 3, late=600)
    assert two.numbers == [500, 1, 2, 3]


def test_a_connection_that_was_silent_does_not_bring_trades_of_before_the_venue_began_anew() -> None:
    two = Two()
    two.take(0, 500)
    two.take(0, 1, late=600)
    two.take(1, 501, 502)
    two.take(0, 2, late=600)
    two.take(1, 2, 3, late=600)
    assert (two.numbers, two.told) == ([500, 1, 2, 3], [("venue_gap", None, None)])


def test_a_connection_that_was_first_to_count_anew_goes_on_when_the_other_one_is_lost() -> None:
    two = Two()
    two.take(0, 500)
    two.take(1, 600, late=600)
    two.take(0, 1, late=1150)
    two.drop(0)
    two.take(1, 601, late=600)
    assert (two.numbers, two.told) == ([500, 1, 600, 601], [("venue_gap", None, None), ("disconnect", 2, 599)])


def test_what_a_silent_connection_lacks_begins_where_another_one_last_recorded() -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([TAPE], [lambda key: None, lambda key: None], stored.append)

    def cover(number: int, state: str, cause: str, ts_from: int, ts_to: int | None = None) -> None:
        merged.take(number, Coverage(TAPE.key, "TRADES", state, cause, ts_from * MS, None if ts_to is None else ts_to * MS))

    cover(0, "live", "start", 0)
    cover(1, "live", "disconnect", 20)
    merged.take(0, Trade(TAPE.key, "100", "buy", 1.0, 1.0, None, 30 * MS, 100))
    cover(0, "gap", "disconnect", 31)
    cover(1, "gap", "silent", 20, 90)
    cover(1, "syncing", "silent", 90)
    gaps = [row for row in stored if isinstance(row, Coverage) and row.state == "gap"]
    assert [(row.cause, row.ts_from, row.ts_to) for row in gaps] == [("silent", 30 * MS, 90 * MS)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_one_connection_is_known_to_have_recorded_is_live_when_both_stop(order: tuple[int, int]) -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([TAPE], [lambda key: None, lambda key: None], stored.append)
    for number, ts in ((0, 0), (1, 50)):
        merged.take(number, Coverage(TAPE.key, "TRADES", "live", "start", ts * MS, None))
    known = (100, 50)
    for number in order:
        merged.take(number, Coverage(TAPE.key, "TRADES", "gap", "shutdown", known[number] * MS, None))
    gaps = [row for row in stored if isinstance(row, Coverage) and row.state == "gap"]
    assert [(row.cause, row.ts_from) for row in gaps] == [("shutdown", 100 * MS)]


def test_a_connection_that_never_was_live_proves_nothing_when_it_stops() -> None:
    stored: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([TAPE], [lambda key: None, lambda key: None], stored.append)
    merged.take(0, Coverage(TAPE.key, "TRADES", "live", "start", 50 * MS, None))
    merged.take(1, Coverage(TAPE.key, "TRADES", "syncing", "start", 60 * MS, None))
    merged.take(1, Coverage(TAPE.key, "TRADES", "gap", "shutdown", 100 * MS, None))
    merged.take(0, Coverage(TAPE.key, "TRADES", "gap", "shutdown", 50 * MS, None))
    gaps = [row for row in stored if isinstance(row, Coverage) and row.state == "gap"]
    assert [(row.cause, row.ts_from) for row in gaps] == [("shutdown", 50 * MS)]


def tape(*rows: tuple[int, Trade | Coverage]) -> list[Trade | BookUpdate | Coverage]:
    """What is stored of what two connections of a tape said, (number, record) each."""
    stored: list[Trade | BookUpdate | Coverage] = []
    merged = Redundant([TAPE], [lambda key: None, lambda key: None], stored.append)
    for number, row in rows:
        merged.take(number, row)
    return stored


def row(state: str, since: int, until: int | None = None, cause: str = "start") -> Coverage:
    return Coverage(TAPE.key, "TRADES", state, cause, since * MS, None if until is None else until * MS)


def a_trade(number: int, ts: int, ts_event: int | None = None) -> Trade:
    return Trade(TAPE.key, str(number), "buy", 1.0, 1.0, (ts if ts_event is None else ts_event) * MS, ts * MS, number)


def gaps_of(stored: Iterable[Trade | BookUpdate | Coverage]) -> list[tuple[str, int, int | None]]:
    gaps = [one for one in stored if isinstance(one, Coverage) and one.state == "gap"]
    return [(one.cause, one.ts_from // MS, None if one.ts_to is None else one.ts_to // MS) for one in gaps]


@pytest.mark.parametrize("heir", ["silent", "disconnect"])
def test_a_connection_that_took_over_and_brought_nothing_does_not_prove_the_silence_before_it(heir: str) -> None:
    end = row("gap", 50, 90, heir) if heir == "silent" else row("gap", 50, None, heir)
    stored = tape(
        (0, row("live", 0)),
        (0, a_trade(1, 20)),
        (1, row("live", 50, cause="disconnect")),
        (0, row("gap", 20, None, "disconnect")),
        (1, end),
        (1, row("syncing", 90, cause=heir)),
    )
    assert gaps_of(stored) == [(heir, 20, 90 if heir == "silent" else None)]


@pytest.mark.parametrize("others", [1, 2])
def test_what_a_lost_connection_had_beyond_a_hole_is_stored_when_nobody_fills_it(others: int) -> None:
    """The old one is dead and not known to be; the new one has 12, 13 and 15, and is lost before the old one is given up."""
    again = [] if others == 1 else [(1, row("syncing", 60)), (1, row("live", 60)), (1, a_trade(20, 70)), (1, row("gap", 70))]
    stored = tape(
        (0, row("live", 0)),
        (0, a_trade(10, 20)),
        (1, row("live", 30)),
        *((1, a_trade(number, 10 * number - 80)) for number in (12, 13, 15)),
        (1, row("gap", 70)),
        *again,
        (0, row("gap", 20, None, "disconnect")),
    )
    numbers = [one.sequence for one in stored if isinstance(one, Trade)]
    assert numbers == [10, 12, 13, 15] + [20] * (others == 2)
    holes = [(one.ids_from, one.ids_to) for one in stored if isinstance(one, Coverage) and one.ids_from is not None]
    assert holes == [(11, 11)] + [(16, 19)] * (others == 2)
    assert gaps_of(stored)[-1] == ("disconnect", 70, None)


def test_what_a_lost_connection_had_beyond_a_hole_is_stored_once_where_another_one_brings_it() -> None:
    stored = tape(
        (0, row("live", 0)),
        (0, a_trade(10, 20)),
        (1, row("live", 30)),
        *((1, a_trade(number, 10 * number - 80)) for number in (12, 13, 15)),
        (1, row("gap", 70)),
        *((0, a_trade(number, 80)) for number in (11, 12, 13, 15, 16)),
    )
    assert [one.sequence for one in stored if isinstance(one, Trade)] == [10, 11, 12, 13, 15, 16]
    assert gaps_of(stored) == []


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_trade_waits_for_five_seconds_and_what_would_have_linked_it_fills_the_hole_later(is_lost: bool) -> None:
    stored = tape(
        (0, row("live", 0)),
        (0, a_trade(10, 20)),
        (1, row("live", 30)),
        (1, a_trade(12, 40)),
        *[(1, row("gap", 50))] * is_lost,
        (0, a_trade(11, 30_040, 35)),
        (0, a_trade(12, 30_040, 40)),
        (0, a_trade(13, 30_041)),
    )
    assert [(one.sequence, one.ts_recv // MS) for one in stored if isinstance(one, Trade)] == [
        (10, 20),
        (12, 40),
        (11, 30_040),
        (13, 30_041),
    ]
    told = [(one.state, one.cause, one.ids_from) for one in stored if isinstance(one, Coverage) and one.ids_from is not None]
    assert told == [("gap", "disconnect", 11), ("live", "filled", 11)]
