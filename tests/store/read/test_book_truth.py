"""Books at random times are the true ones, level for level: of the recorded sessions, from their text."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import xtrader
from tests.captures import captures
from tests.store import truth
from tests.store.books import SEED, TIMES
from tests.store.truth import Events
from xtrader.cli.main import main
from xtrader.errors import NotCovered
from xtrader.store.read.dataset import Dataset

RECORDINGS: dict[str, tuple[str, str, Callable[[Path], dict[str, Events]]]] = {
    "okx": ("recorded-1/OKX.*", "", truth.okx),
    "deribit": ("recorded-1/DERIBIT.*", "DERIBIT@", truth.deribit),
    "binance_futures": ("recorded-1/BINANCE_FUTURES.*", "BINANCE_FUTURES@", truth.binance_futures),
    "spot": ("recorded-2/spot_*", "BINANCE_SPOT@", truth.hftbacktest),
    "usdm": ("recorded-2/usdm_*", "BINANCE_FUTURES@", truth.hftbacktest),
}


@pytest.mark.timeout(300 + 2 * TIMES)
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_book_at_any_time_is_the_true_one(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pattern, exchange, true = RECORDINGS[name]
    files = sorted(captures().glob(pattern))
    assert main(["renormalise", *map(str, files), "--output-directory", str(tmp_path)]) == 0
    events = true(files[0] if len(files) == 1 else files[0].parent)
    rng = random.Random(SEED)
    print(f"XTRADER_TEST_SEED={SEED}")
    dataset = xtrader.open(tmp_path)
    last = max(own.known[-1] for own in events.values())
    for symbol, own in events.items():
        check(dataset, f"{exchange}{symbol}", own, some_times(own, last, rng, -(-TIMES // len(events))))


def some_times(events: Events, last: int, rng: random.Random, count: int) -> list[int]:
    """Times in [first, last) of a book: any, and those at and just before a change."""
    first = events.known[0]
    found = [rng.randrange(first, last) for _ in range(count - count // 2)]
    while len(found) < count:
        found.append(min(max(first, rng.choice(events.known) - rng.choice((0, 1))), last - 1))
    return sorted(found)


def check(dataset: Dataset, instrument: str, events: Events, times: list[int]) -> None:
    for ts, bids, asks in events.books(times):
        book = dataset.book_at(instrument, ts)
        assert (book.bids.sizes, book.asks.sizes) == (bids, asks), f"{instrument} at {ts}"
        assert book.bids.levels(1) == ([(max(bids), bids[max(bids)])] if bids else [])
    with pytest.raises(NotCovered, match=r"begins later|syncing"):
        dataset.book_at(instrument, events.known[0] - 1)
