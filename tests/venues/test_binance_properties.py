"""Binance under random losses, delays and mutilations: what is live equals the truth, and what is missing is declared."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.venues.binance_wire import S, ack, aggregate, book, covers, depth, fetches, session_of, trade, trades
from tests.venues.sound import is_sound
from xtrader.errors import ProtocolError
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate
from xtrader.venues.base import Fetch, Output

Change = tuple[int, str, float, float]
"""(update id, side, price, size)"""

change = st.tuples(st.integers(1, 3), st.sampled_from(["bids", "asks"]), st.integers(0, 5), st.booleans())
"""(how far the id goes on, side, price, whether the level is there afterwards)"""
kind = st.sampled_from(["event", "event", "event", "lost", "lost", "again", "late", "late", "answer", "answer", "quiet"])
step = st.tuples(kind, st.lists(change, min_size=1, max_size=2))


class Venue:
    """One instrument whose every change is remembered. Bids are 0 to 5, asks 10 to 15; a size is the id that set it."""

    def __init__(self, is_futures: bool) -> None:
        self.is_futures = is_futures
        self.symbol = "BTCUSDT"
        self.id = 100
        self.last_event = 100
        self.changes: list[Change] = []

    def event(self, wanted: list[tuple[int, str, int, bool]]) -> bytes:
        """Make changes and return the event that tells them; futures ids jump, as other instruments use them too."""
        first = self.id + 1
        levels: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        for jump, side, price, is_there in wanted:
            self.id += jump if self.is_futures else 1
            level = float(price if side == "bids" else price + 10)
            size = float(self.id) if is_there else 0.0
            self.changes.append((self.id, side, level, size))
            levels[side][str(level)] = str(size)
        previous, self.last_event = self.last_event, self.id
        bids, asks = list(levels["bids"].items()), list(levels["asks"].items())
        return depth(self.symbol, first, self.id, previous if self.is_futures else None, bids, asks)

    def state(self, number: int) -> dict[str, dict[float, float]]:
        """The true book at an update id."""
        sides: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
        for at, side, price, size in self.changes:
            if at <= number:
                sides[side][price] = size
        return {side: {price: size for price, size in levels.items() if size} for side, levels in sides.items()}

    def snapshot(self) -> bytes:
        state = self.state(self.id)
        return book(self.id, *([[str(price), str(size)] for price, size in state[side].items()] for side in ("bids", "asks")))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(step, min_size=5, max_size=40))
def test_live_book_equals_the_truth_whatever_is_lost_repeated_or_late(
    is_futures: bool, steps: list[tuple[str, list[tuple[int, str, int, bool]]]]
) -> None:
    exchange = "BINANCE_FUTURES" if is_futures else "BINANCE_SPOT"
    session = session_of(exchange, "L2 BTCUSDT")
    venue = Venue(is_futures)
    key = f"{exchange}@BTCUSDT"
    asked: list[Fetch] = []
    taken: bytes | None = None
    sent: bytes | None = None
    stored = Book()
    covered: list[str] = []
    now = 10 * S

    def note(out: list[Output]) -> None:
        asked.extend(fetches(out))
        covered.extend(row[0] for row in covers(out))
        for item in out:
            if isinstance(item, BookUpdate):
                stored.apply(item)

    note(list(session.start(now)))
    note(list(session.receive(ack(1), now)))
    for kind, wanted in steps:
        now += 1 * S
        was_live = session.book(key) is not None
        if kind == "event":
            sent = venue.event(wanted)
            note(list(session.receive(sent, now)))
        elif kind == "lost":
            venue.event(wanted)
        elif kind == "again" and sent is not None:
            note(list(session.receive(sent, now)))
        elif kind == "late" and asked:
            taken = taken or venue.snapshot()
        elif kind == "answer" and asked:
            body, taken = taken or venue.snapshot(), None
            note(list(session.answer(asked.pop(0), 200, body, now)))
        elif kind == "quiet":
            note(list(session.idle(now)))
        live = session.book(key)
        assert len(asked) <= 1
        if live is None:
            assert covered[-1] == "syncing"
            continue
        assert covered[-1] == "live"
        assert was_live or kind == "answer"
        assert live.sequence is not None
        assert {"bids": live.bids.sizes, "asks": live.asks.sizes} == venue.state(live.sequence)
        assert (stored.bids.sizes, stored.asks.sizes) == (live.bids.sizes, live.asks.sizes)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["BINANCE_SPOT", "BINANCE_FUTURES"]), st.lists(st.sampled_from("tttlr"), max_size=40))
def test_every_trade_id_is_stored_once_or_named_in_a_gap(exchange: str, steps: list[str]) -> None:
    session = session_of(exchange, "TRADES BTCUSDT")
    make = trade if exchange == "BINANCE_SPOT" else lambda symbol, n: aggregate(symbol, n, n, n)
    accounted: list[int] = []
    number = last = 100
    for now, kind in enumerate(steps):
        if kind == "l":
            number += 1
            continue
        if kind == "t":
            last = number
            number += 1
        out = list(session.receive(make("BTCUSDT", last), now + 1))
        for row in covers(out):
            if row[0] == "gap":
                found = re.fullmatch(r"missing ids (\d+) to (\d+) \((\d+)\)", row[4])
                assert found is not None
                missing = range(int(found[1]), int(found[2]) + 1)
                assert len(missing) == int(found[3])
                accounted += missing
        accounted += [int(item.trade_id) for item in trades(out)]
    if accounted:
        assert accounted == list(range(accounted[0], last + 1))


FRAMES = [
    depth("BTCUSDT", 5, 8, 4, [["10.5", "1"], ["10.4", "0"]], [["11", "3.25"]]),
    aggregate("BTCUSDT", 5, 6, 7),
    trade("BTCUSDT", 5, X="MARKET"),
    ack(1),
    b'{"error":{"code":2,"msg":"Invalid request"},"id":1}',
    b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}',
    json.dumps(json.loads(depth("BTCUSDT", 5, 8, 4))["data"]).encode(),
]
cut = st.tuples(
    st.integers(0, 400), st.integers(0, 30), st.one_of(st.binary(max_size=6), st.sampled_from([b'"', b"-", b"nan", b"1e999"]))
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(FRAMES), st.lists(cut, min_size=1, max_size=4))
def test_mutilated_frames_are_taken_or_end_the_session_with_a_protocol_error(
    frame: bytes, cuts: list[tuple[int, int, bytes]]
) -> None:
    session = session_of("BINANCE_FUTURES", "L2 BTCUSDT", "TRADES BTCUSDT")
    session.start(0)
    for at, length, put in cuts:
        at %= len(frame) or 1
        frame = frame[:at] + put + frame[at + length :]
    with suppress(ProtocolError):
        assert all(map(is_sound, session.receive(memoryview(frame), 1)))


@settings(max_examples=300, deadline=None)
@given(st.lists(cut, min_size=1, max_size=4), st.sampled_from([200, 400]), st.sampled_from(["snapshot", "probe"]))
def test_mutilated_answers_are_taken_or_end_the_session_with_a_protocol_error(
    cuts: list[tuple[int, int, bytes]], status: int, purpose: str
) -> None:
    session = session_of("BINANCE_FUTURES", "L2 BTCUSDT")
    session.receive(depth("BTCUSDT", 5, 8, 4), 1)
    body = book(6)
    for at, length, put in cuts:
        at %= len(body) or 1
        body = body[:at] + put + body[at + length :]
    with suppress(ProtocolError):
        fetch = Fetch("BINANCE_FUTURES@BTCUSDT", purpose, "/fapi/v1/depth")
        assert all(map(is_sound, session.answer(fetch, status, body, 2)))
