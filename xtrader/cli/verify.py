"""`xtrader verify`: proves a recording from its files, and says where it cannot."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from xtrader import sinks
from xtrader.cli.places import files_at, recorded
from xtrader.cli.progress import bar
from xtrader.errors import SinkRetry

if TYPE_CHECKING:
    from rich.table import Table

    from xtrader.store.prove.recording_files import RecordingFiles
    from xtrader.store.prove.verify import Report

WIDTH = 160
"""Columns where nobody says how many there are."""
STYLES = {"damage": "red", "hole": "yellow", "note": "dim"}


@click.command()
@recorded
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option("--workers", type=click.IntRange(1, 512), default=None, help="Processes (default: one for each core).")
@click.option("--sink", type=click.Choice(sinks.able("compare")), default=None, help="Compare with what is in the tables instead.")
def verify(directory: str, as_json: bool, workers: int | None, sink: str | None) -> None:
    """Check files, manifest, sequences, books and coverage. Exit code: 0 clean, 1 holes that are declared, or nothing that could be
    proven yet, 2 damage."""
    if sink is not None:
        with files_at(directory) as files:
            sys.exit(compare_tables(files, sink))
    import msgspec

    from xtrader.store.prove.verify import verify as prove
    from xtrader.venues import rules

    with files_at(directory) as files, bar("verifying") as progress:
        report = prove(files, rules, workers or os.cpu_count() or 1, progress)
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        print_report(report)
    sys.exit(report.exit_code)


def compare_tables(files: RecordingFiles, sink: str) -> int:
    """Compare a recording with a sink's tables and print where they differ; 2 if rows are missing there, else 0. Rows that
    are only in the tables may be another collector's, and those that a table no longer keeps are none that are missing."""
    from xtrader.cli.load import labelled, parts_in_force
    from xtrader.settings.environment import load_process
    from xtrader.store.read.times import stamp

    options = load_process({}).sink_options
    lacking = past = 0
    try:
        for found in sinks.module(sink).compare(labelled(files, parts_in_force(files)), options):
            where = f"{found.table} {found.key} {stamp(found.hour)}"
            if found.lacking:
                lacking += found.lacking
                click.echo(f"{where}: {found.lacking} of {found.expected} rows are missing")
            if found.past:
                past += found.past
                click.echo(f"{where}: {found.past} of {found.expected} rows are past the table's TTL ({found.ttl})")
            if found.extra:
                click.echo(f"{where}: {found.extra} rows are only in the table")
    except SinkRetry as error:
        raise click.ClickException(str(error)) from None
    verdict = f"{lacking} rows are missing in the tables" if lacking else "the tables hold all of it"
    click.echo(f"{files.name}: {verdict}" + (f", but for {past} rows that are past their TTL" if past else ""))
    return 2 if lacking else 0


def print_report(report: Report) -> None:
    """Print a report for people."""
    from rich.console import Console
    from rich.markup import escape

    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    if report.days:
        console.print(_draw(report))
    for level in ("damage", "hole", "note"):
        for finding in report.findings:
            if finding.level == level:
                console.print(
                    f"[{STYLES[level]}]{level}[/] {escape(finding.file)}: {escape(finding.what)}", highlight=False, soft_wrap=True
                )
    damage, holes = (sum(one.level == level for one in report.findings) for level in ("damage", "hole"))
    if not report.parts and not damage:
        console.print(
            f"{report.directory}: nothing is proven: no file is finished yet", markup=False, highlight=False, soft_wrap=True
        )
        return
    said = {0: "clean", 1: f"{_counted(holes, 'declared hole')}, no damage", 2: f"{_counted(damage, 'finding')} of damage"}
    console.print(f"{report.directory}: {said[report.exit_code]}", markup=False, highlight=False, soft_wrap=True)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _draw(report: Report) -> Table:
    from rich.table import Table
    from rich.text import Text

    several = len({day.collector for day in report.days}) > 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("subscription", overflow="fold")
    table.add_column("day", no_wrap=True)
    for heading in ("parts", "rows", "messages", "live", "gaps", "damage"):
        table.add_column(heading, justify="right", no_wrap=True)
    for day in report.days:
        table.add_row(
            Text(f"{day.subscription} ({day.collector})" if several else day.subscription),
            day.date,
            f"{day.parts:,}",
            f"{day.rows:,}",
            f"{day.messages:,}",
            "" if day.live is None else f"{day.live:.3%}",
            Text(f"{day.gaps}", style="yellow" if day.gaps else ""),
            Text(f"{day.damage}", style="red" if day.damage else "green"),
        )
    return table
