"""One odd message about one instrument costs that instrument a resync, on every venue; nobody else is disturbed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.venues.transcripts import SECOND
from tests.venues.two_instruments import ALL, ASKS, BIDS, MS, Talk
from xtrader.errors import ProtocolError
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Notice


def with_data(text: bytes, data: object) -> bytes:
    """The message with other data."""
    message = json.loads(text)
    message.get("params", message)["data"] = data
    return json.dumps(message).encode()


def fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each number and text inside a message."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from fields(child, (*path, name))
    if not children:
        yield path


def wrong(text: bytes, free: Collection[str] = ("m",)) -> Iterator[tuple[str, bytes]]:
    """The message with one field of its data after the other of a type that it never has; those of `free` may have any."""
    message = json.loads(text)
    for path in fields(message):
        if "data" not in path or path[-1] in free:
            continue
        made = deepcopy(message)
        place = made
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = {"odd": [1]}
        yield ".".join(map(str, path)), json.dumps(made).encode()


NO_DATA: list[object] = [[], None, 7, "x", {}, [[]], [7]]


@pytest.mark.parametrize("exchange", ALL)
@pytest.mark.parametrize("stream", ["L2", "TRADES"])
def test_a_message_with_odd_data_or_a_field_of_another_type_costs_its_own_subscription_a_resync(exchange: str, stream: str) -> None:
    talk = Talk(exchange)
    speaker = talk.speaker
    is_book = stream == "L2"
    subscription = Subscription(stream, exchange, speaker.symbol)
    sound = talk.next_change() if is_book else speaker.trade(1, 1, MS)
    cases = [(f"data {data}", with_data(sound, data)) for data in NO_DATA]
    cases += wrong(sound) if is_book else wrong(sound, ("m", "E"))
    assert len(cases) > len(NO_DATA) + 5
    said: list[str] = []
    trades = 1
    for number, (case, text) in enumerate(cases, 1):
        if is_book:
            assert any(isinstance(one, BookUpdate) for one in talk.change())
        else:
            trades += 1
            assert [row.trade_id for row in talk.trade(trades) if isinstance(row, Trade)] == [str(trades)]
        good = talk.now
        out = talk.hear(text)
        rows = [row for row in out if isinstance(row, Coverage)]
        assert [(row.state, row.cause, row.ts_from, row.ts_to) for row in rows] == [
            ("gap", "malformed", good, talk.now),
            ("syncing", "malformed", talk.now, None),
        ], case
        assert {(row.stream, row.instrument) for row in rows} == {(stream, subscription.key)}
        assert not any(isinstance(one, BookUpdate | Trade) for one in out)
        said += [notice.words for notice in out if isinstance(notice, Notice)]
        assert talk.session.activity[subscription].state == "syncing"
        assert talk.session.counts["malformed"] == number
        assert talk.live(is_other=True)
        assert [s for s, seen in talk.session.activity.items() if seen.state != "live"] == [subscription]
        if is_book:
            assert not talk.live()
            talk.now += 61 * SECOND
            talk.sync()
    assert 1 <= len(said) <= 4
    assert len(set(said)) == len(said)
    assert any(isinstance(one, Trade) for one in talk.trade(2, is_other=True))


NAMES = {"BINANCE": "s", "OKX": "instId", "DERIBIT": "instrument_name"}


NAMED_TWICE = [(exchange, stream) for exchange in ALL for stream in ("L2", "TRADES") if (exchange[:3], stream) != ("OKX", "L2")]
"""OKX's book messages name their instrument once."""


@pytest.mark.parametrize(("exchange", "stream"), NAMED_TWICE)
def test_what_says_that_it_is_of_another_instrument_is_not_stored(exchange: str, stream: str) -> None:
    talk = Talk(exchange)
    message = json.loads(talk.next_change() if stream == "L2" else talk.speaker.trade(2, 2, MS))
    data = message.get("params", message)["data"]
    (data[0] if isinstance(data, list) else data)[NAMES[exchange.partition("_")[0]]] = talk.symbols[1]
    out = talk.hear(json.dumps(message).encode())
    assert not any(isinstance(one, BookUpdate | Trade) for one in out)
    assert [(row.state, row.cause) for row in out if isinstance(row, Coverage)] == [("gap", "malformed"), ("syncing", "malformed")]
    assert [s for s, seen in talk.session.activity.items() if seen.state != "live"] == [
        Subscription(stream, exchange, talk.symbols[0])
    ]


@pytest.mark.parametrize("exchange", ALL)
def test_a_trade_that_could_not_be_read_is_named_by_the_next_number(exchange: str) -> None:
    talk = Talk(exchange)
    talk.hear(with_data(talk.speaker.trade(2, 2, MS), []))
    out = talk.trade(3)
    assert [row.trade_id for row in out if isinstance(row, Trade)] == ["3"]
    (missing,) = [row for row in out if isinstance(row, Coverage) and row.state == "gap"]
    assert (missing.cause, missing.detail) == ("malformed", "missing ids 2 to 2 (1)")


@pytest.mark.parametrize("exchange", ALL)
def test_books_that_are_odd_again_and_again_are_asked_for_ever_more_rarely(exchange: str) -> None:
    """A venue that changed one instrument's format for good takes no more than its share of the requests."""
    talk = Talk(exchange)
    asked = 0
    for _ in range(100):
        out = [*talk.hear(with_data(talk.next_change(), [])), *talk.session.idle(talk.now)]
        out += talk.change()
        for one in out:
            if talk.speaker.asks_for_book(one):
                asked += 1
                if isinstance(one, Fetch):
                    list(talk.session.answer(one, 200, talk.speaker.snapshot(talk.numbers[False], BIDS, ASKS, MS), talk.now))
                else:
                    talk.say(talk.speaker.snapshot(talk.numbers[False], BIDS, ASKS, MS))
    assert 3 <= asked <= 25


@pytest.mark.parametrize("exchange", ALL)
def test_an_odd_message_of_an_instrument_that_was_not_asked_for_is_ignored(exchange: str) -> None:
    talk = Talk(exchange)
    for sound in (talk.next_change(), talk.speaker.trade(2, 2, MS)):
        for text in (with_data(sound, []), *(text for _, text in wrong(sound))):
            assert talk.hear(text.replace(b"BTC", b"XRP").replace(b"btc", b"xrp")) == []
    assert talk.session.counts["malformed"] == 0


@pytest.mark.parametrize("exchange", ALL)
@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: text[:-2] + b"\xff\xfe" + text[-2:]])
def test_what_is_no_text_or_no_json_ends_the_session(exchange: str, damage: Any) -> None:
    talk = Talk(exchange)
    with pytest.raises(ProtocolError):
        talk.hear(damage(talk.next_change()))
