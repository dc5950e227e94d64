"""An instrument that the venue no longer knows is a gap after two answers that say so; what comes back is recorded again."""

from __future__ import annotations

import json

import pytest

from tests.venues.transcripts import SECOND
from tests.venues.two_instruments import ALL, ASKS, BIDS, MS, Talk
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Notice, Output

INVALID = {"code": -32602, "message": "Invalid params"}
NAMED = INVALID | {"data": {"param": "instrument_name", "reason": "instrument not found"}}
NO: dict[str, list[tuple[int, object, str]]] = {
    "BINANCE": [(400, {"code": -1121, "msg": "Invalid symbol."}, "400 -1121 Invalid symbol.")],
    "OKX": [
        (200, {"code": "51001", "msg": "Instrument ID doesn't exist.", "data": []}, "51001 Instrument ID doesn't exist."),
        (400, {"code": "51001", "msg": "Instrument ID doesn't exist."}, "51001 Instrument ID doesn't exist."),
    ],
    "DERIBIT": [
        (400, {"error": NAMED}, "-32602 Invalid params instrument not found"),
        (400, {"error": INVALID}, "-32602 Invalid params"),
        (200, {"error": {"code": 13020, "message": "instrument_not_found"}}, "13020 instrument_not_found"),
    ],
}
"""What says that there is no such instrument: HTTP status, body, and the words that are kept."""
OTHER: list[tuple[int, bytes]] = [
    (400, b'{"code":-1003,"msg":"Too many requests."}'),
    (403, b"<html>blocked</html>"),
    (404, b"Not Found"),
    (400, b""),
    (200, b""),
    (200, b'{"code":-1121'),
    (200, b"[]"),
    (200, b'{"code":"50011","msg":"Too Many Requests","data":[]}'),
    (200, b'{"code":"50001","msg":"Service temporarily unavailable","data":[]}'),
    (400, b'{"error":{"code":10028,"message":"too_many_requests"}}'),
    (400, b'{"error":{"code":-32602,"message":"Invalid params","data":{"param":"depth","reason":"invalid value"}}}'),
    (400, b'{"error":{"code":13028,"message":"temporarily_unavailable"}}'),
    (400, b'{"code":51001}'),
]
"""What proves nothing."""
CASES = [(exchange, case) for exchange in ALL for case in NO[exchange.partition("_")[0]]]


def subscription(talk: Talk, stream: str) -> Subscription:
    return Subscription(stream, talk.speaker.exchange, talk.speaker.symbol)


def ask(talk: Talk, stream: str) -> Fetch:
    (fetch,) = talk.session.probe(subscription(talk, stream), talk.now)
    assert isinstance(fetch, Fetch)
    return fetch


def answer(talk: Talk, fetch: Fetch, status: int, body: object) -> list[Output]:
    talk.now += SECOND
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(talk.session.answer(fetch, status, text, talk.now))


def wait(talk: Talk, seconds: int) -> list[Fetch]:
    """The questions that are put meanwhile; heartbeats keep the connection alive."""
    asked: list[Fetch] = []
    for _ in range(seconds):
        talk.now += SECOND
        if talk.speaker.exchange == "DERIBIT":
            talk.session.receive(b'{"method":"heartbeat","params":{"type":"heartbeat"}}', talk.now)
        if talk.speaker.exchange.startswith("OKX"):
            talk.session.receive(b"pong", talk.now)
        asked += [one for one in talk.session.idle(talk.now) if isinstance(one, Fetch) and one.purpose == "probe"]
    return asked


def delist(talk: Talk, stream: str) -> list[Output]:
    status, body, _ = NO[talk.speaker.exchange.partition("_")[0]][0]
    assert answer(talk, ask(talk, stream), status, body) == []
    (again,) = wait(talk, 10)
    return answer(talk, again, status, body)


@pytest.mark.parametrize("stream", ["L2", "TRADES"])
@pytest.mark.parametrize(("exchange", "case"), CASES)
def test_two_such_answers_are_a_gap_since_the_last_message_with_the_venues_words(
    exchange: str, case: tuple[int, object, str], stream: str
) -> None:
    talk = Talk(exchange)
    status, body, words = case
    this = subscription(talk, stream)
    last = talk.session.activity[this].ts_last
    talk.now += 20 * SECOND
    assert answer(talk, ask(talk, stream), status, body) == []
    assert talk.session.activity[this].state == "live"
    (again,) = wait(talk, 10)
    out = answer(talk, again, status, body)
    assert out == [Coverage(this.key, stream, "gap", "delisted", last, None, words), Notice("delisted", this, words)]
    assert {s for s, seen in talk.session.activity.items() if seen.state != "live"} == {this}
    assert talk.session.counts["delisted"] == 1


@pytest.mark.parametrize("stream", ["L2", "TRADES"])
@pytest.mark.parametrize("exchange", ALL)
def test_no_other_answer_proves_anything(exchange: str, stream: str) -> None:
    talk = Talk(exchange)
    for status, body in OTHER * 2:
        assert answer(talk, ask(talk, stream), status, body) == []
    assert wait(talk, 20) == []
    assert {seen.state for seen in talk.session.activity.values()} == {"live"}


