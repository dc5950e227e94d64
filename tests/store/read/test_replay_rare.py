"""A replay with coverage and instruments: each row in its place, before the records of its time."""

from __future__ import annotations

from pathlib import Path

import pytest

import xtrader
from tests.pipeline.numbered import KEYS, trade, update
from tests.store.recordings import SECOND, START, instrument, record
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage, Record

KEY = KEYS[0]
STREAMS = ("L2", "TRADES", "COVERAGE", "INSTRUMENTS")


def live(stream: str, start: int, end: int | None = None, state: str = "live", cause: str = "start") -> Coverage:
    return Coverage(KEY, stream, state, cause, start, end)


def written(directory: Path) -> Path:
    """A book that is lost for five seconds after ten, and one trade a second."""
    lost, back = START + 10 * SECOND, START + 15 * SECOND
    records: list[Record] = [instrument("OKX_SWAP", "BTC-USDT-SWAP", "BTCUSDT"), live("L2", START), live("TRADES", START)]
    for number in range(30):
        ts = START + number * SECOND
        if ts == lost:
            records += [live("L2", START, lost), live("L2", lost, None, "gap", "disconnect")]
        if ts == back:
            records += [live("L2", lost, back, "gap", "disconnect"), live("L2", back)]
        if not lost <= ts < back:
            records.append(update(50 * number if ts in (START, back) else 50 * number + 1, ts_recv=ts))
        records.append(trade(number, ts_recv=ts))
    return record(directory, records, rotate_seconds=7)


def rows(directory: Path, **window: int) -> list[Record]:
    return list(xtrader.open(directory).replay(streams=STREAMS, **window))


def told(found: list[Record]) -> list[tuple[str, str, int]]:
    return [(one.stream, one.state, (one.ts_from - START) // SECOND) for one in found if isinstance(one, Coverage)]


def test_what_begins_and_ends_is_said_before_the_records_of_its_time(tmp_path: Path) -> None:
    found = rows(written(tmp_path))
    assert told(found) == [("L2", "live", 0), ("TRADES", "live", 0), ("L2", "gap", 10), ("L2", "live", 15)]
    times = [one.ts_from if isinstance(one, Coverage) else one.ts if isinstance(one, Instrument) else one.ts_recv for one in found]
    assert times == sorted(times)
    for place, one in enumerate(found):
        if isinstance(one, Coverage) and place + 1 < len(found):
            assert times[place - 1] < times[place] or isinstance(found[place - 1], (Coverage, Instrument))
    (gap,) = [one for one in found if isinstance(one, Coverage) and one.state == "gap"]
    assert gap.cause == "disconnect"


def test_without_them_the_records_are_what_they_were(tmp_path: Path) -> None:
    found = rows(written(tmp_path))
    assert [one for one in found if not isinstance(one, (Coverage, Instrument))] == list(xtrader.open(tmp_path).replay())


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (12, 14, [("L2", "gap", 12), ("TRADES", "live", 12)]),
        (5, 12, [("L2", "live", 5), ("TRADES", "live", 5), ("L2", "gap", 10)]),
        (12, 20, [("TRADES", "live", 12), ("L2", "gap", 12), ("L2", "live", 15)]),
    ],
)
def test_a_range_begins_with_how_things_stand(tmp_path: Path, start: int, end: int, expected: list[tuple[str, str, int]]) -> None:
    found = rows(written(tmp_path), start=START + start * SECOND, end=START + end * SECOND)
    assert sorted(told(found)) == sorted(expected)
    assert [one.alias for one in found if isinstance(one, Instrument)] == ["BTCUSDT"]


def test_coverage_alone_is_that_of_all_streams(tmp_path: Path) -> None:
    found = list(xtrader.open(written(tmp_path)).replay(streams=("COVERAGE",)))
    assert {one.stream for one in found} == {"L2", "TRADES"}


def test_two_collectors_are_one_answer(tmp_path: Path) -> None:
    written(tmp_path)
    records: list[Record] = [live("L2", START + 5 * SECOND), update(0, ts_recv=START + 5 * SECOND)]
    records += [update(number, ts_recv=START + (5 + number) * SECOND) for number in range(1, 20)]
    record(tmp_path, records, collector="c2")
    assert ("L2", "gap", 10) not in told(rows(tmp_path))
