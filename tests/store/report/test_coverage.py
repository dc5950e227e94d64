"""The timeline shows what the rows say, however short a gap is, in the terminal, as a page and as a picture."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.store import made
from tests.store.damage import parts
from xtrader.cli.main import main
from xtrader.clock import SECOND
from xtrader.errors import ConfigError
from xtrader.store.read.coverage_fold import Interval
from xtrader.store.report.coverage_svg import STYLE, WIDTH, percent, svg
from xtrader.store.report.timeline import Strip, Timeline, cells, read_timeline
from xtrader.store.report.timescale import length, ticks


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("coverage") / "data"
    made.record(directory)
    return directory


def strip(*intervals: tuple[str, int, int | None], end: int = 100) -> Strip:
    return Strip("c1", "L2:OKX_SWAP@A", [Interval("L2", state, "start", start, stop) for state, start, stop in intervals], end)


def test_a_cell_is_as_bad_as_the_worst_in_it_and_edges_touch_no_neighbour() -> None:
    one = strip(("syncing", 0, 10), ("live", 10, 41), ("gap", 41, 42), ("live", 42, None), end=90)
    assert cells(one, 0, 100, 10) == ["syncing", "live", "live", "live", "gap", "live", "live", "live", "live", ""]
    assert cells(one, 40, 44, 4) == ["live", "gap", "live", "live"]


def test_a_gap_of_no_length_is_still_shown() -> None:
    assert cells(strip(("live", 0, 50), ("gap", 50, 50), ("live", 50, 100)), 0, 100, 4) == ["live", "live", "gap", "live"]


def test_a_recording_s_timeline_spans_it_and_has_its_gaps(whole: Path) -> None:
    timeline = read_timeline(whole)
    assert (timeline.ts_from, timeline.ts_to) == (made.BEGIN, made.END)
    assert [strip.subscription for strip in timeline.strips] == [
        f"{stream}:{key}" for key in (made.BINANCE, made.OKX) for stream in ("L2", "TRADES")
    ]
    book = timeline.strips[2]
    assert [(one.cause, one.ts_from, one.ts_to) for one in book.shown(timeline.ts_from, timeline.ts_to) if one.state == "gap"] == [
        ("venue_gap", made.LOST - made.STEP, made.LOST),
        ("disconnect", made.DOWN - made.STEP, made.BACK),
    ]
    assert book.live(timeline.ts_from, timeline.ts_to) == pytest.approx((300 - 0.5 - 10.5) / 300, abs=1e-6)


def test_damaged_coverage_is_not_drawn_as_if_it_were_whole(tmp_path: Path) -> None:
    made.record(tmp_path)
    path = next(path for path in parts(tmp_path) if "stream=COVERAGE" in str(path))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigError, match="verify"):
        read_timeline(tmp_path)


def test_the_drawing_names_every_gap_and_none_is_too_narrow_to_see(whole: Path) -> None:
    timeline = read_timeline(whole)
    root = ElementTree.fromstring(svg(timeline))
    rects = [rect for rect in root.iter("{http://www.w3.org/2000/svg}rect") if len(rect)]
    gaps = [rect for rect in rects if (rect[0].text or "").startswith("gap")]
    assert len(gaps) == 6
    assert all(float(rect.attrib["width"]) >= 2 for rect in gaps)
    assert all(float(rect.attrib["x"]) + float(rect.attrib["width"]) <= 1100 for rect in rects)
    assert sum("a message is missing" in (rect[0].text or "") for rect in gaps) == 2


def test_words_that_the_venue_chose_cannot_break_the_page(whole: Path) -> None:
    timeline = read_timeline(whole)
    evil = Strip("c1", "L2:X@<b>&\"'", [Interval("L2", "gap", "disconnect", 0, 5, "</title><script>")], 10)
    root = ElementTree.fromstring(svg(timeline._replace(strips=[evil], ts_from=0, ts_to=10)))
    assert not list(root.iter("script"))


def test_the_command_draws_on_the_terminal_into_a_page_and_into_a_picture(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["coverage", str(whole)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(f"L2:{made.BINANCE}")
    assert lines[0].count("!") > lines[1].count("!") > 0
    page, picture = tmp_path / "a.html", tmp_path / "a.png"
    assert main(["coverage", str(whole), "--html", str(page), "--png", str(picture), "--date", "2026-11-22"]) == 0
    assert "http" not in page.read_text().replace("http://www.w3.org/2000/svg", "")
    # A short recording fills the picture of its day.
    assert "2026-11-22 00:00:00 to 2026-11-23" not in page.read_text()
    assert re.search("2026-11-22 [0-9:]+ to 2026-11-22 [0-9:]+ UTC", page.read_text())
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_many_short_gaps_do_not_make_a_strip_look_as_if_it_was_never_live() -> None:
    rows = [Interval("L2", "live", "start", 0, 10**6, until=10**6)]
    rows += [Interval("L2", "gap", "venue_gap", ts, ts + 1, until=ts + 1) for ts in range(0, 10**6, 500)]
    drawn = svg(Timeline([Strip("c", "L2:X@Y", rows, 10**6)], 0, 10**6))
    widths = [float(width) for width in re.findall(r'class="gap" [^>]*width="([0-9.]+)"', drawn)]
    assert len(widths) == 2000
    assert 0 < sum(widths) < 0.25 * WIDTH
    assert 'class="gap" x="0' not in drawn


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sheet", [STYLE, files("xtrader.look").joinpath("page.html").read_text()], ids=["report", "plot"])
def test_texts_and_marks_stand_out_on_light_and_on_dark_paper(sheet: str) -> None:
    """WCAG AA: 4.5 to 1 for texts, 3 to 1 for what is drawn."""
    light, dark = sheet.split("prefers-color-scheme: dark", 1)
    for text in (light, dark):
        colours = {
            name: (value if len(value) == 7 else "#" + "".join(2 * digit for digit in value[1:]))
            for name, value in reversed(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6})", text))
        }
        for name in ("ink", "dim", "bad"):
            assert name not in colours or contrast(colours[name], colours["paper"]) >= 4.5, name
        for name in ("live", "syncing", "gap", "absent", "bid", "ask", "trade"):
            assert name not in colours or contrast(colours[name], colours["paper"]) >= 3, name


def test_a_share_is_whole_only_if_nothing_is_missing() -> None:
    assert percent(1.0) == "100 %"
    assert percent(0.9999999) == "99.999 %"
    assert percent(0.5) == "50.000 %"


def test_times_on_the_axis_are_round_and_few() -> None:
    assert [text for _, text in ticks(0, 3600 * SECOND, 6)] == ["1970-01-01", "00:10", "00:20", "00:30", "00:40", "00:50", "01:00"]
    for span in (1, 7, 61, 4000, 90_000, 40_000_000):
        assert 0 < len(ticks(0, span * SECOND, 8)) <= 9
    assert [length(round(seconds * SECOND)) for seconds in (0.02, 1.25, 185, 7440)] == ["20 ms", "1.25 s", "3 min 5 s", "2 h 4 min"]
