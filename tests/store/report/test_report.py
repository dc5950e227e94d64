"""A day's report says what the rows say: checked against a recording whose every gap and message is known."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from tests.store import made
from tests.store.damage import parts
from xtrader.cli.main import main
from xtrader.errors import ConfigError
from xtrader.store.report.day_report import DayReport, Lag, report_day
from xtrader.store.report.report_html import report_page

MIDNIGHT = made.BEGIN + made.LENGTH // 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report") / "data"
    made.record(directory)
    return directory


def test_figures_are_those_of_the_day_and_of_nothing_else(whole: Path) -> None:
    first, second = (report_day(whole, date)[0].subscriptions for date in ("2026-11-21", "2026-11-22"))
    names = [one.subscription for one in first]
    assert names == [f"{stream}:{key}" for key in (made.BINANCE, made.OKX) for stream in ("L2", "TRADES")]
    book, trades = second[2], second[3]
    assert (book.environment, book.collector) == ("demo", "c1")
    assert [(gap.cause, gap.ts_from, gap.ts_to) for gap in book.gaps] == [("disconnect", made.DOWN - made.STEP, made.BACK)]
    assert book.gap_seconds == 10.5
    assert (book.resyncs, first[2].resyncs, first[3].resyncs) == (1, 1, 0)
    assert book.covered == pytest.approx(139.5 / 150, abs=1e-6)
    assert book.covered_day == pytest.approx(139.5 / 86_400, abs=1e-6)
    assert sum(one.messages for one in (first[2], book)) == 580
    assert trades.messages == trades.rows == 279
    assert trades.lag_ms == Lag(0.004, 0.004, 0.004, 0.004)
    sizes = {path: path.stat().st_size for path in parts(whole) if "TRADES" in str(path) and "OKX" in str(path)}
    assert trades.bytes + first[3].bytes == sum(sizes.values())


def test_a_gap_over_midnight_is_cut_at_midnight(tmp_path: Path) -> None:
    made.record(tmp_path, end=MIDNIGHT + 20 * made.STEP)
    report, timeline = report_day(tmp_path, "2026-11-21")
    assert timeline.ts_to == MIDNIGHT
    assert all(gap.ts_to <= MIDNIGHT for one in report.subscriptions for gap in one.gaps)
    assert max(one.covered or 0 for one in report.subscriptions) == pytest.approx(1, abs=1e-3)


def test_a_damaged_part_is_counted_as_damaged_and_in_no_other_figure(tmp_path: Path) -> None:
    made.record(tmp_path)
    path = next(path for path in parts(tmp_path) if "stream=TRADES" in str(path))
    before = report_day(tmp_path, "2026-11-21")[0].subscriptions[1]
    path.write_bytes(path.read_bytes()[:-4])
    report, timeline = report_day(tmp_path, "2026-11-21")
    after = report.subscriptions[1]
    assert (before.damaged, after.damaged) == (0, 1)
    assert after.messages < before.messages
    assert "1 damaged" in report_page(report, timeline)


def test_a_day_without_anything_is_refused(whole: Path) -> None:
    with pytest.raises(ConfigError, match="2026-11-20"):
        report_day(whole, "2026-11-20")


class Page(HTMLParser):
    """Checks that every element that must be closed is, and gathers the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_command_writes_a_page_that_stands_alone_and_the_same_as_json(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, text = tmp_path / "day.html", tmp_path / "day.json"
    assert main(["report", str(whole), "--date", "2026-11-22", "--html", str(page), "--json", str(text), "--workers", "1"]) == 0
    assert made.OKX in capsys.readouterr().out
    report = report_day(whole, "2026-11-22")[0]
    assert msgspec.json.decode(text.read_bytes(), type=DayReport) == report
    written = page.read_text()
    assert "http" not in written.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in written
    shown = Page(written)
    assert shown.open == []
    for one in report.subscriptions:
        assert f"{one.rows:,}" in shown.text
    assert written.count(">2026-11-22 00:01:00</td>") == 4
