"""KeepAlive: when a ping is due, and when a silent venue is dead."""

from __future__ import annotations

import pytest

from xtrader.errors import Unresponsive
from xtrader.venues.machine.channel import SECOND
from xtrader.venues.machine.keepalive import KeepAlive


def made(*, is_steady: bool = False) -> KeepAlive:
    alive = KeepAlive("VENUE", 20 * SECOND, 10 * SECOND, is_steady=is_steady)
    alive.begin(0)
    return alive


def due(alive: KeepAlive, until: int, heard: frozenset[int] | range = frozenset()) -> list[int]:
    """Seconds at which a ping was due; the venue is heard at the seconds `heard`."""
    found = []
    for second in range(1, until + 1):
        if second in heard:
            alive.heard = second * SECOND
        if alive.is_due(second * SECOND):
            found.append(second)
    return found


def test_a_ping_is_due_after_a_silence_and_not_again_while_its_answer_is_awaited() -> None:
    assert due(made(), 29) == [20]


def test_who_hears_something_all_the_time_pings_only_where_the_venue_wants_it_steadily() -> None:
    assert due(made(), 60, range(60)) == []
    assert due(made(is_steady=True), 60, range(60)) == [20, 40, 60]


@pytest.mark.parametrize("is_steady", [False, True])
def test_a_venue_that_says_nothing_after_a_ping_is_dead(is_steady: bool) -> None:
    with pytest.raises(Unresponsive, match="nothing was received for 30 s"):
        due(made(is_steady=is_steady), 30)


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it() -> None:
    alive = made()
    alive.heard = 1000 * SECOND
    assert not alive.is_due(5 * SECOND)
    assert alive.is_due(25 * SECOND)
