"""Every subscription has its line in `verify`, `report` and `coverage`, and time that is not live is a hole, whatever its name."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.store import made
from tests.store.recordings import SECOND, START, instrument, record
from xtrader.feed.coverage import CoverageTracker
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.sinks.manifest import ManifestLine, seal, unseal
from xtrader.store.prove.verify import Report, verify
from xtrader.store.report.day_report import report_day
from xtrader.store.report.timeline import read_timeline
from xtrader.venues import rules

KEY = "OKX_SWAP@BTC-USDT-SWAP"
DATE = "2026-11-21"
DAY = 86_400 * SECOND


def check(directory: Path) -> Report:
    return verify(directory, rules, 1)


def holes(report: Report) -> list[str]:
    return [finding.what for finding in report.findings if finding.level == "hole"]


def told(rows: Iterable[Coverage]) -> Iterator[Record]:
    """The rows that a recorder writes for what happens, in order."""
    tracker = CoverageTracker()
    for row in rows:
        # What was filled ends no interval.
        yield from [row] if row.cause == "filled" else tracker.rows(row)


def row(state: str, cause: str, second: float, stream: str = "L2", until: float | None = None, **ids: int) -> Coverage:
    end = None if until is None else START + round(until * SECOND)
    return Coverage(KEY, stream, state, cause, START + round(second * SECOND), end, **ids)  # type: ignore[arg-type]


def trade(number: int, second: float) -> Trade:
    return Trade(KEY, str(number), "buy", 1.0, 1.0, START + round(second * SECOND), START + round(second * SECOND))


def snapshot(second: float) -> BookUpdate:
    return BookUpdate(KEY, True, [(1.0, 1.0)], [(2.0, 1.0)], 1, None, None, START + round(second * SECOND))


def recorded(directory: Path, *records: Record) -> Path:
    coverage = [one for one in records if isinstance(one, Coverage)]
    others = [one for one in records if not isinstance(one, Coverage)]
    return record(directory, [instrument("OKX_SWAP", "BTC-USDT-SWAP", "BTCUSDT"), *others, *told(coverage)])


@pytest.mark.parametrize("seconds", [2, 7200])
@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_book_that_never_came_in_sync_is_a_hole_and_has_its_line_everywhere(
    tmp_path: Path, seconds: int, is_stopped: bool
) -> None:
    stops = [row("gap", "shutdown", seconds, one) for one in ("L2", "TRADES")] if is_stopped else []
    directory = recorded(
        tmp_path / "data",
        row("syncing", "start", 0),
        row("syncing", "start", 0, "TRADES"),
        row("live", "start", 1, "TRADES"),
        trade(1, 1.5),
        trade(2, seconds),
        *stops,
    )
    report = check(directory)
    assert report.exit_code == 1
    assert [what.partition(" from ")[0] for what in holes(report)] == [f"L2:{KEY}"]
    assert next((day.subscription, day.messages, day.live, day.gaps) for day in report.days) == (f"L2:{KEY}", 0, 0.0, 1)
    book = report_day(directory, DATE)[0].subscriptions[0]
    assert (book.subscription, book.covered, len(book.gaps), book.gap_seconds) == (f"L2:{KEY}", 0.0, 1, seconds)
    strip = read_timeline(directory).strips[0]
    assert (strip.subscription, strip.live(START, START + DAY)) == (f"L2:{KEY}", 0.0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([row("syncing", "start", 0), row("live", "start", 60)], 0, id="a start within a minute"),
        pytest.param([row("syncing", "start", 0), row("live", "start", 61)], 1, id="a start that takes longer"),
        pytest.param(
            [row("syncing", "start", 0), row("live", "start", 1), row("syncing", "silent", 5), row("live", "silent", 6)],
            1,
            id="syncing again without a gap row",
        ),
        pytest.param(
            [
                row("syncing", "start", 0),
                row("live", "start", 1),
                row("gap", "disconnect", 5),
                row("syncing", "disconnect", 7),
                row("live", "disconnect", 8),
            ],
            1,
            id="the way back from a gap",
        ),
        pytest.param(
            [
                row("syncing", "start", 0),
                row("live", "start", 1),
                row("gap", "disconnect", 5),
                row("syncing", "disconnect", 7),
                row("live", "disconnect", 300),
            ],
            2,
            id="a long way back from a gap",
        ),
    ],
)
def test_syncing_is_a_hole_but_for_a_short_start_and_the_short_way_back_from_a_gap(
    tmp_path: Path, rows: list[Coverage], expected: int
) -> None:
    snapshots = [snapshot((one.ts_from - START) / SECOND) for one in rows if one.state == "live"]
    end = snapshots[-1].ts_recv / SECOND - START / SECOND + 100
    report = check(recorded(tmp_path / "data", *snapshots, *rows, row("gap", "shutdown", end)))
    assert [one for one in report.findings if one.level == "damage"] == []
    assert (len(holes(report)), report.exit_code) == (expected, 1 if expected else 0)


def test_each_day_of_a_subscription_has_its_line_with_parts_or_without(tmp_path: Path) -> None:
    days = 3
    directory = recorded(
        tmp_path / "data",
        row("syncing", "start", 0, "TRADES"),
        row("live", "start", 1, "TRADES"),
        trade(1, 2),
        trade(2, days * 86_400 - 1),
        row("gap", "shutdown", days * 86_400, "TRADES"),
    )
    lines = [(day.date, day.parts, day.messages, day.live) for day in check(directory).days]
    assert [(date, parts_, messages) for date, parts_, messages, _ in lines] == [
        ("2026-11-21", 1, 1),
        ("2026-11-22", 0, 0),
        ("2026-11-23", 1, 1),
    ]
    assert lines[1][3] == 1.0


def drop(directory: Path, stream: str) -> None:
    """Take a stream away as if it had never been: its files, and their lines, sealed anew."""
    (path,) = (directory / "_manifest").glob("*.jsonl")
    texts, before = [], 0
    for text in path.read_bytes().splitlines():
        line = msgspec.json.decode(unseal(text)[0], type=ManifestLine)
        if line.stream != stream:
            sealed, before = seal(line, before)
            texts.append(sealed)
    path.write_bytes(b"".join(texts))
    shutil.rmtree(directory / f"stream={stream}")


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        ("L2", "no snapshot was recorded"),
        ("COVERAGE", "in no interval that is live"),
        ("INSTRUMENTS", "no part of INSTRUMENTS"),
    ],
)
def test_a_stream_that_was_taken_away_with_its_lines_is_damage(tmp_path: Path, stream: str, says: str) -> None:
    made.record(tmp_path)
    drop(tmp_path, stream)
    report = check(tmp_path)
    assert report.exit_code == 2
    assert any(says in finding.what for finding in report.findings if finding.level == "damage")
    subscriptions = {f"{one}:{key}" for one in ("L2", "TRADES") for key in (made.OKX, made.BINANCE)}
    assert {day.subscription for day in report.days} == subscriptions


def test_a_collector_whose_list_names_no_part_is_told(tmp_path: Path) -> None:
    made.record(tmp_path, end=made.LOST)
    (tmp_path / "_manifest" / "c2.jsonl").touch()
    report = check(tmp_path)
    assert (report.exit_code, [(one.level, one.file) for one in report.findings]) == (1, [("hole", "_manifest/c2.jsonl")])


FILLS = [
    pytest.param([(11, 14)], True, id="all at once"),
    pytest.param([(13, 14), (11, 12)], True, id="in pieces"),
    pytest.param([(11, 12), (14, 14)], False, id="in part"),
    pytest.param([], False, id="none"),
]


@pytest.mark.parametrize(("came", "is_filled"), FILLS)
def test_a_gap_whose_numbers_all_came_later_counts_nowhere_and_one_filled_in_part_everywhere(
    tmp_path: Path, came: list[tuple[int, int]], is_filled: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = [number for low, high in came for number in range(low, high + 1)]
    directory = recorded(
        tmp_path / "data",
        row("syncing", "start", 0, "TRADES"),
        row("live", "start", 0.5, "TRADES"),
        trade(10, 1),
        trade(15, 3),
        *(trade(number, 4 + place / 10) for place, number in enumerate(numbers)),
        trade(16, 5),
        row("gap", "venue_gap", 1, "TRADES", until=3, ids_from=11, ids_to=14),
        row("live", "venue_gap", 3, "TRADES"),
        *(row("live", "filled", 1, "TRADES", until=3, ids_from=low, ids_to=high) for low, high in came),
        row("gap", "shutdown", 10, "TRADES"),
    )
    report = check(directory)
    (day,) = report.days
    end = 10
    assert holes(report) == [] if is_filled else len(holes(report)) == 1
    assert day.gaps == (0 if is_filled else 1)
    assert day.live == pytest.approx((end - 0.5 - (0 if is_filled else 2)) / (end - 0.5))
    one = report_day(directory, DATE)[0].subscriptions[0]
    assert (len(one.gaps), one.covered) == (day.gaps, pytest.approx(day.live))
    (strip,) = read_timeline(directory).strips
    assert strip.live(START, START + DAY) == pytest.approx(day.live)
    states = [found.state for found in strip.shown(START, START + DAY)]
    assert ("gap" in states) is not is_filled
