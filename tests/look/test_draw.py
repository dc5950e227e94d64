"""What is drawn: every line as wide as asked, the numbers those of the book, colours only for what is live."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from tests.look.journals import INSTRUMENT, KEY, NOW, snapshot, trade
from xtrader.look import draw
from xtrader.look.picture import Picture, StreamState
from xtrader.model.analytics import Sides

LIVE = StreamState("live", "start", NOW)
GAP = StreamState("gap", "disconnect", NOW, "1006")


def picture(standing: StreamState = LIVE, book: Sides | None = None) -> Picture:
    update = snapshot()
    trades = [trade(number) for number in range(30, 0, -1)]
    return Picture(KEY, NOW, standing, INSTRUMENT, book or Sides(update.bids, update.asks), 1, NOW, NOW, trades)


def numbers(lines: list[Text]) -> list[list[str]]:
    """Of each line, without the mark of its side."""
    return [[word for word in line.plain.split() if word not in "BS"][:3] for line in lines]


def plain(lines: list[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def test_the_ladder_shows_price_size_and_total_with_the_spread_in_the_middle() -> None:
    rows = numbers(draw.ladder(picture(), 60, 7, "size"))
    assert rows[:3] == [["100.3", "4", "9"], ["100.2", "3", "5"], ["100.1", "2", "2"]]
    assert rows[4:] == [["100.0", "1", "1"], ["99.9", "2", "3"], ["99.8", "3", "6"]]
    assert "mid 100.05  spread 0.1 USDT = 9.995 bps" in plain(draw.ladder(picture(), 60, 7, "size"))


def test_sides_are_told_by_letters_too_and_columns_say_their_units() -> None:
    lines = draw.ladder(picture(), 60, 8, "size", headed=True)
    assert lines[0].plain.split() == ["price", "size", "total", "bars:", "size"]
    assert [line.plain[:1] for line in lines[1:]] == ["S", "S", "S", "─", "B", "B", "B"]
    named = msgspec.structs.replace(INSTRUMENT, base="BTC", contract_size=None)
    large = msgspec.structs.replace(picture(book=Sides([(61_837_000.65, 123_456.5)], [(61_837_000.75, 1.0)])), instrument=named)
    assert draw.ladder(large, 80, 4, "size", headed=True)[0].plain.split()[:6] == ["price", "USDT", "size", "BTC", "total", "BTC"]
    assert draw.size_unit(msgspec.structs.replace(named, contract_size=0.01)) == "contracts"


def test_bids_are_green_asks_red_and_the_middle_yellow() -> None:
    lines = draw.ladder(picture(), 60, 7, "size")
    assert [{str(span.style) for span in line.spans} - {"dim"} for line in lines[:3]] == [{"red"}] * 3
    assert lines[3].style == "yellow"
    assert [{str(span.style) for span in line.spans} - {"dim"} for line in lines[4:]] == [{"green"}] * 3


def test_scrolling_up_moves_to_higher_prices_and_ends_at_the_last_level() -> None:
    assert numbers(draw.ladder(picture(), 60, 7, "size", 2))[:3] == [
        ["100.5", "6", "20"],
        ["100.4", "5", "14"],
        ["100.3", "4", "9"],
    ]
    assert "102.0" in plain(draw.ladder(picture(), 60, 7, "size", 1000))
    assert draw.limit_scroll(Sides([(1.0, 1.0)], [(2.0, 1.0)] * 3), 9) == 3
    assert draw.limit_scroll(Sides([(1.0, 1.0)], [(2.0, 1.0)] * 3), -9) == -1


def test_the_longest_bar_is_that_of_the_largest_size_or_of_the_largest_total() -> None:
    lines = plain(draw.ladder(picture(), 60, 9, "size")).split("\n")
    bars = [line.count("█") for line in lines]
    assert bars[0] == max(bars) > bars[3]
    lopsided = Sides([(10.0, 9.0), (9.0, 1.0)], [(11.0, 1.0), (12.0, 1.0)])
    by_size, by_total = (plain(draw.ladder(picture(book=lopsided), 60, 5, mode)).split("\n") for mode in ("size", "total"))
    assert by_size[4].count("█") < by_size[3].count("█")
    assert by_total[4].count("█") > by_total[3].count("█")


def test_steps_add_the_sizes_of_about_a_basis_point() -> None:
    book = Sides([(10_000.3, 1.0), (10_000.1, 2.0), (9_999.9, 4.0)], [(10_000.4, 1.0), (10_001.2, 8.0)])
    assert draw.stepped(book) == Sides([(10_000.0, 3.0), (9_998.0, 4.0)], [(10_002.0, 9.0)])


@given(st.floats(1e-7, 1e7))
def test_a_step_is_at_least_one_basis_point_and_less_than_three(price: float) -> None:
    book = Sides(
        [(price * (1 - level * 1e-4), 1.0) for level in range(50)], [(price * (1 + level * 1e-4), 1.0) for level in range(1, 50)]
    )
    prices = [one for one, _ in draw.stepped(book).asks]
    apart = min(after - before for before, after in pairwise(prices))
    assert 0.9 < apart / price * 1e4 < 3.1


@pytest.mark.parametrize(
    "standing", [GAP, StreamState("stalled", "", NOW), StreamState("syncing"), StreamState("stopped", "shutdown", NOW)]
)
def test_a_book_that_is_not_live_has_no_colours_and_says_why(standing: StreamState) -> None:
    shown = picture(standing)
    for lines in (draw.ladder(shown, 60, 9, "size"), draw.trades(shown, 30, 9)):
        assert {str(style) for line in lines for style in (line.style, *(span.style for span in line.spans)) if style} == {
            draw.STALE
        }
    head = draw.head(shown, 100)
    assert f" {standing.state.upper()} " in head[0].plain
    assert standing.cause in head[0].plain
    assert not any("green" in str(span.style) for span in head[0].spans)


def test_what_is_paused_is_not_called_live() -> None:
    first = draw.head(picture(), 100, paused=True)[0].plain
    assert "PAUSED" in first
    assert "LIVE" not in first


def test_a_book_with_an_empty_side_or_none_at_all_is_drawn_as_such() -> None:
    assert "one side is empty" in plain(draw.ladder(picture(book=Sides([(1.0, 1.0)], [])), 60, 9, "size"))
    assert "mid -" in plain(draw.head(picture(book=Sides([(1.0, 1.0)], [])), 80))
    nothing = Picture(KEY, NOW, StreamState("syncing"))
    assert "no book" in plain(draw.ladder(nothing, 60, 9, "size"))
    assert "SYNCING" in plain(draw.head(nothing, 80))


def test_a_crossed_book_is_called_crossed() -> None:
    assert "crossed spread -1.0" in plain(draw.ladder(picture(book=Sides([(11.0, 1.0)], [(10.0, 1.0)])), 60, 9, "size"))


def test_what_has_no_room_is_left_out_whole() -> None:
    wide = picture(book=Sides([(61_837.65, 0.00012345)], [(61_837.75, 1234.5)]))
    assert numbers(draw.ladder(wide, 60, 3, "size"))[0][:3] == ["61,837.75", "1,234.50000000", "1,234.50000000"]
    assert numbers(draw.ladder(wide, 34, 3, "size"))[0][:2] == ["61,837.75", "1,234.50000000"]
    assert numbers(draw.ladder(wide, 20, 3, "size"))[0] == ["61,837.75"]
    assert [line.plain for line in draw.trades(picture(), 27, 1)] == ["00:00:00.000 S 103.0    7.5"]
    assert [line.plain for line in draw.trades(picture(), 20, 1)] == ["00:00:00 S 103.0 7.5"]
    assert [line.plain for line in draw.trades(picture(), 12, 1)] == ["S 103.0  7.5"]
    assert "bids 1 (1 USDT)  asks 2 (2.001 USDT)" in draw.head(picture(), 80)[3].plain
    assert draw.head(picture(), 40)[3].plain == " within 10 bps  bids 1  asks 2"
    assert draw.head(picture(GAP), 60)[0].plain.rstrip().endswith("…")
