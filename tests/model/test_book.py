"""The book's best prices against those of the plainest book that there can be."""

import random

import pytest

from xtrader.model.book import NEAR_MOST, Book
from xtrader.model.market import BookUpdate, Level


def update(bids: list[Level], asks: list[Level], *, is_snapshot: bool = False) -> BookUpdate:
    return BookUpdate("X@Y", is_snapshot, bids, asks, 1, None, None, 0)


def changes(noise: random.Random, middle: int, width: int, removed: float) -> list[Level]:
    prices = [middle + int(noise.gauss(0, width)) for _ in range(noise.randint(0, 12))]
    return [(float(price), 0.0 if noise.random() < removed else float(noise.randint(1, 9))) for price in prices]


@pytest.mark.parametrize("seed", range(12))
def test_the_best_prices_are_those_of_all_levels_however_the_market_moves(seed: int) -> None:
    noise = random.Random(seed)
    book = Book()
    plain: tuple[dict[float, float], dict[float, float]] = ({}, {})
    middle, width, removed = 1_000, noise.choice((3, 40, 400)), noise.choice((0.2, 0.5, 0.9))
    for number in range(1_500):
        middle += noise.choice((0, 0, 0, noise.randint(-20, 20), 300 if number % 500 == 250 else 0))
        is_snapshot = noise.random() < 0.005
        sides = [changes(noise, middle, width, 0.0 if is_snapshot else removed) for _ in plain]
        for levels, sizes in zip(sides, plain, strict=True):
            if is_snapshot:
                sizes.clear()
            for price, size in levels:
                sizes[price] = size
                if not size:
                    del sizes[price]
        book.apply(update(*sides, is_snapshot=is_snapshot))
        assert (book.bids.sizes, book.asks.sizes) == plain
        bid, ask = max(plain[0], default=None), min(plain[1], default=None)
        if noise.random() < 0.7:
            assert book.crossed() == (bid is not None and ask is not None and bid >= ask), f"after message {number}"
        if noise.random() < 0.7:
            assert (book.bids.best(), book.asks.best()) == (bid, ask), f"after message {number}"


def test_what_is_kept_beside_the_levels_does_not_grow_with_what_comes_and_goes() -> None:
    book = Book()
    for price in range(100_000):
        book.apply(update([(float(price), 1.0), (float(price - 3), 0.0)], []))
        assert len(book.bids._near) <= NEAR_MOST
    assert book.bids.levels() == [(99_999.0, 1.0), (99_998.0, 1.0), (99_997.0, 1.0)]
