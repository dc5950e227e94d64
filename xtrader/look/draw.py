"""Draws a picture as coloured lines of a given size: the head, the ladder, the trades of the full-screen view.

The rule: pure functions of picture, size and choices; every line is exactly as wide as asked. A book that is not live has no
colours, so that nobody takes it for the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from typing import Final, NamedTuple

from rich.text import Text

from xtrader.look.picture import DEPTH_BPS, IMBALANCE_LEVELS, Figures, Picture, figures
from xtrader.look.text import ASK, BID, colour, decimals, price_decimals, short, stamp, standing_words
from xtrader.model import analytics
from xtrader.model.analytics import Sides
from xtrader.model.market import Level

MODES: Final = ("size", "total", "steps")
"""What bars show: the size of each level, the sizes up to it, or sizes in price steps of about a basis point."""
STALE: Final = "grey50"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


class Row(NamedTuple):
    """One line of the ladder: `total` is the size from the best level to this one."""

    side: str
    price: float
    size: float
    total: float


def head(picture: Picture, width: int, paused: bool = False, mode: str = MODES[0]) -> Text:
    """Four lines: who and whether live; prices; imbalance; depth."""
    standing = picture.standing
    # Only what is live is green, and what is paused is not live.
    badge, badge_style = (" PAUSED ", "bold black on yellow") if paused else (f" {standing.state.upper()} ", _badge(picture))
    clock = f"{stamp(picture.ts, 1)[11:-1]} UTC"
    first = Text(no_wrap=True)
    first.append(f" {picture.key} ", "bold")
    first.append(badge, badge_style)
    if not standing.live:
        first.append(
            standing_words(standing).removeprefix(standing.state.upper()) if not paused else f" {standing_words(standing)}"
        )
        first.stylize(colour(standing), len(picture.key) + 2 + len(badge))
    first.truncate(width - len(clock) - 1)
    first.append(" " * (width - len(first) - len(clock)))
    first.append(clock, "dim")
    lines = [first]
    if picture.book is None:
        return Text("\n").join([first, *(Text() for _ in range(3))])
    told = figures(picture.book, picture.instrument)
    style = "" if standing.live else STALE
    lines += [_prices(picture, told, mode), _balance(told, width), _depths(picture, told)]
    for line in lines[1:]:
        if style:
            line.stylize(style)
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def ladder(picture: Picture, width: int, height: int, mode: str, scroll: int = 0) -> Text:
    """Asks above, the spread, bids below; `scroll` lines away from the middle (above 0: up, to higher prices)."""
    if picture.book is None:
        return Text("\n" * (height // 2) + "no book".center(width), style=STALE)
    book = stepped(picture.book) if mode == "steps" else picture.book
    scroll = limit_scroll(book, scroll)
    reach = height + abs(scroll)
    asks, bids = rows(book.asks[:reach], "ask"), rows(book.bids[:reach], "bid")
    every: list[Row | None] = [*reversed(asks), None, *bids]
    start = len(asks) - (height - 1) // 2 - scroll
    shown = every[max(0, start) : max(0, start + height)]
    levels = [row for row in shown if row is not None]
    digits = price_decimals(None if mode == "steps" else picture.instrument, [(row.price, 0.0) for row in levels])
    columns = _columns(levels, digits, width)
    top = max((row.total if mode == "total" else row.size for row in levels), default=0.0)
    lines = [Text() for _ in range(-start)]
    for row in shown:
        if row is None:
            lines.append(_middle(picture, width))
        else:
            share = (row.total if mode == "total" else row.size) / top
            lines.append(_line(row, columns, share, width, picture.standing.live))
    return Text("\n").join(lines[:height])


def limit_scroll(book: Sides, scroll: int) -> int:
    """`scroll`, no further than to the last level of a side."""
    return max(-len(book.bids), min(len(book.asks), scroll))


def trades(picture: Picture, width: int, height: int) -> Text:
    """The newest trades, newest first: time, price, size."""
    shown = picture.trades[:height]
    digits = price_decimals(picture.instrument, [(trade.price, 0.0) for trade in shown])
    lines = []
    for trade in shown:
        text = f"{stamp(trade.ts_recv, 3)[11:-1]} {trade.price:,.{digits}f}"
        line = Text(f"{text} {short(trade.size):>{max(0, width - len(text) - 1)}}", no_wrap=True)
        line.truncate(width)
        line.stylize({"buy": BID, "sell": ASK}.get(trade.side, "") if picture.standing.live else STALE)
        lines.append(line)
    return Text("\n").join(lines)


def rows(levels: Sequence[Level], side: str) -> list[Row]:
    """Levels with their totals, best first."""
    found = []
    total = 0.0
    for price, size in levels:
        total += size
        found.append(Row(side, price, size, total))
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


def _columns(levels: Sequence[Row], digits: int, width: int) -> tuple[int, int, int, int, int, int]:
    """Widths of price, size, total and bar; decimals of price and size. Where it is narrow, sizes lose decimals, then the totals
    go."""
    size_digits = decimals(row.size for row in levels)
    price = max((len(f"{row.price:,.{digits}f}") for row in levels), default=1)
    while True:
        size = max((len(f"{row.size:,.{size_digits}f}") for row in levels), default=1)
        total = max((len(f"{row.total:,.{size_digits}f}") for row in levels), default=1)
        bar = width - price - size - total - 6
        if bar >= 8 or not size_digits:
            break
        size_digits -= 1
    if bar < 8:
        total, bar = 0, width - price - size - 4
    return price, size, total, max(0, bar), digits, size_digits


def _line(row: Row, columns: tuple[int, int, int, int, int, int], share: float, width: int, live: bool) -> Text:
    price, size, total, bar, digits, size_digits = columns
    style = (BID if row.side == "bid" else ASK) if live else STALE
    line = Text(no_wrap=True)
    line.append(f" {row.price:>{price},.{digits}f}", style)
    line.append(f" {row.size:>{size},.{size_digits}f}", "" if live else STALE)
    if total:
        line.append(f" {row.total:>{total},.{size_digits}f} ", "dim" if live else STALE)
    line.append(" " + _bar(share, bar), style)
    line.truncate(width)
    return line


def _bar(share: float, width: int) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    whole, rest = divmod(max(eighths, 1), 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def _middle(picture: Picture, width: int) -> Text:
    assert picture.book is not None
    told = figures(picture.book, picture.instrument)
    if told.spread is None or told.spread_bps is None:
        words = "one side is empty"
    else:
        quote = f" {picture.instrument.quote}" if picture.instrument is not None else ""
        digits = price_decimals(picture.instrument, [picture.book.bids[0], picture.book.asks[0]])
        words = f"{'crossed ' if told.spread < 0 else ''}spread {told.spread:.{digits}f}{quote} = {told.spread_bps:.3g} bps"
    line = Text(f" {words} ".center(width, "─"), "bold" if picture.standing.live else STALE, no_wrap=True)
    line.truncate(width)
    return line


def _prices(picture: Picture, told: Figures, mode: str) -> Text:
    assert picture.book is not None
    digits = price_decimals(picture.instrument, picture.book.bids[:1]) + 2
    line = Text(no_wrap=True)
    for name, value in (("mid", told.mid), ("micro-price", told.micro_price)):
        line.append(f" {name} ", "dim")
        line.append("-" if value is None else f"{value:,.{digits}f} ", "bold")
    line.append(" levels ", "dim")
    line.append(f"{len(picture.book.bids):,} | {len(picture.book.asks):,}")
    line.append("  bars ", "dim")
    line.append(mode)
    return line


def _balance(told: Figures, width: int) -> Text:
    """-100 ◄ to ► 100, the bar growing from the middle to the side that has more."""
    share = told.imbalance
    half = max(4, min(24, (width - 40) // 2))
    line = Text(no_wrap=True)
    line.append(f" imbalance of {IMBALANCE_LEVELS} ", "dim")
    line.append("   -" if share is None else f"{share:+4.0f}", "" if share is None else BID if share >= 0 else ASK)
    filled = 0 if share is None else round(abs(share) / 100 * half)
    line.append(" -100 ", "dim")
    line.append("·" * (half - filled if share is not None and share < 0 else half), "dim")
    if share is not None and share < 0:
        line.append("█" * filled, ASK)
    line.append("│", "dim")
    if share is not None and share >= 0:
        line.append("█" * filled, BID)
    line.append("·" * (half - filled if share is not None and share >= 0 else half), "dim")
    line.append(" 100", "dim")
    return line


def _depths(picture: Picture, told: Figures) -> Text:
    quote = f" {picture.instrument.quote}" if picture.instrument is not None else ""
    line = Text(no_wrap=True)
    line.append(f" within {DEPTH_BPS:g} bps ", "dim")
    for name, size, worth, style in (
        ("bids", told.bid_depth, told.bid_depth_quote, BID),
        ("asks", told.ask_depth, told.ask_depth_quote, ASK),
    ):
        line.append(f"{name} ", "dim")
        line.append("-" if size is None else short(size), style)
        line.append("  " if worth is None else f" ({short(worth)}{quote})  ", "dim")
    return line


def _badge(picture: Picture) -> str:
    return {"live": "bold black on green", "syncing": "bold black on yellow"}.get(picture.standing.state, "bold white on red")
