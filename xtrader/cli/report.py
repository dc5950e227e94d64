"""`xtrader report`: a day's completeness in figures, for people and for programs."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtrader.cli.places import files_at, recorded
from xtrader.cli.progress import bar
from xtrader.cli.verify import WIDTH

if TYPE_CHECKING:
    from rich.table import Table

    from xtrader.store.report.day_report import DayReport


@click.command()
@recorded
@click.option("--date", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="The UTC day, such as 2026-11-21.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page that stands alone.")
@click.option("--json", "json", type=click.Path(path_type=Path), metavar="FILE", help="Write the same figures as JSON.")
@click.option("--workers", type=click.IntRange(1, 512), default=None, help="Processes (default: one for each core).")
def report(directory: str, date: datetime, html: Path | None, json: Path | None, workers: int | None) -> None:
    """Say of a day what was covered, what is missing and why, how late messages came, and how much there is. Exit code 2: files
    of the day are damaged."""
    import msgspec
    from rich.console import Console

    from xtrader.store.prove.live_end import told
    from xtrader.store.report.day_report import report_day

    with files_at(directory) as files, bar("reading") as progress:
        found, timeline = report_day(files, f"{date:%Y-%m-%d}", workers or os.cpu_count() or 1, progress)
        unproven = list(told(files))
    if html is not None:
        from xtrader.store.report.report_html import report_page

        html.write_text(report_page(found, timeline), encoding="utf-8")
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    (Console() if sys.stdout.isatty() else Console(width=WIDTH)).print(_draw(found))
    for one in unproven:
        click.echo(f"{one.level} {one.file}: {one.what}", err=True)
    if damaged := sum(one.damaged for one in found.subscriptions):
        click.echo(f"xtrader: {damaged:,} damaged files are in no figure: see `xtrader verify {directory}`", err=True)
        sys.exit(2)


def _draw(found: DayReport) -> Table:
    from rich.table import Table
    from rich.text import Text

    from xtrader.clock import SECOND
    from xtrader.store.report.coverage_svg import percent
    from xtrader.store.report.timescale import length

    several = len({one.collector for one in found.subscriptions}) > 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("subscription", overflow="fold")
    for heading in ("covered", "gaps", "missing", "resyncs", "lag p50 ms", "p99", "messages", "rows", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found.subscriptions:
        table.add_row(
            Text(f"{one.subscription} ({one.collector})" if several else one.subscription),
            "" if one.covered is None else percent(one.covered),
            Text(f"{len(one.gaps):,}", style="yellow" if one.gaps else ""),
            length(round(one.gap_seconds * SECOND)) if one.gaps else "",
            f"{one.resyncs:,}",
            "" if one.lag_ms is None else f"{one.lag_ms.p50:,.1f}",
            "" if one.lag_ms is None else f"{one.lag_ms.p99:,.1f}",
            f"{one.messages:,}",
            f"{one.rows:,}",
            f"{one.bytes / 1e6:,.2f}",
        )
    return table
