"""The live lines of a terminal: one per subscription, drawn by rich, replaced in place.

Rule: nothing is drawn where standard output is not a terminal.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

PERIOD = 0.5
"""Seconds between two drawings."""
COLOURS = {
    "live": "green",
    "ok": "green",
    "syncing": "yellow",
    "shallow": "yellow",
    "gap": "red",
    "rejected": "red",
    "crossed": "red",
    "down": "red",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One subscription at one moment. `rate` is messages per second, `last_price` None before the first price, `book` a word
    on the book's health ("ok", "shallow", "syncing", "crossed", empty for trades), `gaps` how many there were since the start."""

    subscription: str
    state: str
    rate: float
    last_price: float | None
    book: str
    gaps: int
    detail: str = ""


async def show(rows: Callable[[], Sequence[Row]], note: Callable[[], str] = str, console: Console | None = None) -> None:
    """Draw `rows()`, and `note()` below them, twice a second until cancelled; returns at once where standard output is not a
    terminal."""
    console = console or Console()
    if not console.is_terminal:
        return
    with Live(
        table(rows(), note()),
        console=console,
        auto_refresh=False,
        redirect_stderr=sys.stderr.isatty(),
        vertical_overflow="ellipsis",
    ) as live:
        try:
            while True:
                await asyncio.sleep(PERIOD)
                live.update(table(rows(), note()), refresh=True)
        finally:
            live.update(table(rows(), note()), refresh=True)


def table(rows: Sequence[Row], note: str = "") -> Table:
    """The rows as they are drawn, with a note below them."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", caption=note or None, caption_justify="left")
    drawn.add_column("subscription", no_wrap=True)
    drawn.add_column("state")
    drawn.add_column("messages/s", justify="right")
    drawn.add_column("last price", justify="right")
    drawn.add_column("book")
    drawn.add_column("gaps", justify="right")
    drawn.add_column("", style="dim", no_wrap=True)
    for row in rows:
        drawn.add_row(
            Text(row.subscription),
            Text(row.state, style=COLOURS.get(row.state, "")),
            f"{row.rate:,.1f}",
            "" if row.last_price is None else f"{row.last_price:.10g}",
            Text(row.book, style=COLOURS.get(row.book, "")),
            Text(str(row.gaps), style="red" if row.gaps else ""),
            Text(row.detail),
        )
    return drawn
