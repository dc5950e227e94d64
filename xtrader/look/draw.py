"""Draws a picture as coloured lines of a given size: the head, the ladder, the trades of the full-screen view.

The rule: pure functions of picture, size and choices; no line is wider than asked, and no number is cut. A book that is
not live has no colours, so that nobody takes it for the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import Final, NamedTuple

from rich.text import Text

from xtrader.look.cells import centred, fit, fit_words, named
from xtrader.look.lines import ASK, BID, colour, decimals, number, price_decimals, short, stamp, standing_words
from xtrader.look.picture import DEPTH_BPS, IMBALANCE_LEVELS, Figures, Picture, figures
from xtrader.model import analytics
from xtrader.model.analytics import Sides
from xtrader.model.instrument import Instrument
from xtrader.model.market import Level

MODES: Final = ("size", "total", "steps")
"""What bars show: the size of each level, the sizes up to it, or sizes in price steps of about a basis point."""
MID: Final = "yellow"
STALE: Final = "grey50"
HEAD_HEIGHT: Final = 4
MARKS: Final = {"buy": "B", "sell": "S"}
HEADED: Final = 7
"""Lines of the ladder from which on one names the columns."""
LEAST_BAR: Final = 8
"""Where bars would be shorter, they get the room of the totals."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


class LadderRow(NamedTuple):
    """One line of the ladder: `total` is the size from the best level to this one."""

    side: str
    price: float
    size: float
    total: float


def head(picture: Picture, width: int, paused: bool = False, mode: str = MODES[0]) -> list[Text]:
    """HEAD_HEIGHT lines: who and whether live; prices; imbalance; depth."""
    standing = picture.standing
    # Only what is live is green, and what is paused is not live.
    badge, badge_style = (" PAUSED ", "bold black on yellow") if paused else (f" {standing.state.upper()} ", _badge(picture))
    clock = f"{stamp(picture.ts, 1)[11:-1]} UTC"
    words = standing_words(standing) if paused else standing_words(standing).removeprefix(standing.state.upper())
    first = fit([Text(f" {picture.key}", "bold"), Text(badge, badge_style)], width, 1)
    if not standing.live:
        told = fit_words(words, width - len(first) - 1)
        told.stylize(colour(standing))
        first = fit([first, told], width, 1)
    if len(first) + 1 + len(clock) <= width:
        first.append(" " * (width - len(first) - len(clock)))
        first.append(clock, "dim")
    if picture.book is None:
        return [first, *(Text() for _ in range(HEAD_HEIGHT - 1))]
    values = figures(picture.book, picture.instrument)
    lines = [_prices(picture, values, mode, width), _balance(values, width), _depths(picture, values, width)]
    if not standing.live:
        for line in lines:
            line.stylize(STALE)
    return [first, *lines]


