"""Binance: what is said on a connection, what the answers mean, and how dead streams are found."""

from __future__ import annotations

import json

import pytest

from tests.venues.binance_wire import S, ack, aggregate, book, covers, depth, fetches, framed, sends, session_of, trade, trades
from xtrader.errors import ProtocolError
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch
from xtrader.venues.binance.session import BinanceSession


def test_every_subscription_opens_as_syncing_before_anything_is_sent() -> None:
    out = list(session_of("BINANCE_SPOT", "L2 BTCUSDT", "TRADES BTCUSDT", cause="disconnect").start(7))
    assert covers(out) == [("syncing", "disconnect", 7, None, "")] * 2
    assert sends(out[2:]) == [{"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms", "btcusdt@trade"], "id": 1}]


def test_request_that_is_not_answered_is_made_again() -> None:
    session = session_of("BINANCE_SPOT", "TRADES BTCUSDT")
    session.start(0)
    assert sends(session.idle(29 * S)) == []
    assert sends(session.idle(30 * S)) == [{"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 2}]
    assert sends(session.idle(31 * S)) == []


@pytest.mark.parametrize("text", [b'{"code":2,"msg":"Invalid request: unknown variant"}', b'{"code":0,"msg":"Unknown property"}'])
def test_error_without_an_id_belongs_to_the_only_request_under_way(text: bytes) -> None:
    session = session_of("BINANCE_SPOT", "TRADES BTCUSDT")
    session.start(0)
    ((state, cause, ts, end, detail),) = covers(session.receive(text, 1))
    assert (state, cause, ts, end) == ("gap", "start", 1, None)
    assert detail.startswith("subscription refused: ")
    assert sends(session.idle(61 * S)) != []
    assert covers(session.receive(ack(2), 62 * S)) == [("live", "start", 62 * S, None, "")]


def test_error_that_belongs_to_no_request_ends_the_session() -> None:
    with pytest.raises(ProtocolError, match="Invalid JSON"):
        session_of("BINANCE_SPOT", "TRADES BTCUSDT").receive(b'{"code":3,"msg":"Invalid JSON"}', 1)


@pytest.mark.parametrize(
    "text",
    [
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}',
        b'{"e":"serverShutdown","E":1}',
    ],
)
def test_announced_shutdown_only_sets_closing(text: bytes) -> None:
    session = session_of("BINANCE_SPOT", "TRADES BTCUSDT")
    assert not session.closing
    assert list(session.receive(text, 1)) == []
    assert session.closing


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        (framed("btcusdt@bookTicker", {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}), "ignored"),
        (framed("btcusdt@depth5", {"lastUpdateId": 1, "bids": [], "asks": []}), "ignored"),
        (depth("BTCUSDT", 1, 2, 0).replace(b"@depth@100ms", b"@depth20@100ms"), "ignored"),
        (depth("ETHUSDT", 1, 2, 0), "ignored"),
        (framed("!ticker@arr", [{"e": "24hrTicker"}]), "ignored"),
        (framed("btcusdt@kline_1m", {"e": "kline"}), "ignored"),
        (b'[{"e":"24hrTicker"}]', "ignored"),
        (b'{"e":"markPriceUpdate","E":1}', "ignored"),
        (b'{"lastUpdateId":1,"bids":[],"asks":[]}', "ignored"),
        (b'{"result":["btcusdt@depth"],"id":99}', "ignored"),
        (framed("btcusdt@novelty", {"e": "novelty"}), "unknown"),
        (framed("btcusdt@depth@100ms", {"e": "depthUpdateV2"}), "unknown"),
        (b'{"e":"novelty","E":1}', "unknown"),
    ],
)
def test_what_is_not_recorded_is_counted_and_passed_over(text: bytes, counted: str) -> None:
    session = session_of("BINANCE_FUTURES", "L2 BTCUSDT", "TRADES BTCUSDT")
    assert list(session.receive(text, 1)) == []
    assert session.counts == {"messages": 1, counted: 1}


