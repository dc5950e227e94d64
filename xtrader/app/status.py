"""The live lines of a terminal: one per subscription, drawn by rich from facts, replaced in place.

Rule: nothing is drawn where standard output is not a terminal.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from xtrader.ops.facts import Facts
from xtrader.ops.health import trouble

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


async def show(facts: Callable[[], Facts], note: Callable[[], str] = str, console: Console | None = None) -> None:
    """Draw `facts()`, and `note()` below them, twice a second until cancelled; returns at once where standard output is not a
    terminal."""
    console = console or Console()
    if not console.is_terminal:
        return
    with Live(
        table(facts(), note()),
        console=console,
        auto_refresh=False,
        redirect_stderr=sys.stderr.isatty(),
        vertical_overflow="ellipsis",
    ) as live:
        try:
            while True:
                await asyncio.sleep(PERIOD)
                live.update(table(facts(), note()), refresh=True)
        finally:
            live.update(table(facts(), note()), refresh=True)


def table(facts: Facts, note: str = "", ill: Collection[str] = ()) -> Table:
    """The subscriptions as they are drawn, with a note below them; those that are `ill`, by name, before the others."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", caption=note or None, caption_justify="left")
    drawn.add_column("subscription", no_wrap=True)
    drawn.add_column("state")
    drawn.add_column("messages/s", justify="right")
    drawn.add_column("last", justify="right")
    drawn.add_column("book")
    drawn.add_column("gaps", justify="right")
    drawn.add_column("", style="dim", no_wrap=True)
    for one in sorted(facts.subscriptions, key=lambda one: one.name not in ill):
        price = (one.bid + one.ask) / 2 if one.bid is not None and one.ask is not None else one.last_value
        drawn.add_row(
            Text(one.name),
            Text(one.state, style=COLOURS.get(one.state, "")),
            f"{one.rate:,.1f}",
            "" if price is None else f"{price:.10g}",
            Text(one.book, style=COLOURS.get(one.book, "")),
            Text(str(one.gaps_total), style="red" if one.gaps else ""),
            Text(trouble(one)),
        )
    return drawn
