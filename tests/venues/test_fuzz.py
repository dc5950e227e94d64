"""Whatever a venue sends, a session takes it or ends with a documented error, in bounded memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venues.fuzz import Target, corpus, run
from tests.venues.speakers import SPEAKERS
from xtrader.errors import ProtocolError
from xtrader.venues.base import Link, Notice
from xtrader.venues.deribit.session import DeribitSession

WORDS = [
    "stream",
    "data",
    "e",
    "s",
    "b",
    "a",
    "u",
    "U",
    "pu",
    "arg",
    "channel",
    "instId",
    "params",
    "method",
    "result",
    "id",
    "type",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["books", "trades", "depthUpdate"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=12,
)
venues = pytest.mark.parametrize("exchange", list(SPEAKERS))


@venues
def test_damaged_messages_raise_documented_errors_only(exchange: str) -> None:
    refused, _ = run(exchange, 4000, 1)
    assert refused > 400


@venues
@settings(max_examples=150, deadline=None)
@given(messages=st.lists(st.tuples(st.sampled_from(b"fiae"), VALUES | st.sampled_from([None])), max_size=5))
def test_json_of_any_shape_raises_documented_errors_only(exchange: str, messages: list[tuple[int, object]]) -> None:
    target = Target(exchange)
    for kind, value in messages:
        target.take(bytes([kind]) + json.dumps(value).encode())
    assert target.taken + target.refused == len(messages)


def _nested(exchange: str) -> bytes:
    return b'{"data":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"


def _digits(exchange: str) -> bytes:
    return SPEAKERS[exchange].delta(1, 2, [], [], 1).replace(b"2", b"9" * 1_000_000)


def _levels(exchange: str) -> bytes:
    return SPEAKERS[exchange].delta(1, 2, [(n, 1) for n in range(50_001)], [], 1)


def _name(exchange: str) -> bytes:
    return corpus(exchange)[-3].replace(b'"symbol"', b'"' + b"x" * 8_000_000 + b'"')


@venues
@pytest.mark.parametrize("make", [_nested, _digits, _levels])
def test_a_message_that_is_too_deep_too_large_or_too_long_is_refused(exchange: str, make: Callable[[str], bytes]) -> None:
    target = Target(exchange)
    target.take(b"f" + make(exchange))
    assert target.refused + target.malformed == 1


@venues
def test_a_name_of_megabytes_is_taken_or_refused(exchange: str) -> None:
    target = Target(exchange)
    target.take(b"f" + _name(exchange))
    before = target.taken, target.refused
    target.take(b"f" + corpus(exchange)[-3])
    assert sum(before) == 1
    assert target.refused == before[1], "the session goes on after it, or a new one does"


@venues
def test_an_error_quotes_no_more_than_a_little_of_a_message(exchange: str) -> None:
    speaker = SPEAKERS[exchange]
    session = Target(exchange)._session
    with pytest.raises(ProtocolError) as refusal:
        list(session.receive(b"[" * 100_000, 1))
    assert len(str(refusal.value)) < 1000
    (notice,) = session.receive(speaker.delta(1, 2, [(n, 1) for n in range(50_001)], [], 1), 1)
    assert isinstance(notice, Notice)
    assert len(notice.words) < 1000


def test_channels_that_nobody_asked_for_leave_nothing_behind() -> None:
    session = DeribitSession(Link("DERIBIT", "x", "", ()), "start", {}, None)
    before = sys.getsizeof(session._by_name)
    for n in range(5000):
        session.receive(b'{"method":"subscription","params":{"channel":"book.B%d.100ms","data":[]}}' % n, 1)
    assert sys.getsizeof(session._by_name) == before
