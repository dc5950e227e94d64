"""Binance books: how snapshot and stream meet, and what happens when they do not."""

from __future__ import annotations

import pytest

from tests.venues.binance_wire import S, ack, book, covers, depth, fetches, sends, session_of, spot, updates
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Ready
from xtrader.venues.binance import depth as rules
from xtrader.venues.binance.joining import join_futures, join_spot
from xtrader.venues.binance.session import BinanceSession


def futures(symbol: str = "BTCUSDT") -> BinanceSession:
    return session_of("BINANCE_FUTURES", f"L2 {symbol}")


def live_futures(at: int = 100) -> tuple[BinanceSession, Fetch]:
    """A session whose book is at `at`, joined and live since ts_recv 2."""
    session = futures()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", at - 5, at, at - 9), 1))
    session.answer(fetch, 200, book(at), 2)
    assert session.book("BINANCE_FUTURES@BTCUSDT") is not None
    return session, fetch


def test_worked_bridge_of_sushiusdt() -> None:
    session = futures("SUSHIUSDT")
    ids = [
        (600859599090, 600859600917, 600859598061),
        (600859601193, 600859602861, 600859600917),
        (600859603343, 600859604824, 600859602861),
        (600859605926, 600859607423, 600859604824),
        (600859607950, 600859609417, 600859607423),
    ]
    out = [item for n, each in enumerate(ids) for item in session.receive(depth("SUSHIUSDT", *each), n)]
    (fetch,) = fetches(out)
    assert len(out) == 1
    out = list(session.answer(fetch, 200, book(600859605926), 9))
    assert updates(out) == [
        (True, None, 600859605926, 9),
        (False, 600859604824, 600859607423, 3),
        (False, 600859607423, 600859609417, 4),
    ]
    assert session.counts["skipped"] == 3


def test_snapshot_comes_before_live_before_the_buffered_deltas() -> None:
    session = spot()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8), 1))
    out = list(session.answer(fetch, 200, book(6), 2))
    assert [type(item).__name__ for item in out] == ["BookUpdate", "Coverage", "Ready", "BookUpdate"]
    assert covers(out) == [("live", "start", 2, None, "")]
    assert out[2] == Ready(Subscription("L2", "BINANCE_SPOT", "BTCUSDT"))


def test_snapshot_request_offers_the_depths_by_weight() -> None:
    (fetch,) = fetches(spot().receive(depth("BTCUSDT", 5, 8), 1))
    assert fetch == Fetch(
        "BINANCE_SPOT@BTCUSDT",
        "snapshot",
        "/api/v3/depth",
        (("symbol", "BTCUSDT"),),
        depths=((5000, 250), (1000, 50), (500, 25), (100, 5)),
    )


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [(1, 10, "old"), (11, 12, "joins"), (9, 11, "joins"), (1, 99, "joins"), (12, 13, "late")],
)
def test_spot_joins_where_the_first_new_id_is_at_most_one_ahead(first: int, last: int, verdict: str) -> None:
    assert join_spot(10, first - 1, last) == verdict


@pytest.mark.parametrize(
    ("previous", "last", "verdict"),
    [(3, 9, "old"), (3, 10, "joins"), (9, 14, "joins"), (10, 14, "joins"), (11, 14, "late")],
)
def test_futures_join_where_the_previous_event_ended_at_or_before_the_snapshot(previous: int, last: int, verdict: str) -> None:
    assert join_futures(10, previous, last) == verdict


def test_too_old_snapshot_is_asked_for_again_and_the_buffer_stays() -> None:
    session = spot()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 50, 60), 1))
    assert session.receive(depth("BTCUSDT", 61, 70), 2) == []
    assert list(session.answer(fetch, 200, book(40), 3)) == [fetch]
    out = session.answer(fetch, 200, book(55), 4)
    assert [u[2] for u in updates(out)] == [55, 60, 70]


def test_snapshot_newer_than_the_buffer_is_emitted_at_once_and_the_next_delta_must_bridge() -> None:
    session = futures()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8, 4), 1))
    assert updates(session.answer(fetch, 200, book(20), 2)) == [(True, None, 20, 2)]
    assert session.receive(depth("BTCUSDT", 9, 15, 8), 3) == ()
    assert updates(session.receive(depth("BTCUSDT", 16, 24, 15), 4)) == [(False, 15, 24, 4)]
    assert updates(session.receive(depth("BTCUSDT", 30, 34, 24), 5)) == [(False, 24, 34, 5)]
    assert session.counts["skipped"] == 2
    assert session.counts["breaks"] == 0


