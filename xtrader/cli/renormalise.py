"""`xtrader renormalise`: raw recordings through the venues' own sessions into the files that a live run would have written."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from xtrader.model.market import Record
    from xtrader.renormalise.renormaliser import Converted

COLLECTOR = "recorded"
"""Stands in file names where a live run has its collector's id: the same recording always makes the same files."""
STEP = 20_000
"""Records between two signs of life."""
WIDTH = 280
"""Columns where nobody says how many there are."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--exchange", metavar="NAME", help="The exchange that was recorded, where the files do not tell.")
@click.option("--output-directory", metavar="DIR", help="Where the Parquet files go (default ./data).")
def renormalise(files: tuple[Path, ...], exchange: str | None, output_directory: str | None) -> None:
    """Make the same Parquet files from raw recordings: cryptofeed's, hftbacktest's, or xtrader's own.

    Exit code 1: something was recorded of which neither a row nor a gap was made; standard error says what.
    """
    from rich.console import Console

    from xtrader import logs
    from xtrader.errors import ConfigError
    from xtrader.pipeline.write_records import write_records
    from xtrader.renormalise.renormaliser import Renormaliser
    from xtrader.settings.directories import check_writable
    from xtrader.settings.environment import load_process
    from xtrader.sinks.bounds import require_open
    from xtrader.sinks.parquet.sink import ParquetSink

    settings = load_process({"output_directory": output_directory})
    logs.set_up(settings.log_level, settings.secrets, settings.warnings)
    if settings.upload is not None and settings.upload.spool is not None:
        raise ConfigError(f"renormalise writes to a directory, not to {settings.upload.url}; give --output-directory")
    recording = Renormaliser(files, exchange)
    check_writable("output directory", settings.output_directory)
    require_open(settings.output_directory, only_new=False)
    venues = {
        token: {"environment": market.environment, "depth_window": market.depth_window}
        for token, market in recording.markets.items()
    }
    write_records(_told(recording.records()), ParquetSink(settings.output_directory, COLLECTOR), COLLECTOR, venues)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(_draw(recording.summary()))
    for remark in recording.remarks:
        click.echo(f"xtrader: {remark}", err=True)
    click.echo(f"The files are in {settings.output_directory}.")
    if not recording.is_all_kept:
        sys.exit(1)


def _told(records: Iterable[Record]) -> Iterator[Record]:
    """The same records; on a terminal their number is shown as they go by."""
    from rich.console import Console
    from rich.status import Status

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from records
        return
    with Status("reading", console=console) as status:
        for number, record in enumerate(records):
            if number % STEP == 0:
                status.update(f"{number:,} records")
            yield record


def _draw(lines: Iterable[Converted]) -> Table:
    from rich.table import Table

    table = Table()
    for heading in ("subscription", "channel"):
        table.add_column(heading, overflow="fold")
    for heading in ("messages", "applied", "skipped", "breaks", "trades", "checksums", "gaps", "first", "last", "best", "levels"):
        table.add_column(heading, justify="right")
    for line in lines:
        best = "" if line.bid is None or line.ask is None else f"{line.bid[0]:.10g} / {line.ask[0]:.10g}"
        levels = "" if line.bid is None and line.ask is None else f"{line.bid_levels} / {line.ask_levels}"
        numbers = (line.messages, line.applied, line.skipped, line.breaks, line.trades, line.checksums, line.gaps)
        table.add_row(
            str(line.subscription),
            line.channel,
            *(f"{number:,}" for number in numbers),
            _time(line.ts_first),
            _time(line.ts_last),
            best,
            levels,
        )
    return table


def _time(ns: int | None) -> str:
    return "" if ns is None else datetime.fromtimestamp(ns / 1e9, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
