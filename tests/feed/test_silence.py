"""Silence is measured against what is usual for each subscription, and quiet ones are asked about less and less often."""

from __future__ import annotations

import pytest

from xtrader.clock import SECOND
from xtrader.feed.silence import ACKNOWLEDGE, SilenceWatch
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Activity

T0 = 1_800_000_000 * SECOND
BOOK = Subscription("L2", "BINANCE_FUTURES", "BTCUSDT")
PRINTS = Subscription("TRADES", "BINANCE_FUTURES", "BTCUSDT")


def seen(subscription: Subscription, *, acked: float = 0, last: float = 0, messages: int = 0, state: str = "live") -> Activity:
    return Activity(subscription, state, messages, T0 + int(last * SECOND) if last else 0, T0 + int(acked * SECOND))


def ask(watch: SilenceWatch, activity: Activity, seconds: float) -> bool:
    return watch.due({activity.subscription: activity}, T0 + int(seconds * SECOND)) == [activity.subscription]


def test_a_subscription_that_never_delivered_is_asked_about_ten_seconds_after_its_acknowledgement() -> None:
    watch = SilenceWatch()
    silent = seen(PRINTS, acked=1)
    assert not ask(watch, silent, 10.5)
    assert ask(watch, silent, 11.5)


def test_a_busy_book_is_asked_about_after_ten_seconds_and_a_slow_one_much_later() -> None:
    busy = seen(BOOK, acked=0.1, last=100, messages=1000)
    slow = seen(BOOK, acked=0.1, last=100, messages=20)
    assert ask(SilenceWatch(), busy, 111)
    assert not ask(SilenceWatch(), slow, 111)
    assert ask(SilenceWatch(), slow, 240)


def test_a_silence_found_quiet_is_asked_about_again_after_twice_the_time_each_time() -> None:
    watch = SilenceWatch()
    quiet = seen(PRINTS, acked=0.001)
    asked = [second for second in range(0, 400) if ask(watch, quiet, second)]
    assert asked == [11, 32, 73, 154, 315]


@pytest.mark.parametrize("messages", [0, 1], ids=["nothing", "the snapshot that was asked for"])
@pytest.mark.parametrize("before", [0, 5, 5000])
def test_what_brought_nothing_since_it_was_subscribed_anew_is_asked_about_like_what_never_did(before: int, messages: int) -> None:
    watch = SilenceWatch()
    busy = seen(BOOK, acked=0.1, last=99, messages=before)
    assert not ask(watch, busy, 100)
    anew = seen(BOOK, acked=1000, last=1000 if messages else 99, messages=before)
    assert not ask(watch, anew, 1001)
    anew.messages += messages
    assert [second for second in range(1001, 1100) if ask(watch, anew, second)] == [1011, 1032, 1073]


def test_the_time_without_a_subscription_does_not_make_a_busy_stream_look_slow() -> None:
    watch = SilenceWatch()
    assert not ask(watch, seen(BOOK, acked=0.1, last=9, messages=2), 10)
    assert not ask(watch, seen(BOOK, acked=1000, last=9, messages=2), 1000)
    assert ask(watch, seen(BOOK, acked=1000, last=1020, messages=102), 1031)


def test_data_makes_the_silence_begin_anew() -> None:
    watch = SilenceWatch()
    assert ask(watch, seen(BOOK, acked=0.1, last=20, messages=200), 31)
    assert not ask(watch, seen(BOOK, acked=0.1, last=40, messages=201), 45)
    assert ask(watch, seen(BOOK, acked=0.1, last=40, messages=201), 51)


def test_what_the_venue_refused_is_not_silence() -> None:
    assert not ask(SilenceWatch(), seen(BOOK, acked=1, state="rejected"), 1000)


def test_a_request_that_is_never_acknowledged_is_noticed_once_it_was_all_sent() -> None:
    watch = SilenceWatch()
    unanswered = {PRINTS: Activity(PRINTS), BOOK: seen(BOOK, acked=2)}
    assert watch.unacknowledged(unanswered, 0, T0 + 3600 * SECOND) == []
    assert watch.unacknowledged(unanswered, T0 + SECOND, T0 + ACKNOWLEDGE * SECOND) == []
    assert watch.unacknowledged(unanswered, T0 + SECOND, T0 + (ACKNOWLEDGE + 1) * SECOND) == [PRINTS]
