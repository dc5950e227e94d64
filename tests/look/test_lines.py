import json
from io import StringIO

import pytest
from rich.console import Console

from tests.look.journals import INSTRUMENT, KEY, NOW, trade
from xtrader.look import lines
from xtrader.look.picture import Picture, StreamState
from xtrader.model.analytics import Sides

BOOK = Sides([(61_837.6, 3.0), (61_837.5, 5.0)], [(61_837.7, 1.0), (61_838.0, 1.5)])


def picture(state: str = "live", book: Sides | None = BOOK) -> Picture:
    return Picture(KEY, NOW + 123_456_789, StreamState(state, "start", NOW), INSTRUMENT, book, 7, NOW, NOW + 1)


def test_the_json_says_first_whether_the_book_is_live_and_holds_levels_and_figures() -> None:
    found = json.loads(lines.book_json(picture(), 1))
    assert list(found)[:2] == ["instrument", "state"]
    assert (found["state"], found["sequence"], found["ts_recv"], found["ts"]) == ("live", 7, NOW + 1, NOW + 123_456_789)
    assert (found["bids"], found["asks"]) == ([[61_837.6, 3.0]], [[61_837.7, 1.0]])
    assert (found["mid"], found["spread"], found["micro_price"]) == (61_837.65, 0.1, 61_837.675)
    assert found["imbalance"] == pytest.approx(100 * (8 - 2.5) / 10.5)
    assert found["bid_depth_quote"] == pytest.approx(8 * 0.01 * 61_837.65)


def test_the_json_of_no_book_has_null_for_its_sides_and_no_figures() -> None:
    found = json.loads(lines.book_json(picture("gap", None), 5))
    assert (found["state"], found["bids"], found["asks"]) == ("gap", None, None)
    assert "mid" not in found


def test_the_line_of_a_book_is_one_line_with_standing_prices_and_sizes() -> None:
    line = lines.book_line(picture())
    assert line.startswith(
        "2026-11-21T00:00:00.123Z  OKX_SWAP@BTC-USDT-SWAP  LIVE  bid 61837.6 x 3  ask 61837.7 x 1  spread 0.0162 bps"
    )
    stalled = lines.book_line(picture("stalled"))
    assert "STALLED (start) since 2026-11-21T00:00:00Z" in stalled
    assert "\n" not in stalled


def test_a_trade_in_json_has_every_stored_field_exactly() -> None:
    one = trade(3)
    assert json.loads(lines.trade_json(one)) == {
        "instrument": KEY, "trade_id": "3", "side": "buy", "price": one.price, "size": 0.75, "ts_event": NOW, "ts_recv": NOW + 3
    }  # fmt: skip
    assert lines.trade_line(one) == f"2026-11-21T00:00:00.000000Z  {KEY}  buy  100.3 x 0.75  3"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (1234.5, "1,234.5"), (0.000001, "0.000001"), (1e-9, "1e-09"), (100.0, "100"), (-2.5, "-2.5")]
)
def test_numbers_have_no_digits_too_many(value: float, shown: str) -> None:
    assert lines.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(950.0, "950"), (12_340.0, "12.34k"), (999_999.0, "1M"), (4.5e9, "4.5G"), (0.1234567, "0.1235")]
)
def test_large_numbers_are_shortened(value: float, shown: str) -> None:
    assert lines.short(value) == shown


def test_prices_have_the_decimals_of_the_tick_and_more_where_they_need_them() -> None:
    assert lines.price_decimals(INSTRUMENT, [(100.0, 1.0)]) == 1
    assert lines.price_decimals(INSTRUMENT, [(100.25, 1.0)]) == 2
    assert lines.price_decimals(None, [(0.00000012, 1.0)]) == 8
    assert lines.price_decimals(None, []) == 0


def test_the_pretty_book_has_a_line_for_each_figure_and_both_sides() -> None:
    console = Console(width=140, record=True, file=StringIO())
    for part in lines.book_table(picture(), 2):
        console.print(part)
    shown = console.export_text().splitlines()
    assert shown[0].startswith(f"{KEY}  LIVE  2026-11-21T00:00:00.123Z  sequence 7")
    assert shown[2] == "Spread     0.1 USDT = 0.0162 bps"
    assert [line.split()[0] for line in shown[1:5]] == ["Mid", "Spread", "Imbalance", "Depth"]
    assert [line.split() for line in shown[5:8]] == [
        ["total", "size", "bid", "ask", "size", "total"],
        ["3.0", "3.0", "61,837.6", "61,837.7", "1.0", "1.0"],
        ["8.0", "5.0", "61,837.5", "61,838.0", "1.5", "2.5"],
    ]