def test_delta_that_does_not_bridge_an_emitted_snapshot_is_a_gap() -> None:
    session = futures()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8, 4), 1))
    session.answer(fetch, 200, book(20), 2)
    out = list(session.receive(depth("BTCUSDT", 30, 34, 25), 7))
    assert covers(out)[0] == ("gap", "venue_gap", 2, 7, "an update that follows 25 came after 20")
    assert session.book("BINANCE_FUTURES@BTCUSDT") is None


def test_futures_ids_may_jump_as_long_as_pu_is_the_last_u() -> None:
    session, _ = live_futures(100)
    assert updates(session.receive(depth("BTCUSDT", 5000, 6000, 100), 3)) == [(False, 100, 6000, 3)]


def test_break_drops_the_book_declares_the_gap_and_starts_over_from_that_delta() -> None:
    session, fetch = live_futures(100)
    session.receive(depth("BTCUSDT", 101, 110, 100), 3)
    out = list(session.receive(depth("BTCUSDT", 120, 130, 119), 8))
    assert covers(out) == [
        ("gap", "venue_gap", 3, 8, "an update that follows 119 came after 110"),
        ("syncing", "venue_gap", 8, None, ""),
    ]
    assert out[-1] == fetch
    assert session.book("BINANCE_FUTURES@BTCUSDT") is None
    out = list(session.answer(fetch, 200, book(125), 9))
    assert covers(out) == [("live", "venue_gap", 9, None, "")]
    assert [u[2] for u in updates(out)] == [125, 130]
    assert (session.counts["breaks"], session.counts["resyncs"]) == (1, 1)


def test_break_of_one_instrument_leaves_the_other_alone() -> None:
    session = session_of("BINANCE_FUTURES", "L2 BTCUSDT", "L2 ETHUSDT")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        (fetch,) = fetches(session.receive(depth(symbol, 1, 10, 0), 1))
        session.answer(fetch, 200, book(10), 2)
    session.receive(depth("BTCUSDT", 20, 30, 19), 3)
    assert session.book("BINANCE_FUTURES@BTCUSDT") is None
    assert updates(session.receive(depth("ETHUSDT", 11, 12, 10), 4)) == [(False, 10, 12, 4)]


def test_repeated_and_stale_deltas_are_counted_and_ignored() -> None:
    session, _ = live_futures(100)
    again = depth("BTCUSDT", 101, 110, 100)
    session.receive(again, 3)
    assert session.receive(again, 4) == ()
    assert session.receive(depth("BTCUSDT", 90, 95, 80), 5) == ()
    assert session.counts["duplicates"] == 2


def test_loss_while_buffering_keeps_only_what_is_one_chain() -> None:
    session = spot()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8), 1))
    session.receive(depth("BTCUSDT", 20, 25), 2)
    assert fetches(session.answer(fetch, 200, book(7), 3)) == [fetch]
    assert [u[2] for u in updates(session.answer(fetch, 200, book(22), 4))] == [22, 25]


def test_full_buffer_starts_over_with_an_overflow_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "BUFFER", 3)
    session = spot()
    out = [item for n in range(1, 5) for item in session.receive(depth("BTCUSDT", n, n), n)]
    assert len(fetches(out)) == 1
    assert covers(out) == [
        ("gap", "overflow", 1, 4, "3 updates waited for a snapshot"),
        ("syncing", "overflow", 4, None, ""),
    ]
    assert session.counts["overflow"] == 1
    (again,) = session.answer(fetches(out)[0], 200, book(2), 5)
    assert [u[2] for u in updates(session.answer(again, 200, book(3), 6))] == [3, 4]


def test_a_crossed_book_is_not_recorded_and_asked_for_at_once() -> None:
    session, fetch = live_futures(100)
    out = list(session.receive(depth("BTCUSDT", 101, 110, 100, bids=[["12", "1"]]), 1 * S))
    assert updates(out) == []
    assert covers(out) == [("gap", "crossed", 1 * S, None, "crossed book: bid 12.0 >= ask 11.0")]
    assert fetches(out) == [fetch]
    assert session.receive(depth("BTCUSDT", 111, 112, 110), 2 * S) == []
    out = list(session.answer(fetch, 200, book(111), 3 * S))
    assert updates(out) == [(True, None, 111, 3 * S), (False, 110, 112, 2 * S)]
    assert covers(out) == [("live", "crossed", 3 * S, None, "")]
    assert session.counts["crossed"] == 2
    assert session.counts["resyncs"] == 1


