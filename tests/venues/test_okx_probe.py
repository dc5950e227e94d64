"""OKX: telling a quiet subscription from a dead one."""

from __future__ import annotations

import json
from typing import Any

from tests.venues.okx_talk import KEY, L2, SYMBOL, TRADES, Talk, kinds, live_talk
from tests.venues.transcripts import BEGIN, SECOND
from xtrader.model.market import Coverage
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Output


def probe(talk: Talk, subscription: Subscription, row: dict[str, Any], status: int = 200) -> list[Output]:
    (fetch,) = talk.session.probe(subscription, talk.now)
    assert isinstance(fetch, Fetch)
    assert ("instId", SYMBOL) in fetch.params
    talk.now += SECOND
    body = json.dumps({"code": "0", "msg": "", "data": [row]}).encode()
    return list(talk.session.answer(fetch, status, body, talk.now))


def test_a_quiet_book_is_left_alone() -> None:
    talk = live_talk()
    assert probe(talk, L2, {"asks": [], "bids": [], "ts": "1791369350776", "seqId": 10}) == []
    assert talk.wait(4) == []


def test_a_book_that_the_venue_left_behind_is_a_gap_after_a_second_look() -> None:
    talk = live_talk()
    good = talk.now
    probe(talk, L2, {"asks": [], "bids": [], "ts": "1791369350776", "seqId": 12})
    assert talk.wait(2) == []
    out = talk.wait(1)
    assert kinds(out) == ["gap", "syncing", "Send", "Send"]
    assert out[0] == Coverage(KEY, "L2", "gap", "silent", good, talk.now, "the venue moved on and sent nothing")


def test_a_book_that_catches_up_before_the_second_look_is_alive() -> None:
    talk = live_talk()
    probe(talk, L2, {"asks": [], "bids": [], "ts": "1791369350776", "seqId": 12})
    assert kinds(talk.book(10, 12)) == ["BookUpdate"]
    assert talk.wait(4) == []


def test_trades_are_dead_when_the_venue_traded_after_the_confirmation() -> None:
    talk = live_talk()
    before = {"instId": SYMBOL, "tradeId": "5", "px": "1", "sz": "1", "side": "buy", "ts": str(BEGIN // 1_000_000)}
    probe(talk, TRADES, before)
    assert talk.wait(4) == []
    probe(talk, TRADES, before | {"ts": str(talk.now // 1_000_000)})
    assert kinds(talk.wait(4))[:3] == ["gap", "syncing", "Send"]
    assert kinds(talk.ack("trades")) == ["live", "Ready"]


def test_trades_are_dead_when_the_venue_has_a_later_number() -> None:
    talk = live_talk()
    talk.trade(100, count="1")
    probe(talk, TRADES, {"tradeId": "100", "px": "1", "sz": "1", "ts": "1"})
    assert talk.wait(4) == []
    probe(talk, TRADES, {"tradeId": "101", "px": "1", "sz": "1", "ts": "1"})
    assert kinds(talk.wait(4))[:2] == ["gap", "syncing"]


def test_a_probe_that_fails_proves_nothing() -> None:
    talk = live_talk()
    assert probe(talk, L2, {"ts": "1", "seqId": 99}, status=403) == []
    assert talk.counts["probe_errors"] == 1
    assert talk.wait(4) == []
