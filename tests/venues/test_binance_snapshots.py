"""Snapshots of Binance: asked for, refused, too old, too shallow, and renewed by a deeper one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from msgspec.structs import replace

from tests.venues.binance_wire import S, ack, book, covers, depth, fetches, session_of, spot, updates
from xtrader.errors import ProtocolError
from xtrader.model.market import BookUpdate, Coverage
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Output
from xtrader.venues.binance.session import BinanceSession


def test_quiet_instrument_gets_its_snapshot_two_seconds_after_the_acknowledgement() -> None:
    session = spot()
    session.start(0)
    assert fetches(session.idle(5 * S)) == []
    session.receive(ack(1), 6 * S)
    assert fetches(session.idle(7 * S)) == []
    (fetch,) = fetches(session.idle(8 * S))
    assert fetches(session.idle(9 * S)) == []
    assert covers(session.answer(fetch, 200, book(9), 10 * S)) == [("live", "start", 10 * S, None, "")]


def test_a_refused_snapshot_is_asked_for_again_by_the_next_delta_and_then_more_and_more_rarely() -> None:
    session = spot()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8), 1 * S))
    refused = b'{"code":-1122,"msg":"Invalid symbol status."}'
    assert covers(session.answer(fetch, 400, refused, 2 * S))[0][4] == "snapshot refused: 400 -1122 Invalid symbol status."
    assert session.idle(3 * S) == []
    number, asked, now = 8, [], 3 * S
    for _ in range(1200):
        now += S // 10
        number += 1
        for fetch in fetches([*session.receive(depth("BTCUSDT", number, number), now), *session.idle(now)]):
            asked.append(now)
            assert covers(session.answer(fetch, 400, refused, now)) == []
    assert [round((after - before) / S) for before, after in pairwise(asked)] == [1, 2, 4, 8, 16, 32, 32]
    assert asked[0] == 3 * S + S // 10


def test_the_opening_book_of_a_new_listing_is_whole_from_the_first_snapshot_that_is_given() -> None:
    session = spot()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8), 1 * S))
    session.answer(fetch, 400, b'{"code":-1122,"msg":"Invalid symbol status."}', 2 * S)
    (again,) = fetches(session.receive(depth("BTCUSDT", 9, 9, bids=[["3", "1"]]), 3 * S))
    out = session.answer(again, 200, book(8), 4 * S)
    assert updates(out) == [(True, None, 8, 4 * S), (False, 8, 9, 3 * S)]
    assert covers(out) == [("live", "start", 4 * S, None, "")]


def test_a_refused_snapshot_is_a_gap_with_the_venues_words_and_without_deltas_asked_for_again_after_a_minute() -> None:
    session = spot()
    activity = session.activity[Subscription("L2", "BINANCE_SPOT", "BTCUSDT")]
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8), 1 * S))
    out = session.answer(fetch, 400, b'{"code":-1121,"msg":"Invalid symbol."}', 2 * S)
    assert covers(out) == [("gap", "start", 2 * S, None, "snapshot refused: 400 -1121 Invalid symbol.")]
    assert activity.state == "rejected"
    assert list(session.idle(61 * S)) == []
    assert list(session.idle(62 * S)) == [fetch]
    assert session.answer(fetch, 403, b"<html>", 63 * S) == ()
    assert list(session.idle(123 * S)) == [fetch]
    assert covers(session.answer(fetch, 200, book(7), 124 * S)) == [("live", "start", 124 * S, None, "")]
    assert activity.state == "live"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"lastUpdateId":1,"bids":[["nan","1"]],"asks":[]}'])
def test_malformed_snapshot_ends_the_session(body: bytes) -> None:
    session = spot()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 8), 1))
    with pytest.raises(ProtocolError):
        session.answer(fetch, 200, body, 2)


def test_snapshots_that_stay_too_old_are_asked_for_less_and_less_often() -> None:
    session = session_of("BINANCE_FUTURES", "L2 BTCUSDT")
    session.start(0)
    now, asked = S, 0
    waiting = fetches(session.receive(depth("BTCUSDT", 501, 502, 500), now))
    for n in range(600):
        now += S // 10
        asked += len(waiting)
        waiting = [again for one in waiting for again in fetches(session.answer(one, 200, book(100), now))]
        waiting += fetches(session.receive(depth("BTCUSDT", 503 + n, 503 + n, 502 + n), now))
    assert 5 <= asked <= 9
    now += 40 * S
    waiting += fetches(session.receive(depth("BTCUSDT", 1103, 1103, 1102), now))
    assert updates(session.answer(waiting[0], 200, book(1102), now))[0] == (True, None, 1102, now)


@pytest.mark.parametrize("lag", [3, 20])
def test_a_stream_that_is_behind_a_snapshot_without_a_time_is_waited_for(lag: int) -> None:
    session = session_of("BINANCE_SPOT", "L2 BTCUSDT")
    session.start(0)

    def at(number: int) -> bytes:
        return depth("BTCUSDT", number, number).replace(b'"E":1000', b'"E":%d' % (1000 * number))

    (ask,) = fetches(session.receive(at(100), S))
    session.answer(ask, 200, book(100 + lag), 2 * S)
    out = [item for n in range(1, lag + 4) for item in session.receive(at(100 + n), (2 + n) * S)]
    assert updates(out) == [(False, 99 + n, 100 + n, (2 + n) * S) for n in range(lag + 1, lag + 4)]
    assert covers(out) == []


def test_update_ids_that_begin_anew_after_a_snapshot_without_a_time_are_found_by_our_own_clock() -> None:
    session = session_of("BINANCE_SPOT", "L2 BTCUSDT")
    session.start(0)
    (ask,) = fetches(session.receive(depth("BTCUSDT", 501, 502), S))
    session.answer(ask, 200, book(502), 2 * S)
    out = [item for n in range(1, 33) for item in session.receive(depth("BTCUSDT", 6 + n, 6 + n), (2 + n) * S)]
    assert [row[:4] for row in covers(out)] == [("gap", "venue_gap", 2 * S, 33 * S), ("syncing", "venue_gap", 33 * S, None)]


def shallow_spot(depth_asked: int = 100) -> BinanceSession:
    """A session whose book of 100 levels is at 10, live since second 2, and asks for a deeper one."""
    session = spot()
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 5, 10), 1 * S))
    out = list(session.answer(replace(fetch, depth=depth_asked), 200, book(9), 2 * S))
    assert [row.depth for row in out if isinstance(row, Coverage)] == [depth_asked]
    return session


def renewing(session: BinanceSession, now: int) -> Fetch:
    (fetch,) = fetches(session.idle(now))
    assert (fetch.patient, fetch.depths) == (True, ((5000, 250),))
    assert fetches(session.idle(now + 1 * S)) == []
    return replace(fetch, depth=5000)


DEEP = ([["10", "1"], ["9", "1"]], [["11", "1"], ["12", "1"]])


def lives(out: Iterable[Output]) -> list[tuple[str, str, int, int | None, int | None]]:
    return [(row.state, row.cause, row.ts_from, row.ts_to, row.depth) for row in out if isinstance(row, Coverage)]


def test_a_shallow_book_asks_for_a_deeper_snapshot_and_takes_its_place_without_a_gap() -> None:
    session = shallow_spot()
    fetch = renewing(session, 3 * S)
    assert updates(session.receive(depth("BTCUSDT", 11, 12, bids=[["8", "1"]]), 4 * S)) == [(False, 10, 12, 4 * S)]
    assert updates(session.receive(depth("BTCUSDT", 13, 14, bids=[["9", "2"]]), 5 * S)) == [(False, 12, 14, 5 * S)]
    out = list(session.answer(fetch, 200, book(13, *DEEP), 6 * S))
    assert lives(out) == [("live", "start", 6 * S, None, 5000)]
    (snapshot,) = (item for item in out if isinstance(item, BookUpdate))
    assert (snapshot.is_snapshot, snapshot.sequence, snapshot.ts_recv) == (True, 14, 6 * S)
    assert (snapshot.bids, snapshot.asks) == ([(10.0, 1.0), (9.0, 2.0)], [(11.0, 1.0), (12.0, 1.0)])
    assert updates(session.receive(depth("BTCUSDT", 15, 15), 7 * S)) == [(False, 14, 15, 7 * S)]
    assert fetches(session.idle(60 * S)) == []


def test_a_deeper_snapshot_that_is_ahead_of_the_stream_waits_for_it() -> None:
    session = shallow_spot()
    fetch = renewing(session, 3 * S)
    assert list(session.answer(fetch, 200, book(13, *DEEP), 4 * S)) == []
    assert len(updates(session.receive(depth("BTCUSDT", 11, 12), 5 * S))) == 1
    out = list(session.receive(depth("BTCUSDT", 13, 14, bids=[["9", "2"]]), 6 * S))
    assert updates(out) == [(False, 12, 14, 6 * S), (True, None, 14, 6 * S)]
    assert lives(out) == [("live", "start", 6 * S, None, 5000)]


def test_a_deeper_snapshot_that_cannot_be_linked_changes_nothing_and_is_asked_for_again() -> None:
    session = shallow_spot()
    fetch = renewing(session, 3 * S)
    session.receive(depth("BTCUSDT", 11, 12), 4 * S)
    assert list(session.answer(fetch, 200, book(7, *DEEP), 5 * S)) == []
    assert session.activity[Subscription("L2", "BINANCE_SPOT", "BTCUSDT")].state == "live"
    assert fetches(session.idle(9 * S)) == []
    fetch = renewing(session, 10 * S)
    assert list(session.answer(fetch, 400, b"{}", 11 * S)) == []
    assert session.book("BINANCE_SPOT@BTCUSDT") is not None
    assert fetches(session.idle(60 * S)) == []
    assert lives(session.answer(renewing(session, 71 * S), 200, book(12, *DEEP), 73 * S)) == [("live", "start", 73 * S, None, 5000)]


def test_a_break_while_a_deeper_snapshot_is_on_its_way_takes_that_one_too() -> None:
    session = shallow_spot()
    fetch = renewing(session, 3 * S)
    out = list(session.receive(depth("BTCUSDT", 20, 21), 4 * S))
    assert covers(out)[0][:2] == ("gap", "venue_gap")
    assert lives(session.answer(fetch, 200, book(20, *DEEP), 5 * S)) == [("live", "venue_gap", 5 * S, None, 5000)]
    (other,) = fetches(out)
    assert list(session.answer(replace(other, depth=100), 200, book(20), 6 * S)) == []


def test_the_snapshot_of_a_crossed_book_is_taken_though_the_venue_uncrossed_it_before() -> None:
    session = shallow_spot(5000)
    (fetch,) = fetches(session.receive(depth("BTCUSDT", 11, 12, bids=[["12", "1"]], asks=[["30", "1"]]), 4 * S))
    out = list(session.receive(depth("BTCUSDT", 13, 14, bids=[["12", "0"]]), 5 * S))
    assert lives(out) == [("live", "crossed", 5 * S, None, 5000)]
    out = list(session.answer(replace(fetch, depth=5000), 200, book(13, *DEEP), 6 * S))
    assert [item.asks for item in out if isinstance(item, BookUpdate)] == [[(11.0, 1.0), (12.0, 1.0)]]
    assert updates(out) == [(True, None, 14, 6 * S)]
