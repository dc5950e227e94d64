"""A venue's own book as it sends it: the truth that a session's book is compared with, and messages that get lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import strategies as st

from tests.venues.recorded import rebuilt
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Level
from xtrader.venues.base import MarketSession, Output, Send

SECOND = 1_000_000_000

FATES = st.lists(
    st.tuples(
        st.sampled_from(["deliver", "deliver", "deliver", "lose", "twice"]),
        st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=3),
        st.lists(st.tuples(st.integers(10, 19), st.integers(0, 3)), max_size=3),
        st.integers(1, 5),
    ),
    max_size=40,
)
"""Of each message: its fate, its bid and ask levels, and how far it moves the sequence number."""

Fate = tuple[str, list[tuple[int, int]], list[tuple[int, int]], int]
Message = Callable[[int | None, int, Iterable[Level], Iterable[Level]], bytes]
"""(number before or None for a snapshot, number, bids, asks) -> wire text"""


def check(session: MarketSession, key: str, message: Message, fates: Iterable[Fate]) -> None:
    """Deliver, lose and double messages; after each one the book equals the truth, or is declared not live.

    A resubscription is answered by a snapshot. What was stored rebuilds the same book, and every loss that showed has its row.
    """
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    number, now = 100, SECOND
    updates: list[BookUpdate] = []
    gaps = resyncs = 0
    lost = False

    def deliver(payload: bytes) -> bool:
        nonlocal now, gaps
        now += SECOND
        asked = False
        for output in session.receive(payload, now):
            asked |= took(output)
        return asked

    def took(output: Output) -> bool:
        nonlocal gaps
        if isinstance(output, BookUpdate):
            updates.append(output)
        elif isinstance(output, Coverage) and output.state == "gap":
            gaps += 1
        return isinstance(output, Send) and "subscribe" in output.payload

    session.start(now)
    deliver(message(None, number, (), ()))
    for fate, new_bids, new_asks, step in fates:
        for price, size in new_bids:
            _set(bids, price, size)
        for price, size in new_asks:
            _set(asks, price, size)
        payload = message(number, number + step, new_bids, new_asks)
        number += step
        if fate == "lose":
            lost = True
            continue
        was_live = session.book(key) is not None
        asked = deliver(payload)
        if fate == "twice":
            asked |= deliver(payload)
        book = session.book(key)
        assert book is None or _same(book, bids, asks)
        if book is not None:
            assert book.sequence == number
            assert _same(rebuilt(updates), bids, asks)
        if was_live:
            assert (book is None) == lost == (gaps == resyncs + 1)
            resyncs = gaps
        lost = False
        for _ in range(0 if book is not None or asked else 400):
            now += SECOND
            session.receive(b'{"event":"login"}' if "OKX" in key else b'{"method":"heartbeat"}', now)
            answers = [took(output) for output in session.idle(now)]
            if any(answers):
                break
        if session.book(key) is None:
            deliver(message(None, number, bids.items(), asks.items()))
    assert session.book(key) is not None


def _set(side: dict[float, float], price: int, size: int) -> None:
    if size:
        side[float(price)] = float(size)
    else:
        side.pop(float(price), None)


def _same(book: Book, bids: dict[float, float], asks: dict[float, float]) -> bool:
    return book.bids.sizes == bids and book.asks.sizes == asks
