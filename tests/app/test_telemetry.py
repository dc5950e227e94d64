from typing import Any

from structlog.testing import capture_logs

from tests.feed.clocks import HandClock
from tests.ops.made import NOW, facts, sink, subscription
from xtrader.app.telemetry import Sync, report
from xtrader.ops.facts import Facts


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


def lines_of(told: Facts, *, every: bool = False) -> list[Any]:
    with capture_logs() as lines:
        report(told, Sync(HandClock()), NOW, every=every)
    return lines


def test_telemetry_is_one_line_for_the_whole_and_one_for_each_subscription_that_is_ill() -> None:
    well = [subscription(f"TRADES:OKX_SWAP@X{n}") for n in range(200)]
    ill = subscription("L2:OKX_SWAP@ILL", state="gap", cause="silent", detail="nothing came")
    lines = lines_of(facts(*well, ill))
    assert [line.get("subscription") for line in lines] == [ill.name, None]
    assert (lines[0]["cause"], lines[0]["about"]) == ("silent", "nothing came")
    assert (lines[1]["in_sync"], lines[1]["subscriptions"], lines[1]["ready"], lines[1]["ill"]) == (200, 201, False, 1)
    assert len(lines_of(facts(*well, ill), every=True)) == 202


def test_what_ails_the_recorder_itself_is_in_the_line_for_the_whole() -> None:
    (line,) = lines_of(facts(subscription(), sinks=(sink("files", error="HTTP status 503"),)))
    assert line["troubles"] == ["sink files: HTTP status 503"]
    assert line["ready"] is False
