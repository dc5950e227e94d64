"""What is told of a recorder that is not well."""

from typing import Any

import msgspec
import pytest

from tests.ops.made import NOW, facts, sink, subscription
from xtrader.ops.facts import Facts, Histogram, JournalFacts
from xtrader.ops.health import SECOND, is_alive, is_ready, trouble, troubles

JOURNAL = JournalFacts("/there", 1 << 30, 1 << 34, 1 << 40, 1 << 29, True, 10, 10, 0.5, 5, Histogram(), 0)
STALLED = msgspec.structs.replace(JOURNAL, silence=6.0)
WELL = facts(subscription(), journals=(JOURNAL,), sinks=(sink(),))


SILENT = subscription(since=NOW - 3600 * SECOND, ts_last=NOW - 21 * SECOND)


def test_a_recorder_that_is_well_has_no_troubles() -> None:
    assert troubles(WELL, NOW) == []
    assert is_alive(WELL, NOW)
    assert is_ready(WELL, NOW)


@pytest.mark.parametrize(
    ("ill", "subject", "kind"),
    [
        (msgspec.structs.replace(WELL, ts=NOW - 6 * SECOND), "recorder", "hung"),
        (msgspec.structs.replace(WELL, missing=(1,)), "worker 1", "gone"),
        (msgspec.structs.replace(WELL, wanted=2), "recorder", "starting"),
        (msgspec.structs.replace(WELL, stopping="SIGTERM"), "recorder", "stopping"),
        (msgspec.structs.replace(WELL, journals=(msgspec.structs.replace(JOURNAL, room=False),)), "journal", "full"),
        (msgspec.structs.replace(WELL, journals=(STALLED,)), "journal", "stalled"),
        (msgspec.structs.replace(WELL, sinks=(sink(alive=False),)), "sink files", "gone"),
        (msgspec.structs.replace(WELL, sinks=(sink(error="HTTP status 503"),)), "sink files", "failing"),
        (msgspec.structs.replace(WELL, sinks=(sink(behind_seconds=61.0),)), "sink files", "behind"),
        (msgspec.structs.replace(WELL, subscriptions=(subscription(state="syncing"),)), subscription().name, "syncing"),
        (msgspec.structs.replace(WELL, subscriptions=(SILENT,)), subscription().name, "silent"),
    ],
)  # fmt: skip
def test_what_is_not_well_is_named_and_the_recorder_is_not_ready(ill: Facts, subject: str, kind: str) -> None:
    (told,) = troubles(ill, NOW)
    assert (told.subject, told.kind) == (subject, kind)
    assert told.words
    assert not is_ready(ill, NOW)


def test_a_subscription_that_came_back_is_not_silent_for_what_came_before() -> None:
    again = subscription(ts_last=NOW - 60 * SECOND, since=NOW - 19 * SECOND)
    assert is_ready(msgspec.structs.replace(WELL, subscriptions=(again,)), NOW)
    assert not is_ready(
        msgspec.structs.replace(WELL, subscriptions=(msgspec.structs.replace(again, since=NOW - 21 * SECOND),)), NOW
    )


def test_what_hangs_is_not_alive_and_what_only_waits_for_room_or_for_a_worker_is() -> None:
    assert is_alive(msgspec.structs.replace(WELL, missing=(1,)), NOW)
    assert not is_alive(msgspec.structs.replace(WELL, ts=NOW - 6 * SECOND), NOW)
    assert is_alive(msgspec.structs.replace(WELL, journals=(msgspec.structs.replace(JOURNAL, room=False),)), NOW)


@pytest.mark.parametrize(
    ("book", "other", "said"),
    [
        ("ok", {}, ""),
        ("shallow", {"depth": 1000, "deepest": 5000}, "1,000 of 5,000 levels a side since 22:13:20 UTC"),
        ("ok", {"connections": ("A/0", "A/0-2")}, "1 of 2 connections"),
        ("crossed", {"state": "gap", "cause": "crossed", "detail": "bid above ask"}, "bid above ask"),
    ],
)
def test_a_line_says_what_is_wrong_with_a_subscription_and_since_when(book: str, other: dict[str, Any], said: str) -> None:
    assert trouble(subscription(book=book, **other)) == said


def test_a_shallow_book_is_told_and_does_not_keep_a_recorder_from_being_ready() -> None:
    one = subscription(book="shallow", depth=1000, deepest=5000)
    ill = msgspec.structs.replace(WELL, subscriptions=(one,))
    assert [(told.kind, told.blocks) for told in troubles(ill, NOW)] == [("shallow", False)]
    assert is_ready(ill, NOW)
