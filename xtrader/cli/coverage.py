"""`xtrader coverage`: draws when a recording was live, and when it was not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtrader.cli.places import files_at, recorded
from xtrader.cli.verify import WIDTH

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from xtrader.store.report.timeline import Strip, Timeline

CELLS = {"live": ("█", "green"), "syncing": ("▒", "yellow"), "gap": ("!", "bold red"), "": ("·", "dim")}
NARROWEST = 20


@click.command()
@recorded
@click.option("--date", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Only this UTC day.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Draw into an HTML page instead.")
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw into a picture instead (needs matplotlib).")
def coverage(directory: str, date: object, html: Path | None, png: Path | None) -> None:
    """Draw a line for each subscription: live, syncing, gap. A stretch looks as the worst that happened in it."""
    from rich.console import Console

    from xtrader.clock import DAY
    from xtrader.store.prove.live_end import told
    from xtrader.store.prove.verify import day_start
    from xtrader.store.report.timeline import read_timeline

    start = None if date is None else day_start(f"{date:%Y-%m-%d}")
    with files_at(directory) as files:
        timeline = read_timeline(files, start, None if start is None else start + DAY).recorded()
        title = f"Coverage of {files.title}"
        unproven = list(told(files))
    if html is not None:
        from xtrader.store.report.coverage_svg import page

        html.write_text(page(timeline, title), encoding="utf-8")
    if png is not None:
        from xtrader.store.report.coverage_png import write_png

        write_png(timeline, png, title)
    for one in unproven:
        click.echo(f"{one.level} {one.file}: {one.what}", err=True)
    if html is None and png is None:
        _draw(timeline, Console() if sys.stdout.isatty() else Console(width=WIDTH))


def _draw(timeline: Timeline, console: Console) -> None:
    from rich.text import Text

    from xtrader.store.report.timescale import moment

    longest = max(map(len, timeline.labels))
    if console.width - longest - 11 < NARROWEST:
        longest = 0
    count = max(NARROWEST, console.width - longest - 11)
    for strip, label in zip(timeline.strips, timeline.labels, strict=True):
        if not longest:
            console.print(Text(label))
        console.print(_line(strip, label, timeline, count, longest))
    ends = moment(timeline.ts_from), f"{moment(timeline.ts_to)} UTC"
    console.print(Text(" " * (longest + 1) + f"{ends[0]}{ends[1]:>{max(1, count - len(ends[0]))}}", style="dim"))
    words = Text(" " * (longest + 1))
    for state, (cell, style) in CELLS.items():
        words.append(cell, style).append(f" {state or 'nothing known'}   ")
    console.print(words)


def _line(strip: Strip, label: str, timeline: Timeline, count: int, longest: int) -> Text:
    from rich.text import Text

    from xtrader.store.report.coverage_svg import percent
    from xtrader.store.report.timeline import cells

    line = Text(f"{label:<{longest}} " if longest else "")
    for state in cells(strip, timeline.ts_from, timeline.ts_to, count):
        line.append(*CELLS[state])
    part = strip.live(timeline.ts_from, timeline.ts_to)
    return line.append("" if part is None else f" {percent(part):>9}")
