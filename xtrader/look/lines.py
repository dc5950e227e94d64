"""Books and trades as lines of text: JSON for programs, one short line each for logs, a table for people.

The rule: every form of a book says whether it is the present one, before anything else can be read from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from xtrader.look.picture import DEPTH_BPS, IMBALANCE_LEVELS, Figures, Picture, StreamState, figures
from xtrader.model.instrument import Instrument
from xtrader.model.market import Level, Trade

BID, ASK = "green", "red"
COLOURS = {"live": "bold green", "syncing": "bold yellow", "recorded": "bold cyan"}
"""Of states; every other state is red."""
MOST_DECIMALS = 10
STORED = ("instrument", "trade_id", "side", "price", "size", "ts_event", "ts_recv")
"""The fields of a trade that a recording has."""


def book_json(picture: Picture, levels: int) -> str:
    """One JSON object: standing, book, figures. Times are int nanoseconds UTC."""
    book = picture.book
    found: dict[str, Any] = {
        "instrument": picture.key,
        "state": picture.standing.state,
        "cause": picture.standing.cause,
        "since": picture.standing.since or None,
        "detail": picture.standing.detail,
        "ts": picture.ts,
        "ts_event": picture.ts_event,
        "ts_recv": picture.ts_recv,
        "sequence": picture.sequence,
        "depth": picture.standing.depth,
        "bids": None if book is None else list(book.bids[:levels]),
        "asks": None if book is None else list(book.asks[:levels]),
    }
    if book is not None:
        told: dict[str, float | None] = msgspec.to_builtins(figures(book, picture.instrument))
        if told["spread"] is not None:
            told["spread"] = round(told["spread"], price_decimals(picture.instrument, [book.bids[0], book.asks[0]]))
        # The digits after the twelfth are those of binary fractions, not of the market.
        found |= {name: None if value is None else float(f"{value:.12g}") for name, value in told.items()}
    return msgspec.json.encode(found).decode()


def book_line(picture: Picture) -> str:
    """One line: time, instrument, standing, best prices and sizes, spread, imbalance."""
    parts = [stamp(picture.ts, 3), picture.key, standing_words(picture.standing)]
    book = picture.book
    if book is not None:
        digits = price_decimals(picture.instrument, [*book.bids[:1], *book.asks[:1]])
        for side, levels in (("bid", book.bids), ("ask", book.asks)):
            parts.append(f"{side} {levels[0][0]:.{digits}f} x {plain(levels[0][1])}" if levels else f"no {side}")
        told = figures(book, picture.instrument)
        if told.spread_bps is not None:
            parts.append(f"spread {plain(told.spread_bps, 4)} bps")
        if told.imbalance is not None:
            parts.append(f"imbalance {told.imbalance:+.0f}")
    return "  ".join(parts)


def book_table(picture: Picture, levels: int) -> Iterable[Text | Table]:
    """What to print for people, in order."""
    yield Text.assemble(
        (picture.key, "bold"),
        "  ",
        (standing_words(picture.standing), colour(picture.standing)),
        f"  {stamp(picture.ts, 3)}",
        "" if picture.sequence is None else f"  sequence {picture.sequence}",
        "" if picture.standing.depth is None else f"  snapshot of {picture.standing.depth:,} levels a side",
    )
    book = picture.book
    if book is None:
        return
    yield from (Text(line) for line in figure_lines(figures(book, picture.instrument), picture.instrument, book.bids[:1]))
    bids, asks = book.bids[:levels], book.asks[:levels]
    digits = price_decimals(picture.instrument, [*bids, *asks])
    size_digits = decimals(size for _, size in (*bids, *asks))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, style in (("total", "dim"), ("size", ""), ("bid", BID), ("ask", ASK), ("size", ""), ("total", "dim")):
        table.add_column(heading, style=style, justify="left" if heading == "ask" else "right", no_wrap=True)
    cells = [_cells(side, digits, size_digits) for side in (bids, asks)]
    for row in range(max(map(len, cells))):
        price, size, total = cells[0][row] if row < len(cells[0]) else ("", "", "")
        other = cells[1][row] if row < len(cells[1]) else ("", "", "")
        table.add_row(total, size, price, *other)
    yield table


def figure_lines(told: Figures, instrument: Instrument | None, best: Sequence[Level]) -> list[str]:
    """The figures in words, a line each; a figure that the book cannot answer is a dash."""
    digits = price_decimals(instrument, best)
    quote = instrument.quote if instrument is not None else ""
    width = "-" if told.spread is None else f"{told.spread:,.{digits}f}{' ' + quote if quote else ''}"
    bps = "-" if told.spread_bps is None else f"{number(told.spread_bps, 4)} bps"
    middle, micro = ("-" if price is None else f"{price:,.{digits + 2}f}" for price in (told.mid, told.micro_price))
    bids, asks = (
        _worth(size, worth, quote)
        for size, worth in ((told.bid_depth, told.bid_depth_quote), (told.ask_depth, told.ask_depth_quote))
    )
    lines = (
        ("Mid", f"{middle}  micro-price {micro}"),
        ("Spread", f"{width} = {bps}"),
        ("Imbalance", f"{'-' if told.imbalance is None else f'{told.imbalance:+.0f}'}  of {IMBALANCE_LEVELS} levels, -100 to 100"),
        ("Depth", f"bids {bids}, asks {asks}, within {DEPTH_BPS:g} bps"),
    )
    return [f"{name:<10} {values}" for name, values in lines]


def trade_json(trade: Trade) -> str:
    """One JSON object; times are int nanoseconds UTC."""
    return msgspec.json.encode({name: getattr(trade, name) for name in STORED}).decode()


def trade_line(trade: Trade) -> str:
    """One line: time received, instrument, side, price, size, number."""
    return f"{stamp(trade.ts_recv, 6)}  {trade.instrument}  {trade.side}  {trade.price!r} x {trade.size!r}  {trade.trade_id}"


def trade_text(trade: Trade, digits: int) -> Text:
    """A trade as a row of columns for people."""
    style = {"buy": BID, "sell": ASK}.get(trade.side, "")
    return Text.assemble(
        f"{stamp(trade.ts_recv, 6)}  ",
        (f"{trade.side:<7} {trade.price:>14,.{digits}f}", style),
        f"  {number(trade.size):>14}  ",
        (trade.trade_id, "dim"),
    )


def standing_words(standing: StreamState) -> str:
    """`LIVE`, or `GAP (disconnect) since 12:00:01, detail`."""
    words = standing.state.upper()
    if standing.live or standing.state == "recorded":
        return words
    cause = f" ({standing.cause})" if standing.cause else ""
    since = f" since {stamp(standing.since, 0)}" if standing.since else ""
    return f"{words}{cause}{since}{', ' + standing.detail if standing.detail else ''}"


def colour(standing: StreamState) -> str:
    """The style of a standing."""
    return COLOURS.get(standing.state, "bold red")


def stamp(ns: int, digits: int) -> str:
    """ISO 8601 in UTC with so many digits of the second, cut off."""
    whole = datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}{'.' + f'{ns % 10**9:09d}'[:digits] if digits else ''}Z"


def number(value: float, most: int = 6) -> str:
    """A number with thousands separated and up to `most` decimals, without trailing zeros."""
    text = f"{value:,.{most}f}".rstrip("0").rstrip(".")
    return text if text not in ("0", "-0") or not value else f"{value:.3g}"


def plain(value: float, most: int = 6) -> str:
    """The same as programs read it: without separators."""
    return number(value, most).replace(",", "")


def short(value: float) -> str:
    """A number in five or six characters: 950, 12.3k, 4.56M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit * 0.99995:
            return f"{value / limit:.4g}{unit}"
    return f"{value:.4g}"


def decimals(values: Iterable[float]) -> int:
    """How many decimals the numbers need, at most MOST_DECIMALS."""
    most = 0
    for value in values:
        text = f"{value:.{MOST_DECIMALS}f}".rstrip("0")
        most = max(most, len(text) - text.index(".") - 1)
    return most


def price_decimals(instrument: Instrument | None, levels: Iterable[Level]) -> int:
    """How many decimals prices have: those of the tick, and of the prices themselves where they need more."""
    tick = [instrument.tick_size] if instrument is not None and instrument.tick_size else []
    return decimals([*tick, *(price for price, _ in levels)])


def _cells(levels: Sequence[Level], digits: int, size_digits: int) -> list[tuple[str, str, str]]:
    cells = []
    total = 0.0
    for price, size in levels:
        total += size
        cells.append((f"{price:,.{digits}f}", f"{size:,.{size_digits}f}", f"{total:,.{size_digits}f}"))
    return cells


def _worth(size: float | None, worth: float | None, quote: str) -> str:
    if size is None:
        return "-"
    return short(size) if worth is None or not quote else f"{short(size)} ({short(worth)} {quote})"