ABOUT = {
    "BINANCE_COINM": {"L2": {"lastUpdateId": 10**6, "symbol": "OTHER", "bids": [], "asks": []}},
    "OKX_SWAP": {"TRADES": {"code": "0", "data": [{"instId": "OTHER", "tradeId": "1000000", "ts": "9000000000000"}]}},
    "DERIBIT": {
        "L2": {"result": {"instrument_name": "OTHER", "change_id": 10**6, "timestamp": 9 * 10**12}},
        "TRADES": {"result": {"trades": [{"instrument_name": "OTHER", "trade_seq": 10**6, "timestamp": 9 * 10**12}]}},
    },
}
"""Answers about another instrument, where they name one."""


@pytest.mark.parametrize(("exchange", "stream"), [(exchange, stream) for exchange, of in ABOUT.items() for stream in of])
def test_an_answer_about_another_instrument_proves_nothing(exchange: str, stream: str) -> None:
    talk = Talk(exchange)
    assert answer(talk, ask(talk, stream), 200, ABOUT[exchange][stream]) == []
    assert wait(talk, 20) == []
    assert {seen.state for seen in talk.session.activity.values()} == {"live"}


@pytest.mark.parametrize("exchange", ALL)
def test_a_message_meanwhile_says_more_than_the_answer(exchange: str) -> None:
    talk = Talk(exchange)
    status, body, _ = NO[exchange.partition("_")[0]][0]
    answer(talk, ask(talk, "TRADES"), status, body)
    (again,) = wait(talk, 6)
    talk.trade(2)
    assert answer(talk, again, status, body) == []
    assert wait(talk, 30) == []
    assert {seen.state for seen in talk.session.activity.values()} == {"live"}


@pytest.mark.parametrize("exchange", ALL)
def test_two_answers_to_questions_of_the_same_moment_are_one(exchange: str) -> None:
    talk = Talk(exchange)
    status, body, _ = NO[exchange.partition("_")[0]][0]
    first, second = ask(talk, "L2"), ask(talk, "L2")
    assert answer(talk, second, status, body) == []
    assert answer(talk, first, status, body) == []
    assert talk.session.counts["late_answers"] == 1


@pytest.mark.parametrize("stream", ["L2", "TRADES"])
@pytest.mark.parametrize("exchange", ALL)
def test_it_is_asked_for_ever_more_rarely_and_recorded_again_when_the_venue_knows_it(exchange: str, stream: str) -> None:
    talk = Talk(exchange)
    this = subscription(talk, stream)
    status, body, _ = NO[exchange.partition("_")[0]][0]
    delist(talk, stream)
    waits = []
    for _ in range(6):
        began = talk.now
        asked: list[Fetch] = []
        while not asked:
            asked = wait(talk, 1)
        waits.append(round((talk.now - began) / SECOND, -1))
        assert answer(talk, asked[0], status, body) == []
    assert waits == [60, 120, 240, 480, 600, 600]
    (again,) = wait(talk, 601)
    known = {
        "BINANCE": {"lastUpdateId": 1, "bids": [], "asks": []} if stream == "L2" else [],
        "OKX": {"code": "0", "msg": "", "data": []},
        "DERIBIT": {"result": {"change_id": 1, "timestamp": 1, "trades": []}},
    }[exchange.partition("_")[0]]
    out = answer(talk, again, 200, known)
    assert out[0] == Notice("listed", this, "the venue knows it again")
    for text in talk.speaker.hello():
        talk.hear(text.replace(b'"id":1', b'"id":2').replace(b'"subscribe-2"', b'"subscribe-4"'))
    if stream == "L2":
        talk.numbers[False] += 1000
        talk.sync()
    assert talk.session.activity[this].state == "live"
    assert wait(talk, 700) == []


@pytest.mark.parametrize("exchange", ALL)
def test_trades_that_come_after_all_are_recorded(exchange: str) -> None:
    talk = Talk(exchange)
    delist(talk, "TRADES")
    out = talk.trade(2)
    assert [row.trade_id for row in out if isinstance(row, Trade)] == ["2"]
    assert [(row.state, row.cause) for row in out if isinstance(row, Coverage)] == [("live", "delisted")]
    assert wait(talk, 700) == []


@pytest.mark.parametrize("exchange", ALL)
def test_a_book_whose_changes_come_after_all_is_asked_for(exchange: str) -> None:
    talk = Talk(exchange)
    delist(talk, "L2")
    out = [*talk.change(), *talk.session.idle(talk.now)]
    (asked,) = [one for one in out if talk.speaker.asks_for_book(one)]
    snapshot = talk.speaker.snapshot(talk.numbers[False], BIDS, ASKS, MS)
    out = list(talk.session.answer(asked, 200, snapshot, talk.now)) if isinstance(asked, Fetch) else talk.hear(snapshot)
    assert any(isinstance(one, BookUpdate) and one.is_snapshot for one in out)
    assert talk.live()


@pytest.mark.parametrize("stream", ["L2", "TRADES"])
@pytest.mark.parametrize("exchange", ALL)
def test_what_has_expired_is_a_gap_since_then_and_not_asked_for(exchange: str, stream: str) -> None:
    talk = Talk(exchange)
    this = subscription(talk, stream)
    talk.now += 100 * SECOND
    expiry = talk.now - 30 * SECOND
    out = list(talk.session.gone(this, expiry, "expired", talk.now))
    assert out == [Coverage(this.key, stream, "gap", "delisted", expiry, None, "expired"), Notice("delisted", this, "expired")]
    assert wait(talk, 700) == []
    assert talk.session.activity[this].state == "rejected"