@pytest.mark.parametrize("stream", ["btcusdt@depth", "btcusdt@depth@0ms", "btcusdt@depth@500ms"])
def test_diffs_of_any_speed_are_taken_but_only_one_of_them(stream: str) -> None:
    session = session_of("BINANCE_FUTURES", "L2 BTCUSDT")
    assert len(fetches(session.receive(depth("BTCUSDT", 1, 2, 0).replace(b"btcusdt@depth@100ms", stream.encode()), 1))) == 1
    session.receive(depth("BTCUSDT", 1, 2, 0), 2)
    assert session.counts["ignored"] == 1


def test_events_without_envelope_are_taken_by_their_symbol() -> None:
    session = session_of("BINANCE_FUTURES", "L2 BTCUSDT", "TRADES BTCUSDT")
    assert len(fetches(session.receive(json.dumps(json.loads(depth("BTCUSDT", 1, 2, 0))["data"]).encode(), 1))) == 1
    assert len(trades(session.receive(json.dumps(json.loads(aggregate("BTCUSDT", 1, 1, 1))["data"]).encode(), 2))) == 1
    assert session.receive(json.dumps(json.loads(aggregate("ETHUSDT", 1, 1, 1))["data"]).encode(), 2) == ()


@pytest.mark.parametrize("text", [b"", b"hello", b"null", b"\xff\xfe", b'{"stream":5}', b"[" * 100_000, b'{"a":' * 100_000])
def test_text_that_is_no_message_ends_the_session(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed message"):
        session_of("BINANCE_SPOT", "L2 BTCUSDT").receive(text, 1)


def live(exchange: str = "BINANCE_FUTURES") -> BinanceSession:
    """Book at 100 and trade 50 (its aggregate of match 50), both live, acknowledged at 0."""
    session = session_of(exchange, "L2 BTCUSDT", "TRADES BTCUSDT")
    session.start(0)
    session.receive(ack(1), 0)
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 91, 100, 90), 1 * S))
    session.answer(fetch, 200, book(100), 2 * S)
    session.receive(aggregate("BTCUSDT", 50, 50, 50), 2 * S)
    return session


L2 = Subscription("L2", "BINANCE_FUTURES", "BTCUSDT")
TRADES = Subscription("TRADES", "BINANCE_FUTURES", "BTCUSDT")


def test_probes_ask_for_numbers_that_compare_with_the_streams() -> None:
    session = live()
    assert session.probe(L2, 9 * S) == (
        Fetch(L2.key, "probe", "/fapi/v1/depth", (("symbol", "BTCUSDT"), ("limit", "5")), weight=2),
    )
    assert session.probe(TRADES, 9 * S) == (
        Fetch(L2.key, "probe", "/fapi/v1/aggTrades", (("symbol", "BTCUSDT"), ("limit", "1")), weight=20),
    )
    spot = session_of("BINANCE_SPOT", "TRADES BTCUSDT")
    spot.start(0)
    spot.receive(ack(1), 0)
    (fetch,) = fetches(spot.probe(Subscription("TRADES", "BINANCE_SPOT", "BTCUSDT"), 9 * S))
    assert (fetch.path, fetch.weight) == ("/api/v3/trades", 25)


def test_quiet_streams_are_left_alone() -> None:
    session = live()
    (of_book,), (of_trades,) = fetches(session.probe(L2, 9 * S)), fetches(session.probe(TRADES, 9 * S))
    assert list(session.answer(of_book, 200, book(100), 10 * S)) == []
    assert list(session.answer(of_trades, 200, b'[{"a":50,"T":99000}]', 10 * S)) == []
    assert list(session.idle(14 * S)) == []


