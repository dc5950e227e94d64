"""The whole screen at any size: nothing sticks out, nothing is cut, and what was chosen is there."""

import re
from functools import cache

import pytest

from tests.look.journals import INSTRUMENT, KEY, NOW, snapshot, trade
from xtrader.clock import SECOND
from xtrader.look import draw, panels
from xtrader.look.layout import KEYS, Choices, heights, screen
from xtrader.look.picture import Picture, StreamState
from xtrader.look.statistics import News, Statistics, Summary
from xtrader.model.analytics import Sides

LATER = NOW + 133 * SECOND
USUAL = Choices(5)
NUMBER = re.compile(r"\d[\d,.:]*")


def picture(standing: StreamState | None = None) -> Picture:
    update = snapshot(72_518_340_112, shift=103_456.7)
    trades = [trade(number) for number in range(99, 0, -1)]
    return Picture(
        key=KEY,
        ts=LATER,
        standing=standing or StreamState("live", "start", NOW),
        instrument=INSTRUMENT,
        book=Sides(update.bids, update.asks),
        sequence=update.sequence,
        ts_event=LATER - 312 * SECOND // 100,
        ts_recv=LATER - 3 * SECOND,
        trades=trades,
    )


@cache
def summary() -> Summary:
    statistics = Statistics(NOW, 0.0162)
    spreads: list[tuple[int, float | None]] = [
        (NOW + second * SECOND + SECOND // 2, 0.0162 + (second % 7) / 10) for second in range(60)
    ]
    spreads += [(NOW + 60 * SECOND, None), (NOW + 80 * SECOND, 1.2345)]
    statistics.take(News(updates=12_345, spreads=spreads, trades=[trade(1), trade(2)]), LATER, LATER)
    return statistics.summary(LATER)


def lines(width: int, height: int, choices: Choices = USUAL, shown: Picture | None = None) -> list[str]:
    return screen(shown or picture(), summary(), choices, width, height).plain.split("\n")


@pytest.mark.parametrize("mode", draw.MODES)
@pytest.mark.parametrize(
    "standing", [StreamState("live", "start", NOW), StreamState("gap", "disconnect", NOW, "code 1006 after 30 s")]
)
def test_at_every_size_nothing_sticks_out_and_no_number_is_cut(mode: str, standing: StreamState) -> None:
    choices = Choices(5, mode, chart=False)
    shown = picture(standing)
    whole = {number for line in lines(400, 200, choices, shown) for number in NUMBER.findall(line)}
    # Times of trades may be shown to the second or to the tenth.
    whole |= {number[:end] for number in whole for end in (8, 10) if number.count(":") == 2}
    for width in [*range(1, 130, 3), 200, 300]:
        for height in (1, 9, 12, 17, 23, 59):
            found = lines(width, height, choices._replace(chart=True), shown)
            assert len(found) <= height
            assert max(map(len, found)) <= width
            for line in lines(width, height, choices, shown):
                assert set(NUMBER.findall(line)) <= whole, (width, height, line)


def test_on_80_by_24_there_is_all_of_it() -> None:
    found = lines(80, 23)
    assert len(found) == 23
    text = "\n".join(found)
    metrics = "updates/s,trades/s,age,gaps,resyncs,lag,spread min,avg,max,VWAP,volume,bought,since 00:00:00 (2 min 13 s)"
    values = "messages 12;347,sequence 72518340112,spread; bps,imbalance,within 10 bps,120.0 ms,3 s"
    for word in f"{metrics},{values}".split(","):
        assert word.replace(";", ",") in text, word
    ladder = found[4:15]
    assert sum("mid 103,556.75" in line for line in ladder) == 1
    assert sum(line.startswith(("B 103,55", "S 103,55")) for line in ladder) == 10


@pytest.mark.parametrize("height", [23, 30, 59])
def test_levels_fill_the_height_and_the_columns_are_named(height: int) -> None:
    found = lines(100, height, Choices())
    ladder = heights(height - draw.HEAD_HEIGHT, Choices())[0]
    assert re.match(" +price( USDT)? +size( [A-Z]+)? +total", found[4])
    assert sum(line.startswith(("B ", "S ")) for line in found) == ladder - 2
    assert len(found) == height


def test_a_question_mark_shows_what_the_keys_do() -> None:
    found = "\n".join(lines(80, 23, Choices(keys=True)))
    assert all(about in found for _, about in KEYS)


@pytest.mark.parametrize(("metrics", "chart"), [(True, True), (True, False), (False, True), (False, False)])
def test_what_was_switched_off_is_gone_and_the_chart_takes_the_room_that_is_left(metrics: bool, chart: bool) -> None:
    found = "\n".join(lines(80, 23, Choices(5, metrics=metrics, chart=chart)))
    assert ("updates/s" in found, "spread, bps" in found) == (metrics, chart)
    assert heights(19, Choices(5, metrics=metrics, chart=chart)) == (
        11 + (not metrics or not chart),
        4 * metrics,
        (8 - 4 * metrics - (not metrics)) * chart,
    )


@pytest.mark.parametrize(
    ("rows", "levels", "expected"),
    [(19, 50, (11, 4, 4)), (12, 5, (8, 4, 0)), (8, 5, (8, 0, 0)), (55, 5, (12, 4, 39)), (55, 20, (42, 4, 9)), (3, 5, (3, 0, 0))],
)
def test_the_ladder_has_its_levels_where_there_is_room_and_the_chart_gives_way_first(
    rows: int, levels: int, expected: tuple[int, int, int]
) -> None:
    assert heights(rows, Choices(levels)) == expected


@pytest.mark.parametrize("width", [30, 79, 155, 3000])
@pytest.mark.parametrize("height", [4, 8, 40])
def test_the_chart_is_empty_where_the_book_was_not_known_and_names_its_ends(width: int, height: int) -> None:
    found = [line.plain for line in panels.spread_chart(summary(), width, height)]
    assert len(found) == height
    assert max(map(len, found)) <= width
    floor = next(line for line in reversed(found) if "┤" in line or "│" in line)
    columns = floor[re.search("[┤│]", floor).end() :]  # type: ignore[union-attr]
    drawn = columns.strip()
    # 133 seconds, of which 60 to 79 are unknown: the share of columns that is empty between others is about that.
    hole = max(map(len, re.findall(" +", drawn)), default=0)
    assert hole / len(drawn) == pytest.approx(20 / 133, abs=0.08)
    if width >= 79:
        assert f"min {0.0162:.4f}  max {1.2345:.2f}" in found[0]


def test_a_crossed_book_is_drawn_below_nought_in_red() -> None:
    statistics = Statistics(NOW, -2.0)
    statistics.take(News(), LATER, LATER)
    found = panels.spread_chart(statistics.summary(LATER), 60, 10)
    assert "min -2.00" in found[0].plain
    assert {str(span.style) for line in found[1:-1] for span in line.spans if str(span.style) not in ("dim", "")} == {"red"}


def test_before_anything_is_known_panels_show_dashes_and_an_empty_chart() -> None:
    nothing = Picture(KEY, NOW, StreamState("syncing"))
    found = screen(nothing, Statistics(NOW).summary(NOW), Choices(5), 80, 23).plain
    assert "no book" in found
    assert re.search("VWAP +-", found)
    assert not set("▁▂▃▄▅▆▇█░") & set(found)


def test_metrics_of_a_stream_that_is_not_live_have_no_colours() -> None:
    text = screen(picture(StreamState("stalled", "", NOW)), summary(), Choices(5), 80, 23)
    last = text.split("\n")[16:]
    assert all(any(str(span.style) == draw.STALE and span.end == len(line) for span in line.spans) for line in last if line.plain)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (3, "3 s"),
        (9.97, "10.0 s"),
        (75.9, "75 s"),
        (133, "2 min 13 s"),
        (120, "2 min"),
        (12_000, "3 h 20 min"),
        (3.2, "3.2 s"),
    ],
)
def test_lengths_of_time_are_short(seconds: float, words: str) -> None:
    assert panels.seconds_words(seconds) == words