def ladder(picture: Picture, width: int, height: int, mode: str, scroll: int = 0, headed: bool = False) -> list[Text]:
    """At most `height` lines: if it is to be `headed`, what the columns are; asks above, the spread, bids below; `scroll` lines
    away from the middle (above 0: up, to higher prices)."""
    headed = headed and picture.book is not None
    height -= headed
    if picture.book is None:
        return [*(Text() for _ in range(height // 2)), fit([Text("no book".center(width).rstrip(), STALE)], width)][:height]
    book = stepped(picture.book) if mode == "steps" else picture.book
    scroll = limit_scroll(book, scroll)
    reach = height + abs(scroll)
    asks, bids = rows(book.asks[:reach], "ask"), rows(book.bids[:reach], "bid")
    every: list[LadderRow | None] = [*reversed(asks), None, *bids]
    start = len(asks) - (height - 1) // 2 - scroll
    shown = every[max(0, start) : max(0, start + height)]
    levels = [row for row in shown if row is not None]
    digits = price_decimals(None if mode == "steps" else picture.instrument, [(row.price, 0.0) for row in levels])
    columns = _columns(levels, digits, width, picture.instrument)
    top = max((row.total if mode == "total" else row.size for row in levels), default=0.0)
    lines = [_headings(picture, columns, mode, width)] if headed else []
    lines += [Text() for _ in range(-start)]
    for row in shown:
        if row is None:
            lines.append(_middle(picture, width))
        else:
            share = (row.total if mode == "total" else row.size) / top
            lines.append(_line(row, columns, share, width, picture.standing.live))
    return lines[: height + headed]


def limit_scroll(book: Sides, scroll: int) -> int:
    """`scroll`, no further than to the last level of a side."""
    return max(-len(book.bids), min(len(book.asks), scroll))


def trades(picture: Picture, width: int, height: int) -> list[Text]:
    """The newest trades, newest first: time, B or S (the taker bought or sold), price, size. Where it is narrow the times lose
    decimals, then they go."""
    shown = picture.trades[:height]
    digits = price_decimals(picture.instrument, [(trade.price, 0.0) for trade in shown])
    cells = [
        (stamp(one.ts_recv, 3)[11:-1], f"{MARKS.get(one.side, '?')} {one.price:,.{digits}f}", short(one.size)) for one in shown
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    clock = next((some for some in (12, 10, 8, 0) if not widths or some + bool(some) + widths[1] + 1 + widths[2] <= width), 0)
    lines = []
    for trade, (ts, price, size) in zip(shown, cells, strict=True):
        line = fit([*([Text(ts[:clock])] if clock else []), Text(f"{price[0]}{price[1:]:>{widths[1] - 1}}")], width, 1)
        line = fit([line, Text(f"{size:>{max(widths[2], width - len(line) - 1)}}")], width, 1)
        line.stylize({"buy": BID, "sell": ASK}.get(trade.side, "") if picture.standing.live else STALE)
        lines.append(line)
    return lines


def rows(levels: Sequence[Level], side: str) -> list[LadderRow]:
    """Levels with their totals, best first."""
    found = []
    total = 0.0
    for price, size in levels:
        total += size
        found.append(LadderRow(side, price, size, total))
    return found


def stepped(book: Sides) -> Sides:
    """The book in price steps of 1, 2 or 5 times a power of ten, the first that is at least a basis point of the mid."""
    middle = analytics.mid(book)
    if not middle:
        return book
    least = abs(middle) / analytics.BPS
    power = 10.0 ** floor(log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999999)
    digits = max(0, -floor(log10(step) + 1e-9))
    return Sides(
        *(
            [(round(price, digits), size) for price, size in analytics.grouped(levels, step, sign)]
            for levels, sign in ((book.bids, -1), (book.asks, 1))
        )
    )


class Columns(NamedTuple):
    """Widths of price, size, total (0: not shown, as for size) and bar; decimals of price and size."""

    price: int
    size: int
    total: int
    bar: int
    digits: int
    size_digits: int


def size_unit(instrument: Instrument | None) -> str:
    """What sizes are counted in, empty where nobody knows."""
    if instrument is None:
        return ""
    return "contracts" if instrument.contract_size not in (None, 1.0) or instrument.is_inverse else instrument.base


def _headings(picture: Picture, columns: Columns, mode: str, width: int) -> Text:
    """Right above what they name; a unit that is wider than its column goes."""
    quote = "" if picture.instrument is None else picture.instrument.quote
    unit = size_unit(picture.instrument)
    cells = [Text(f"  {_heading('price', quote, columns.price)}", "dim")]
    if columns.size:
        cells.append(Text(_heading("size", unit, columns.size), "dim"))
    if columns.total:
        cells.append(Text(f"{_heading('total', unit, columns.total)} ", "dim"))
    if columns.bar >= len(mode) + 5:
        cells.append(Text(f"bars: {mode}"[: columns.bar], "dim"))
    line = fit(cells, width, 1)
    if not picture.standing.live:
        line.stylize(STALE)
    return line


def _heading(name: str, unit: str, width: int) -> str:
    words = next((one for one in (f"{name} {unit}", name) if unit and len(one) <= width), name)
    return f"{words:>{width}}"[:width]


def _columns(levels: Sequence[LadderRow], digits: int, width: int, instrument: Instrument | None) -> Columns:
    """What fits: the totals go first, then the bars get short and go, then the sizes. Sizes have the lot's decimals, or more."""
    lot = [instrument.lot_size] if instrument is not None and instrument.lot_size else []
    size_digits = decimals([*lot, *(row.size for row in levels)])
    # No column is narrower than its name.
    price = max(len("price"), max((len(f"{row.price:,.{digits}f}") for row in levels), default=1))
    size = max(len("size"), max((len(f"{row.size:,.{size_digits}f}") for row in levels), default=1))
    total = max(len("total"), max((len(f"{row.total:,.{size_digits}f}") for row in levels), default=1))
    bar = width - price - size - total - 7
    if bar < LEAST_BAR:
        total, bar = 0, width - price - size - 5
    if bar < 0:
        size = size if price + size + 3 <= width else 0
        bar = 0
    return Columns(price, size, total, bar, digits, size_digits)


def _line(row: LadderRow, columns: Columns, share: float, width: int, live: bool) -> Text:
    side = (BID if row.side == "bid" else ASK) if live else STALE
    mark = "B" if row.side == "bid" else "S"
    cells = [Text(f"{mark} {row.price:>{columns.price},.{columns.digits}f}", side)]
    if columns.size:
        cells.append(Text(f"{row.size:>{columns.size},.{columns.size_digits}f}", "" if live else STALE))
    if columns.total:
        cells.append(Text(f"{row.total:>{columns.total},.{columns.size_digits}f} ", "dim" if live else STALE))
    if columns.bar:
        cells.append(Text(_bar(share, columns.bar), side))
    return fit(cells, width, 1)


def _bar(share: float, width: int) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    whole, rest = divmod(max(eighths, 1), 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def _middle(picture: Picture, width: int) -> Text:
    assert picture.book is not None
    told = figures(picture.book, picture.instrument)
    variants = ["one side is empty"]
    if told.mid is not None and told.spread is not None and told.spread_bps is not None:
        quote = f" {picture.instrument.quote}" if picture.instrument is not None else ""
        digits = price_decimals(picture.instrument, [picture.book.bids[0], picture.book.asks[0]])
        crossed = "crossed " if told.spread < 0 else ""
        middle, bps = f"mid {told.mid:,.{digits + 1}f}", f"{number(told.spread_bps, 4)} bps"
        spread = f"{crossed}spread {told.spread:,.{digits}f}{quote} = {bps}"
        variants = [f"{middle}  {spread}", spread, f"{crossed}{bps}"]
    return Text(centred(variants, width), MID if picture.standing.live else STALE, no_wrap=True)


def _prices(picture: Picture, told: Figures, mode: str, width: int) -> Text:
    assert picture.book is not None
    digits = price_decimals(picture.instrument, picture.book.bids[:1]) + 2
    cells = [
        named(" mid", "-" if told.mid is None else f"{told.mid:,.{digits}f}", f"bold {MID}"),
        named("micro-price", "-" if told.micro_price is None else f"{told.micro_price:,.{digits}f}", "bold"),
        named("bars", mode),
        named("levels", f"{len(picture.book.bids):,} | {len(picture.book.asks):,}"),
    ]
    return fit(cells, width)


def _balance(told: Figures, width: int) -> Text:
    """-100 to 100, the bar growing from the middle to the side that has more."""
    share = told.imbalance
    cells = [named(f" imbalance of {IMBALANCE_LEVELS}", "   -" if share is None else f"{share:+4.0f}", _side(share))]
    half = min(24, (width - 34) // 2)
    if half >= 4:
        filled = 0 if share is None else round(abs(share) / 100 * half)
        left, right = (filled, 0) if share is not None and share < 0 else (0, filled)
        bar = Text.assemble(("-100 " + "·" * (half - left), "dim"), ("█" * left, ASK), ("│", "dim"))
        cells.append(bar.append("█" * right, BID).append("·" * (half - right) + " 100", "dim"))
    return fit(cells, width)


def _depths(picture: Picture, told: Figures, width: int) -> Text:
    """Both sides, with their worth if that fits for both."""
    quote = f" {picture.instrument.quote}" if picture.instrument is not None else ""
    plain, worths = [], []
    for name, size, worth, style in (
        (f" within {DEPTH_BPS:g} bps  bids", told.bid_depth, told.bid_depth_quote, BID),
        ("asks", told.ask_depth, told.ask_depth_quote, ASK),
    ):
        plain.append(named(name, "-" if size is None else short(size), style))
        worths.append(Text.assemble(plain[-1], ("" if worth is None else f" ({short(worth)}{quote})", "dim")))
    return fit(worths if sum(map(len, worths)) + 2 <= width else plain, width)


def _side(share: float | None) -> str:
    return "" if share is None else BID if share >= 0 else ASK


def _badge(picture: Picture) -> str:
    return {"live": "bold black on green", "syncing": "bold black on yellow"}.get(picture.standing.state, "bold white on red")
