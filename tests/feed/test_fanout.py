"""Whoever listens beside the journal hears each record after it, and can neither break nor hold up recording."""

from __future__ import annotations

import os.path
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from tests.feed.clocks import HandClock
from tests.pipeline.numbered import trade
from xtrader.clock import SECOND
from xtrader.errors import ConfigError, StorageError
from xtrader.feed.fanout import consumer, fan_out
from xtrader.model.market import Record


def spends(clock: HandClock, ns: int, heard: list[Record]) -> Callable[[Record], None]:
    def consume(record: Record) -> None:
        clock.move(ns / SECOND)
        heard.append(record)

    return consume


def test_without_listeners_the_journal_is_called_directly() -> None:
    journal: list[Record] = []
    assert fan_out(journal.append, [], HandClock()) == journal.append


def test_the_journal_has_a_record_before_anybody_hears_of_it() -> None:
    order: list[str] = []
    put = fan_out(
        lambda record: order.append("journal"), [lambda record: order.append("a"), lambda record: order.append("b")], HandClock()
    )
    put(trade(1))
    assert order == ["journal", "a", "b"]


def test_a_record_that_the_journal_refuses_is_heard_by_nobody() -> None:
    def refuses(record: Record) -> None:
        raise StorageError("/journal", "full")

    heard: list[Record] = []
    with pytest.raises(StorageError):
        fan_out(refuses, [heard.append], HandClock())(trade(1))
    assert heard == []


def test_what_a_listener_raises_reaches_nobody_and_is_logged_ever_more_seldom() -> None:
    def fails(record: Record) -> None:
        raise KeyError("a mistake")

    journal: list[Record] = []
    others: list[Record] = []
    put = fan_out(journal.append, [fails, others.append], HandClock())
    with capture_logs() as logs:
        for number in range(100):
            put(trade(number))
    assert len(journal) == len(others) == 100
    assert [entry["times"] for entry in logs] == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize(("each", "is_dropped"), [(SECOND // 1000, False), (SECOND // 50, True), (2 * SECOND, True)])
def test_a_listener_that_takes_more_than_a_tenth_of_the_time_hears_no_more(each: int, is_dropped: bool) -> None:
    clock = HandClock()
    heard: list[Record] = []
    journal: list[Record] = []
    put = fan_out(journal.append, [spends(clock, each, heard)], clock)
    with capture_logs() as logs:
        for number in range(1000):
            put(trade(number))
            clock.move(1 / 50)
    assert len(journal) == 1000
    assert (len(heard) < 1000) == is_dropped
    assert [entry["event"] for entry in logs] == ["consumer_dropped"] * is_dropped


def test_a_listener_can_be_named() -> None:
    assert consumer("os.path:join") is os.path.join


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("os.path", "is not of the form package.module:function"),
        ("no_such_module:f", "cannot be imported: No module named 'no_such_module'"),
        ("os.path:sep", "is no function of os.path"),
        ("os.path:joni", "is no function of os.path"),
    ],
)
def test_a_name_that_is_none_is_one_sentence(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        consumer(name)
