"""A young or an abandoned recording: what is in the journal is shown, is not called proven, and what to do with it is said."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.look.journals import INSTRUMENT, KEY, NOW, HandClock, Scribe, deltas, scribe, snapshot, trade
from tests.store import made
from xtrader.cli.main import main
from xtrader.clock import SECOND
from xtrader.store.prove.live_end import QUIET, told
from xtrader.store.prove.recording_files import RecordingFiles
from xtrader.store.prove.verify import Report
from xtrader.store.report.day_report import report_day

DAY = "2026-11-21"
SPAN = "from 2026-11-21 00:00:00.400 to 2026-11-21 00:00:01.600"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def young(tmp_path: Path) -> Path:
    """A recorder's journal of a second and a half, and a list that names nothing yet."""
    root = tmp_path / "data"
    (root / "_manifest").mkdir(parents=True)
    (root / "_manifest" / "c1.jsonl").touch()
    with scribe(root / ".journal", HandClock(NOW)) as writer:
        _write(writer)
    return root


def _write(writer: Scribe) -> None:
    writer.write(INSTRUMENT)
    live = writer.cover("live", "start")
    writer.cover("live", "start", stream="TRADES")
    assert live.ts_from == NOW + SECOND // 10
    for update in (snapshot(), *deltas(9)):
        writer.write(msgspec.structs.replace(update, ts_recv=writer.clock.time))
    for number in range(3):
        writer.write(msgspec.structs.replace(trade(number), ts_recv=writer.clock.time))


def left(root: Path) -> None:
    """The recorder was killed a while ago."""
    for path in (root / ".journal").glob("*.journal"):
        os.utime(path, (time.time() - 2 * QUIET,) * 2)


def run(capfd: pytest.CaptureFixture[str], *words: str) -> Ran:
    capfd.readouterr()
    code = 0
    try:
        code = main(words)
    except SystemExit as stop:
        code = int(str(stop.code or 0))
    return Ran(code, *capfd.readouterr())


def test_a_recording_without_a_finished_file_is_not_proven_and_its_journal_is_told_with_its_time(
    young: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    verified = run(capfd, "verify", str(young))
    assert (verified.code, verified.err) == (1, "")
    assert "is in no file yet, so it is not proven" in verified.out
    assert SPAN in verified.out
    assert "nothing is proven: no file is finished yet" in verified.out
    assert "clean" not in verified.out
    report = msgspec.json.decode(run(capfd, "verify", str(young), "--json").out, type=Report)
    assert (report.exit_code, report.parts, report.days) == (1, 0, [])


def test_coverage_and_report_read_the_live_end(young: Path, capfd: pytest.CaptureFixture[str]) -> None:
    drawn = run(capfd, "coverage", str(young))
    assert drawn.code == 0
    assert f"L2:{KEY}" in drawn.out
    assert "█" in drawn.out
    assert SPAN in drawn.err
    book, trades = report_day(young, DAY)[0].subscriptions
    assert (book.messages, trades.messages, trades.rows, book.parts, book.bytes) == (10, 3, 3, 0, 0)
    assert book.lag_ms is not None
    assert (book.covered, book.gaps) == (1.0, [])
    shown = run(capfd, "report", str(young), "--date", DAY)
    assert (shown.code, SPAN in shown.err) == (0, True)
    other = run(capfd, "report", str(young), "--date", "2020-01-01")
    assert (other.code, f"it is of {DAY}" in other.err) == (2, True)


def test_what_is_in_files_and_in_the_journal_is_counted_once(tmp_path: Path) -> None:
    made.record(tmp_path)
    before = report_day(tmp_path, DAY)[0].subscriptions
    with scribe(tmp_path / ".journal", HandClock(made.END)) as writer:
        writer.write(msgspec.structs.replace(trade(1, key=made.OKX), ts_recv=made.BEGIN + SECOND))
    # The cursor is below all of the journal, and the files of this collector are older than it.
    after = report_day(tmp_path, DAY)[0].subscriptions
    assert [one.messages for one in after] == [one.messages + (one.subscription == f"TRADES:{made.OKX}") for one in before]


def test_a_journal_that_was_left_says_what_to_do_and_repair_does_it(young: Path, capfd: pytest.CaptureFixture[str]) -> None:
    left(young)
    for command in ("verify", "coverage"):
        ran = run(capfd, command, str(young))
        words = "".join(ran.out + ran.err)
        assert f"a journal is here that nobody writes to; what was received {SPAN} is in no file" in words
        assert f"start the recorder, or `xtrader repair {young}`" in words
    assert run(capfd, "verify", str(young)).code == 1
    assert run(capfd, "repair", str(young)).code == 0
    after = run(capfd, "verify", str(young))
    assert "a journal is here" not in after.out
    assert " damage" in after.out
    assert list(told(RecordingFiles(young))) == []


def test_a_journal_that_cannot_be_read_is_a_hole_and_no_traceback(young: Path) -> None:
    segment = next((young / ".journal").glob("*.journal"))
    segment.rename(segment.with_name("00000000000000000008.journal"))
    os.truncate(segment.with_name("00000000000000000008.journal"), 0)
    cursor = young / ".journal" / "parquet.cursor"
    cursor.mkdir()
    (found,) = told(RecordingFiles(young))
    assert found.level == "hole"
    assert "cannot be read" in found.what
    cursor.rmdir()


def test_two_collectors_of_one_subscription_are_told_apart(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made.record(tmp_path, "c1")
    made.record(tmp_path, "c2")
    for words in (
        ("coverage", str(tmp_path)),
        ("verify", str(tmp_path), "--workers", "1"),
        ("report", str(tmp_path), "--date", DAY),
    ):
        out = run(capfd, *words).out
        for collector in ("c1", "c2"):
            assert f"L2:{made.OKX} ({collector})" in out
    html = tmp_path / "x.html"
    assert run(capfd, "coverage", str(tmp_path), "--html", str(html)).code == 0
    assert f"L2:{made.OKX} (c2)" in html.read_text()
