import io

from rich.console import Console

from tests.feed.clocks import HandClock
from xtrader.app.status import table
from xtrader.app.telemetry import Sync


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
