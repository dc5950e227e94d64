"""Replay: every record that was written comes back as it was, in the order of receipt, out of bounded memory."""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

import xtrader
from tests.pipeline.numbered import load, trade, update
from tests.pipeline.records import records
from tests.store.recordings import SECOND, START, record
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.store.read import merge_rows, scan
from xtrader.store.read.dataset import Dataset


@settings(max_examples=25, deadline=None)
@given(found=records)
def test_every_record_comes_back_as_it_was(found: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        told = [Coverage("OKX_SWAP@X", "L2", "live", "start", START, None)]
        dataset = xtrader.open(record(Path(temporary), [*told, *found]))
        replayed = list(dataset.replay())
    for kind in (BookUpdate, Trade):
        for key in {one.instrument for one in found if isinstance(one, kind)}:
            written = [one for one in found if isinstance(one, kind) and one.instrument == key]
            assert [one for one in replayed if isinstance(one, kind) and one.instrument == key] == written
    latest: dict[tuple[str, type], int] = {}
    order = []
    for one in replayed:
        place = (one.instrument, type(one))
        latest[place] = max(latest.get(place, 0), one.ts_recv)
        order.append(latest[place])
    assert order == sorted(order)


def test_many_instruments_come_in_one_order_however_small_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = list(load(4000, instruments=7))
    record(tmp_path, written, rotate_seconds=0.5)
    monkeypatch.setattr("xtrader.store.read.dataset.BATCH_ROWS", 1)
    replayed = list(xtrader.open(tmp_path).replay())
    assert replayed == sorted(written, key=lambda one: one.ts_recv)  # type: ignore[union-attr]


def test_book_messages_come_before_trades_of_the_same_time(tmp_path: Path) -> None:
    record(tmp_path, [trade(1, ts_recv=START), update(1, ts_recv=START), trade(2, ts_recv=START + 1)])
    assert [type(one) for one in xtrader.open(tmp_path).replay()] == [BookUpdate, Trade, Trade]
    assert [type(one) for one in xtrader.open(tmp_path).replay(streams=["TRADES"])] == [Trade, Trade]


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_the_order_is_exact_however_the_rows_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Few different times and some that run backwards, so that books and trades meet at the ends of what is read at a time."""
    chance = random.Random(rows)
    monkeypatch.setattr("xtrader.store.read.rows_to_records.RUN_ROWS", rows)
    now = START
    written: list[BookUpdate | Trade] = []
    for number in range(600):
        now += chance.choice((0, 0, 0, 1, 5, SECOND // 50))
        is_book = chance.random() < 0.3
        written.append(update(number, ts_recv=now - chance.choice((0, 0, 3))) if is_book else trade(number, ts_recv=now))
    record(tmp_path, written, rotate_seconds=chance.choice((0.1, 900)))
    expected: list[tuple[int, bool, int]] = []
    for kind in (BookUpdate, Trade):
        latest = 0
        for place, one in enumerate(written):
            if isinstance(one, kind):
                latest = max(latest, one.ts_recv)
                expected.append((latest, kind is Trade, place))
    assert list(xtrader.open(tmp_path).replay()) == [written[place] for _, _, place in sorted(expected)]


def test_a_message_that_waited_for_its_snapshot_stays_behind_it(tmp_path: Path) -> None:
    """Updates that came before the snapshot was there are stored after it, with the earlier time at which they came."""
    waited = [update(50, ts_recv=START + 5), update(51, ts_recv=START + 1), update(53, ts_recv=START + 9)]
    other = [update(5, "OKX_SPOT@A", START + 3), update(7, "OKX_SPOT@A", START + 7)]
    record(tmp_path, [other[0], *waited[:2], other[1], waited[2]])
    assert list(xtrader.open(tmp_path).replay()) == [other[0], waited[0], waited[1], other[1], waited[2]]


@pytest.mark.parametrize("ask", [lambda dataset: dataset.book_updates().tables(), lambda dataset: dataset.replay()])
def test_tables_are_let_go_one_after_the_other(tmp_path: Path, ask: Callable[[Dataset], Iterator[object]]) -> None:
    """What Arrow holds while a long recording is replayed does not depend on how long it is."""
    most = []
    for rows in (20_000, 80_000):
        dataset = xtrader.open(record(tmp_path / str(rows), load(rows), rotate_seconds=10))
        before = pa.total_allocated_bytes()
        peaks = [pa.total_allocated_bytes() - before for _ in ask(dataset)]
        assert len(peaks) > 1
        most.append(max(peaks))
    assert most[1] < 1.5 * most[0]


def test_a_replay_that_is_given_up_leaves_no_thread_behind(tmp_path: Path) -> None:
    record(tmp_path, load(2000), rotate_seconds=0.2)
    before = threading.active_count()
    replay = xtrader.open(tmp_path).replay()
    next(replay)
    assert threading.active_count() > before
    replay.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_trades_of_two_collectors_are_there_once_and_first_receipts_win(tmp_path: Path) -> None:
    late = 30_000_000
    one = [trade(number, ts_recv=START + number * SECOND) for number in range(0, 60)]
    two = [
        replace(trade(number, ts_recv=START + number * SECOND), ts_recv=START + number * SECOND + (late if number % 2 else -late))
        for number in range(20, 90)
    ]
    record(tmp_path, one, "c1", rotate_seconds=7)
    record(tmp_path, two, "c2", rotate_seconds=11)
    found = list(xtrader.open(tmp_path).replay())
    assert sorted(int(each.trade_id) for each in found if isinstance(each, Trade)) == list(range(90))
    assert all(before.ts_recv <= after.ts_recv for before, after in pairwise(found))
    expected = {each.trade_id: min(each.ts_recv, *(o.ts_recv for o in one if o.trade_id == each.trade_id), 2**63) for each in two}
    assert {each.trade_id: each.ts_recv for each in found if isinstance(each, Trade) and each.trade_id in expected} == expected
    pieces = [
        list(xtrader.open(tmp_path).replay(start=START + start, end=START + start + 10 * SECOND))
        for start in range(-SECOND, 100 * SECOND, 10 * SECOND)
    ]
    assert [each for piece in pieces for each in piece] == found


def test_a_directory_opened_twice_is_there_once(tmp_path: Path) -> None:
    written = [trade(number, ts_recv=START + number) for number in range(50)]
    record(tmp_path, written)
    assert list(xtrader.open(tmp_path, tmp_path).replay()) == written


def test_memory_of_trade_numbers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from xtrader.records.schemas import TRADES

    def tables() -> object:
        for number in range(200):
            columns = {name: pa.nulls(1, TRADES.field(name).type) for name in TRADES.names}
            columns["ts_recv"] = pa.array([START + number * SECOND]).cast(TRADES.field("ts_recv").type)
            columns["trade_id"] = pa.array([str(number % 100)])
            yield pa.table(columns, schema=TRADES)

    assert sum(table.num_rows for table in merge_rows.without_repetitions(tables(), ("trade_id", "ts_event"))) == 100  # type: ignore[arg-type]
    monkeypatch.setattr(merge_rows, "MEMORY", 50 * SECOND)
    assert sum(table.num_rows for table in merge_rows.without_repetitions(tables(), ("trade_id", "ts_event"))) == 200  # type: ignore[arg-type]
    assert scan.ALWAYS.start < 0
