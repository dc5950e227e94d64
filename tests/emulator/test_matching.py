from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from xtrader.emulator.matching import Match, OrderBook

PRICES = st.integers(90, 110)
LOTS = st.integers(1, 20)
ORDERS = st.one_of(
    st.tuples(st.just("limit"), st.booleans(), PRICES, LOTS),
    st.tuples(st.just("market"), st.booleans(), st.just(0), LOTS),
    st.tuples(st.just("cancel"), st.booleans(), st.integers(0, 60), st.just(0)),
)


class Naive:
    """The rule in its plainest form: a list of resting orders, searched for the best, oldest first."""

    def __init__(self) -> None:
        self.resting: list[list[int | bool]] = []

    def trade(self, is_buy: bool, limit: int | None, lots: int) -> tuple[list[Match], int]:
        matches = []
        while lots:
            candidates = [row for row in self.resting if row[1] is not is_buy]
            if limit is not None:
                candidates = [row for row in candidates if (row[2] <= limit if is_buy else row[2] >= limit)]
            if not candidates:
                break
            best = min(candidates, key=lambda row: (row[2] if is_buy else -row[2], row[0]))
            taken = min(best[3], lots)
            matches.append(Match(best[0], best[2], taken))
            best[3] -= taken
            lots -= taken
            if not best[3]:
                self.resting.remove(best)
        return matches, lots


@given(st.lists(ORDERS, max_size=60))
@settings(max_examples=300, deadline=None)
def test_the_book_matches_by_price_then_time_and_is_never_crossed(orders: list[tuple[str, bool, int, int]]) -> None:
    book, naive = OrderBook(), Naive()
    for number, (kind, is_buy, price, lots) in enumerate(orders):
        if kind == "cancel":
            gone = [row for row in naive.resting if row[0] == price]
            assert book.cancel(price) == (gone[0][3] if gone else 0)
            naive.resting = [row for row in naive.resting if row[0] != price]
        elif kind == "limit":
            matches, left = naive.trade(is_buy, price, lots)
            assert book.limit(number, is_buy, price, lots) == matches
            if left:
                naive.resting.append([number, is_buy, price, left])
        else:
            matches, _ = naive.trade(is_buy, None, lots)
            assert book.market(is_buy, lots) == matches
        bid, ask = book.bids.best(), book.asks.best()
        assert bid is None or ask is None or bid < ask
    for side, is_buy in ((book.bids, True), (book.asks, False)):
        totals: dict[int, int] = {}
        for row in naive.resting:
            if row[1] is is_buy:
                totals[row[2]] = totals.get(row[2], 0) + row[3]
        assert side.totals == totals
        assert side.top(100) == sorted(totals.items(), reverse=is_buy)
    assert set(book.homes) == {row[0] for row in naive.resting}


@given(st.lists(ORDERS, max_size=60))
@settings(deadline=None)
def test_lots_are_conserved(orders: list[tuple[str, bool, int, int]]) -> None:
    book = OrderBook()
    placed = cancelled = traded = 0
    for number, (kind, is_buy, price, lots) in enumerate(orders):
        if kind == "cancel":
            cancelled += book.cancel(price)
        elif kind == "limit":
            placed += lots
            traded += sum(match.lots for match in book.limit(number, is_buy, price, lots))
        else:
            matched = sum(match.lots for match in book.market(is_buy, lots))
            placed += matched
            traded += matched
    resting = sum(book.bids.totals.values()) + sum(book.asks.totals.values())
    assert placed == cancelled + 2 * traded + resting


@given(st.lists(ORDERS, max_size=60), st.integers(1, 7))
@settings(deadline=None)
def test_drained_changes_rebuild_the_levels(orders: list[tuple[str, bool, int, int]], every: int) -> None:
    book = OrderBook()
    bids: dict[int, int] = {}
    for number, (kind, is_buy, price, lots) in enumerate(orders):
        if kind == "cancel":
            book.cancel(price)
        elif kind == "limit":
            book.limit(number, is_buy, price, lots)
        else:
            book.market(is_buy, lots)
        if number % every == 0:
            bids.update(book.bids.drain())
    bids.update(book.bids.drain())
    assert {price: lots for price, lots in bids.items() if lots} == book.bids.totals
    assert book.bids.touches == 0
