"""An answer that comes after its request was made anew belongs to nothing, on any venue."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.venues.transcripts import BEGIN, SECOND
from tests.venues.two_instruments import ALL
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Link, MarketSession, Output, Send


def subscribes(outputs: Iterable[Output]) -> list[dict[str, Any]]:
    """The requests that subscribe something."""
    calls = [json.loads(one.payload) for one in outputs if isinstance(one, Send) and one.payload.startswith("{")]
    return [call for call in calls if (call.get("method") or call.get("op")) in ("SUBSCRIBE", "subscribe", "public/subscribe")]


def yes(call: dict[str, Any]) -> list[bytes]:
    """What the venue says when it takes a request."""
    if "op" in call:
        return [json.dumps({"id": call["id"], "event": "subscribe", "arg": arg}).encode() for arg in call["args"]]
    result = None if call["method"] == "SUBSCRIBE" else call["params"]["channels"]
    return [json.dumps({"id": call["id"], "result": result}).encode()]


def no(call: dict[str, Any]) -> bytes:
    """What the venue says when it refuses a request."""
    if "op" in call:
        return json.dumps({"id": call["id"], "event": "error", "code": "60018", "msg": "no"}).encode()
    return json.dumps({"id": call["id"], "error": {"code": 2, "msg": "no", "message": "no"}}).encode()


def asked_twice(exchange: str) -> tuple[MarketSession, Subscription, dict[str, Any], dict[str, Any]]:
    """A session whose first request was not answered in time, and both requests."""
    subscription = Subscription("TRADES", exchange, ALL[exchange].symbol)
    session = market(exchange, {}).session(Link(exchange, "test", "", (subscription,)), "start", {})
    (first,) = subscribes(session.start(BEGIN))
    (second,) = subscribes(session.idle(BEGIN + 31 * SECOND))
    return session, subscription, first, second


@pytest.mark.parametrize("exchange", ALL)
def test_a_late_acknowledgement_is_not_that_of_the_newer_request(exchange: str) -> None:
    session, subscription, first, second = asked_twice(exchange)
    for text in yes(first):
        assert list(session.receive(text, BEGIN + 32 * SECOND)) == []
    assert session.activity[subscription].state == "syncing"
    for text in yes(second):
        session.receive(text, BEGIN + 33 * SECOND)
    assert (session.activity[subscription].state, session.activity[subscription].ts_acked) == ("live", BEGIN + 33 * SECOND)


@pytest.mark.parametrize("exchange", ALL)
def test_a_late_refusal_refuses_nothing_and_ends_nothing(exchange: str) -> None:
    session, subscription, first, second = asked_twice(exchange)
    assert list(session.receive(no(first), BEGIN + 32 * SECOND)) == []
    assert session.activity[subscription].state == "syncing"
    for text in yes(second):
        session.receive(text, BEGIN + 33 * SECOND)
    assert list(session.receive(no(first), BEGIN + 34 * SECOND)) == []
    assert session.activity[subscription].state == "live"


@pytest.mark.parametrize("exchange", ALL)
def test_the_refusal_of_the_newest_request_counts(exchange: str) -> None:
    session, subscription, _, second = asked_twice(exchange)
    session.receive(no(second), BEGIN + 32 * SECOND)
    assert session.activity[subscription].state == "rejected"
