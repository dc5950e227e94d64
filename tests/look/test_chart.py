"""Series, axes, and the two forms in which they are drawn."""

import asyncio
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.look.journals import INSTRUMENT, NOW
from tests.ops.browser import chromium, opened, shot
from xtrader.clock import SECOND
from xtrader.look import axis, html, png
from xtrader.look.series import RANKS, Series, SeriesStretch, TradeBars, stretches
from xtrader.look.style import caption, duration, subtitle
from xtrader.store.read.coverage_fold import Interval

EVIL = "</script><b>&"


def series(points: int = 100, gap: tuple[int, int] = (40, 60)) -> Series:
    known = np.ones(points)
    known[gap[0] : gap[1]] = np.nan
    ts = NOW + SECOND * np.arange(points)
    wave = np.sin(np.arange(points) / 9) * known
    end = NOW + SECOND * points
    cuts = [NOW, NOW + SECOND * gap[0], NOW + SECOND * gap[1], end]
    covered = [
        SeriesStretch("live", "start", cuts[0], cuts[1], ""),
        SeriesStretch("gap", "disconnect", cuts[1], cuts[2], EVIL),
        SeriesStretch("live", "disconnect", cuts[2], cuts[3], ""),
    ]
    some = ts[::7]
    low = np.full(len(some), 99.5)
    trades = TradeBars(some, low, low + 1, low, low * 2)
    return Series(INSTRUMENT, NOW, end, SECOND, ts, 100 + wave, 1.5 + wave, 50 + wave, 60 + wave, covered, trades)


intervals = st.builds(
    lambda state, start, length: Interval("L2", state, state, start, start + length, until=start + length),
    st.sampled_from(RANKS[1:]),
    st.integers(0, 40),
    st.integers(1, 20),
)


@given(st.lists(st.lists(intervals, max_size=6), max_size=3), st.integers(0, 20), st.integers(1, 40))
def test_every_moment_has_the_best_that_any_collector_says_of_it(found: list[list[Interval]], start: int, length: int) -> None:
    told = stretches(found, start, start + length)
    assert told[0].start == start
    assert told[-1].end == start + length
    for ts in range(start, start + length):
        said = []
        for each in found:
            inside = [one for one in each if one.ts_from <= ts < one.until]
            gaps = [one for one in inside if one.state == "gap"]
            said.append((gaps or sorted(inside, key=lambda one: one.ts_from) or [None])[-1])
        states = [one.state if one else "absent" for one in said] or ["absent"]
        (stretch,) = (one for one in told if one.start <= ts < one.end)
        ambiguous = any(len({one.state for one in each if one.ts_from == other.ts_from}) > 1 for each in found for other in each)
        assert ambiguous or stretch.state == max(states, key=RANKS.index)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(3, 12))
def test_marks_are_even_inside_and_not_too_many(low: float, length: float, most: int) -> None:
    high = low + length
    found = axis.marks(low, high, most)
    assert 1 <= len(found) <= most
    assert all(low - length * 1e-6 <= mark <= high + length * 1e-6 for mark in found)
    assert len(set(axis.labels(found))) == len(found)


@given(st.integers(0, 2**61), st.integers(10**7, 3 * 10**16), st.integers(2, 12))
def test_marks_of_time_are_round_inside_and_not_too_many(start: int, length: int, most: int) -> None:
    found = axis.time_marks(start, start + length, most)
    assert len(found) <= most
    assert all(start <= ts <= start + length for ts, _ in found)


def test_the_page_needs_nothing_but_itself_and_escapes_what_it_is_told(tmp_path: Path) -> None:
    html.write_html(tmp_path / "x.html", series())
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)\s*=|url\((?!#)|@import", page)
    assert EVIL not in page
    svg = ElementTree.fromstring(page[(at := page.index('<svg id="chart"')) : page.index("</svg>", at) + 6])
    paths = [one.attrib["d"] for one in svg.iter("path")]
    # Of each run mid, spread and what is under it, bids and asks; of all trades their prices, and what was bought and sold.
    assert len(paths) == 2 * 5 + 3
    assert page.count('class="live"') == 3
    assert 'class="gap hole"' in page
    # Quotes are steps: nothing is drawn from one point straight to another.
    assert "L" not in "".join(paths)
    assert page.count("<tr>") == 2
    assert "disconnect" in page


def test_no_line_goes_through_a_gap() -> None:
    one = series()
    assert [(run[0], run[-1]) for run in html.runs(one.mid)] == [(0, 39), (60, 99)]
    assert html.runs(np.array([np.nan, np.nan])) == []
    assert html.runs(np.array([1.0])) == [[0]]


@pytest.mark.parametrize("gap", [(40, 60), (0, 100), (1, 99)])
def test_every_share_of_gaps_can_be_drawn(tmp_path: Path, gap: tuple[int, int]) -> None:
    html.write_html(tmp_path / "x.html", series(gap=gap))
    png.write_png(tmp_path / "x.png", series(gap=gap))
    assert (tmp_path / "x.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_who_drags_over_the_chart_sees_that_time_and_a_double_click_shows_all_again(tmp_path: Path, size: str, scheme: str) -> None:
    html.write_html(tmp_path / "x.html", series())

    async def main() -> None:
        async with chromium() as browser, opened(browser, f"file://{tmp_path}/x.html", size, scheme) as page:
            box = await page.locator("#chart").bounding_box()
            assert box is not None
            whole = await page.inner_html("#axis")
            left, right, middle = box["x"] + box["width"] * 0.3, box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 3
            await page.mouse.move(left, middle)
            await page.mouse.down()
            await page.mouse.move(right, middle)
            await page.mouse.up()
            assert "matrix(" in str(await page.get_attribute("#plot", "transform"))
            assert await page.inner_html("#axis") != whole
            assert "traded" in await page.inner_text("#reading")
            await shot(page, tmp_path, f"plot-{size}-{scheme}")
            await page.mouse.dblclick(right, middle)
            assert await page.get_attribute("#plot", "transform") == "matrix(1 0 0 1 0 0)"
            assert await page.inner_html("#axis") == whole

    asyncio.run(main())


def test_words_on_a_chart() -> None:
    assert subtitle(series()) == "book live for 80.00 % of the time, 1 gap; a point every 1 s"
    assert caption(SeriesStretch("gap", "start", 0, 1, "the recorder was not running")) == "gap: the recorder was not running"
    assert caption(SeriesStretch("absent", "", 0, 1, "not recorded")) == "not recorded"
    assert len(caption(SeriesStretch("gap", "disconnect", 0, 1, "x" * 100))) == 48
    assert [duration(ns) for ns in (5, 250_000_000, 90 * SECOND, 7200 * SECOND)] == ["5 ns", "250 ms", "1.5 min", "2 h"]
