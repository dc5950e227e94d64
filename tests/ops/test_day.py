"""Strips of the last day."""

from __future__ import annotations

from tests.ops.made import facts, subscription
from xtrader.ops.facts import Facts
from xtrader.ops.http.day import COUNT, WIDTH, LastDay

START = 2_000_000 * WIDTH
MINUTE = 60 * 10**9
NAME = "L2:OKX_SWAP@X"


def at(minutes: float, state: str = "live", since: float = 0, gaps: int = 0) -> Facts:
    ts = START + int(minutes * MINUTE)
    one = subscription(NAME, state=state, since=START + int(since * MINUTE), gaps={"silent": gaps})
    return facts(one, ts=ts)


def strip(day: LastDay) -> str:
    text = day.value()["strips"][NAME]
    assert len(text) == COUNT
    return str(text)


def test_a_stretch_is_as_good_as_the_worst_that_is_known_of_it() -> None:
    day = LastDay(START)
    day.observe(at(1))
    assert strip(day).strip(".") == "l"
    day.observe(at(14, "syncing", 13))
    assert strip(day).strip(".") == "s"
    day.observe(at(17, since=16))
    day.observe(at(29, "gap", 28))
    assert strip(day).strip(".") == "sg"
    day.observe(at(62, "live", 46))
    # From 29 to 46 minutes nobody looked, and what it was is not known: the third stretch is not called live for its first half.
    assert strip(day).strip(".").startswith("sg")
    assert strip(day).endswith("ll")


def test_a_gap_that_began_and_ended_between_two_looks_is_seen() -> None:
    day = LastDay(START)
    day.observe(at(1))
    day.observe(at(2, gaps=1, since=1.5))
    assert strip(day).strip(".") == "g"


def test_what_is_older_than_a_day_goes_away_and_files_add_what_went_before() -> None:
    day = LastDay(START)
    day.observe(at(1, "gap"))
    day.add(
        [(NAME, "live", START - 40 * MINUTE, START - 20 * MINUTE), (NAME, "gap", START - 90_000 * MINUTE, START - 80_000 * MINUTE)]
    )
    assert strip(day).strip(".") == "ll.g"
    day.observe(at(24 * 60 + 16, since=24 * 60))
    assert "g" not in strip(day)
    assert strip(day).endswith("l")
