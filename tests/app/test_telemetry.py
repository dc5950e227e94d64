import io

import pytest
from rich.console import Console

from tests.feed.clocks import HandClock
from xtrader.app.status import table
from xtrader.app.telemetry import Sync, health, trouble
from xtrader.feed.feed import SubscriptionState
from xtrader.model.book import Book
from xtrader.model.subscription import Subscription


def test_the_time_to_full_sync_is_estimated_from_the_pace_and_told_once_it_is_reached() -> None:
    clock = HandClock()
    sync = Sync(clock)
    assert sync.look(0, 300) is None
    assert sync.told(0, 300) == "0 of 300 in sync"
    clock.move(20)
    assert sync.look(100, 300) is None
    assert sync.told(100, 300) == "100 of 300 in sync, the rest in about 40 s"
    clock.move(41)
    assert sync.look(300, 300) == 61
    assert sync.told(300, 300) == ""
    assert sync.look(300, 300) is None


def test_a_later_loss_of_sync_is_measured_from_its_own_beginning() -> None:
    clock = HandClock()
    sync = Sync(clock)
    sync.look(2, 2)
    clock.move(10)
    sync.look(1, 2)
    clock.move(3)
    assert sync.look(2, 2) == 3


def test_what_is_told_stands_below_the_lines() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(table([], "1 of 2 in sync"))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-1].strip() == "1 of 2 in sync"


@pytest.mark.parametrize(
    ("state", "cause", "depth", "word", "said"),
    [
        ("live", "start", 5000, "ok", ""),
        ("live", "start", 1000, "shallow", "1,000 of 5,000 levels a side since 22:13:20 UTC"),
        ("live", "start", None, "ok", ""),
        ("gap", "crossed", None, "crossed", "bid above ask"),
    ],
)
def test_a_line_says_how_a_book_is_and_since_when(state: str, cause: str, depth: int | None, word: str, said: str) -> None:
    standing = SubscriptionState(
        subscription=Subscription("L2", "BINANCE_SPOT", "BTCUSDT"),
        state=state,
        cause=cause,
        detail="bid above ask" if state == "gap" else "",
        messages=1,
        gaps=0,
        ts_last=0,
        book=Book() if state == "live" else None,
        last_price=None,
        connections=1,
        wanted_connections=1,
        depth=depth,
        deepest=5000,
        since=1_700_000_000 * 10**9,
    )
    assert (health(standing), trouble(standing)) == (word, said)