def test_refused_subscription_waits_for_the_acknowledgement_of_the_next_try() -> None:
    session = spot()
    session.start(0)
    out = session.receive(b'{"error":{"code":2,"msg":"Invalid request: too many parameters"},"id":1}', 1 * S)
    assert covers(out) == [("gap", "start", 1 * S, None, "subscription refused: 2 Invalid request: too many parameters")]
    assert list(session.idle(60 * S)) == []
    (again,) = sends(session.idle(61 * S))
    assert again == {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 2}
    assert covers(session.receive(ack(2), 62 * S)) == [("syncing", "start", 62 * S, None, "")]
    assert len(fetches(session.idle(64 * S))) == 1


@pytest.mark.parametrize(
    "frame",
    [
        depth("BTCUSDT", 9, 8, 1),
        depth("BTCUSDT", 9, 12, 12),
        depth("BTCUSDT", 9, 12),
        depth("BTCUSDT", 9, 12, 1).replace(b'"s":"BTCUSDT"', b'"s":"ETHUSDT"'),
        depth("BTCUSDT", 9, 12, 1, bids=[["inf", "1"]]),
        depth("BTCUSDT", 9, 12, 1, bids=[["-1", "1"]]),
        depth("BTCUSDT", 9, 12, 1, asks=[["1", "-1"]]),
        depth("BTCUSDT", 9, 12, 1, asks=[["1"]]),
        depth("BTCUSDT", 2**64, 2**64, 1),
    ],
    ids=["ids reversed", "pu ahead", "no pu", "other symbol", "infinite", "negative price", "negative size", "no size", "huge id"],
)
def test_an_impossible_futures_delta_drops_the_book_and_nothing_else(frame: bytes) -> None:
    session = futures()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8, 4), 1 * S))
    list(session.answer(fetch, 200, book(6), 2 * S))
    out = list(session.receive(frame, 3 * S))
    assert [row[:4] for row in covers(out)] == [("gap", "malformed", 2 * S, 3 * S), ("syncing", "malformed", 3 * S, None)]
    assert session.book("BINANCE_FUTURES@BTCUSDT") is None
    assert session.counts["malformed"] == 1
    assert len(fetches(session.receive(depth("BTCUSDT", 20, 25, 19), 4 * S))) == 1


def test_event_time_is_the_match_time_where_there_is_one() -> None:
    for session, frame, key, expected in (
        (futures(), depth("BTCUSDT", 5, 8, 4), "BINANCE_FUTURES", 900_000_000),
        (spot(), depth("BTCUSDT", 5, 8), "BINANCE_SPOT", 1_000_000_000),
    ):
        (fetch,) = fetches(session.receive(frame, 1))
        snapshot, delta = [u for u in session.answer(fetch, 200, book(5), 2) if type(u).__name__ == "BookUpdate"]
        assert (snapshot.ts_event, delta.ts_event) == (None, expected)  # type: ignore[union-attr]
        assert fetch.key == f"{key}@BTCUSDT"


def test_update_ids_that_begin_anew_are_found_by_their_time_and_the_gap_begins_with_the_last_good_update() -> None:
    session = session_of("BINANCE_SPOT", "L2 BTCUSDT")
    session.start(0)
    (ask,) = fetches(session.receive(depth("BTCUSDT", 501, 502), S))
    session.answer(ask, 200, book(502), 2 * S)
    session.receive(depth("BTCUSDT", 503, 503), 3 * S)
    assert list(session.receive(depth("BTCUSDT", 7, 9), 4 * S)) == [], "an old event is a repetition"
    newer = depth("BTCUSDT", 10, 12).replace(b'"E":1000', b'"E":1100')
    out = list(session.receive(newer, 11 * S))
    assert [row[:4] for row in covers(out)] == [("gap", "venue_gap", 3 * S, 11 * S), ("syncing", "venue_gap", 11 * S, None)]
    (ask,) = fetches(out)
    assert updates(session.answer(ask, 200, book(11), 12 * S)) == [(True, None, 11, 12 * S), (False, 9, 12, 11 * S)]
