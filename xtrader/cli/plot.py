"""`xtrader plot`: draws mid, spread, depth and gaps of an instrument over a range, as a PNG or an HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from xtrader.cli.looking import need, opened, place, recording, time_range
from xtrader.errors import ConfigError, StorageError
from xtrader.settings.directories import check_writable

FORMS = (".png", ".html")


@click.command()
@recording
@click.option("--from", "start", metavar="TIME", help="From this time on, such as 2026-11-21T12:00:00Z (default: the first).")
@click.option("--to", "end", metavar="TIME", help="Before this time (default: the last).")
@click.option("--every", metavar="PERIOD", help="Time between two points, such as 100ms or 1m (default: about 1,000 points).")
@click.option("--output", metavar="FILE", required=True, help="Where to: a name that ends in .png or .html.")
def plot(
    instrument: str,
    directory: str | None,
    output_directory: str | None,
    start: str | None,
    end: str | None,
    every: str | None,
    output: str,
) -> None:
    """Draw mid, spread, depth and gaps over a range of time."""
    path = Path(output)
    if path.suffix.lower() not in FORMS:
        raise ConfigError(f"--output '{output}' ends in neither {' nor '.join(FORMS)}")
    if path.suffix.lower() == ".png":
        need("plot", "matplotlib", "a PNG")
    check_writable("directory of the output", path.absolute().parent)
    where = place(directory, output_directory)
    from xtrader.look import past
    from xtrader.look.series import read_series
    from xtrader.store.read.part_list import PartList
    from xtrader.store.read.times import period

    begin, until = time_range(start, end)
    dataset = opened(where)
    found = past.instrument(dataset, instrument, until)
    step = None if every is None else period(every)
    series = read_series(dataset, PartList(where.directory, journal=where.journal), found, begin, until, step)
    try:
        if path.suffix.lower() == ".png":
            from xtrader.look.png import write_png

            write_png(path, series)
        else:
            from xtrader.look.html import write_html

            write_html(path, series)
    except OSError as error:
        raise StorageError(path, error.strerror or error) from None
    click.echo(f"{path}: {len(series.ts):,} points, live for {series.covered:.2%} of the time")