def test_dead_book_stream_is_declared_resubscribed_and_resynced() -> None:
    session = live()
    (probe,) = fetches(session.probe(L2, 9 * S))
    assert list(session.answer(probe, 200, book(120), 10 * S)) == []
    assert list(session.probe(L2, 11 * S)) == []
    assert list(session.idle(12 * S)) == []
    out = list(session.idle(13 * S))
    assert covers(out) == [
        ("gap", "silent", 2 * S, 13 * S, "the venue is at 120, the stream stopped at 100"),
        ("syncing", "silent", 13 * S, None, ""),
    ]
    assert sends(out) == [
        {"method": "UNSUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 2},
        {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 3},
    ]
    assert session.book(L2.key) is None
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 121, 130, 120), 14 * S))
    assert covers(session.answer(fetch, 200, book(125), 15 * S)) == [("live", "silent", 15 * S, None, "")]


def test_dead_trade_stream_is_declared_and_resubscribed_once() -> None:
    session = live()
    (probe,) = fetches(session.probe(TRADES, 9 * S))
    session.answer(probe, 200, b'[{"a":55,"T":9000}]', 10 * S)
    out = list(session.idle(13 * S))
    assert covers(out) == [
        ("gap", "silent", 2 * S, 13 * S, "the venue is at 55, the stream stopped at 50"),
        ("syncing", "silent", 13 * S, None, ""),
    ]
    assert [each["method"] for each in sends(out)] == ["UNSUBSCRIBE", "SUBSCRIBE"]
    assert list(session.receive(ack(2), 14 * S)) == []
    assert covers(session.receive(ack(3), 14 * S)) == [("live", "silent", 14 * S, None, "")]
    (probe,) = fetches(session.probe(TRADES, 30 * S))
    session.answer(probe, 200, b'[{"a":55,"T":9000}]', 31 * S)
    assert list(session.idle(35 * S)) == []
    out = list(session.receive(aggregate("BTCUSDT", 56, 60, 60), 36 * S))
    assert covers(out)[0] == ("gap", "silent", 14 * S, 36 * S, "missing ids 51 to 55 (5)")


def test_stream_that_catches_up_before_the_second_look_is_alive() -> None:
    session = live()
    (probe,) = fetches(session.probe(L2, 9 * S))
    session.answer(probe, 200, book(120), 10 * S)
    session.receive(depth("BTCUSDT", 110, 120, 100), 11 * S)
    assert list(session.idle(14 * S)) == []
    assert session.book(L2.key) is not None


@pytest.mark.parametrize(("ts", "is_dead"), [(1000, False), (1001, True)])
def test_stream_without_any_trade_is_dead_only_if_one_was_made_after_the_acknowledgement(ts: int, is_dead: bool) -> None:
    session = session_of("BINANCE_FUTURES", "TRADES BTCUSDT")
    session.start(0)
    session.receive(ack(1), 0)
    (probe,) = fetches(session.probe(TRADES, 9 * S))
    session.answer(probe, 200, b'[{"a":55,"T":%d}]' % ts, 10 * S)
    assert (covers(session.idle(13 * S)) != []) is is_dead


@pytest.mark.parametrize(("status", "body"), [(200, b"[]"), (400, b'{"code":-1121,"msg":"Invalid symbol."}')])
def test_probe_that_says_nothing_changes_nothing(status: int, body: bytes) -> None:
    session = live()
    (probe,) = fetches(session.probe(TRADES, 9 * S))
    assert list(session.answer(probe, status, body, 10 * S)) == []
    assert list(session.idle(14 * S)) == []


def test_activity_tells_when_what_was_heard() -> None:
    session = live()
    assert [(a.state, a.messages, a.ts_last, a.ts_acked) for a in session.activity.values()] == [
        ("live", 2, 2 * S, 0),
        ("live", 1, 2 * S, 0),
    ]


def test_single_trades_and_books_use_symbols_beyond_ascii_as_they_are() -> None:
    session = session_of("BINANCE_SPOT", "TRADES 币安人生USDT")
    assert sends(session.start(0))[0]["params"] == ["币安人生usdt@trade"]
    assert len(trades(session.receive(trade("币安人生USDT", 1), 1))) == 1
