"""`xtrader export`: writes what was recorded of an instrument into a file that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xtrader.cli.looking import opened, place, time_range
from xtrader.errors import ConfigError

if TYPE_CHECKING:
    from xtrader.store.read.answer import Answer
    from xtrader.store.read.dataset import Dataset

MADE = ("BARS", "BOOKS")
"""What is made of rows, beside the streams."""


@click.command()
@click.argument("what", metavar="STREAM:EXCHANGE@INSTRUMENT")
@click.argument("directory", metavar="[DIR|URL]", required=False)
@click.option("--output", metavar="FILE", required=True, help="Where to: a name that ends in .csv, .csv.gz or .parquet.")
@click.option("--from", "start", metavar="TIME", help="From this time of receipt on, such as 2026-11-21T12:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Before this time of receipt.")
@click.option("--every", metavar="PERIOD", help="Of BARS and BOOKS: such as 1s (default), 1m.")
@click.option("--depth", type=click.IntRange(1), default=10, show_default=True, help="Of BOOKS: levels of a side.")
@click.option(
    "--columns",
    type=click.Choice(("own", "tardis")),
    default="own",
    show_default=True,
    help="Own, or of tardis.dev's trades and incremental_book_L2.",
)
def export(
    what: str,
    directory: str | None,
    output: str,
    start: str | None,
    end: str | None,
    every: str | None,
    depth: int,
    columns: str,
) -> None:
    """Write what was recorded of an instrument into a file, the live end included, each row once. STREAM is one of those that are
    recorded (TRADES, L2, FUNDING, COVERAGE, INSTRUMENTS), or BARS of trades, or BOOKS at a cadence; without it, and with only an
    exchange or *, all that fits."""
    from xtrader.settings.directories import check_writable
    from xtrader.store.read.table_file import ending_of, flat_books, tardis, write_table

    path = Path(output)
    ending = ending_of(path)
    begin, until = time_range(start, end)
    stream, name = _asked(what)
    if every is not None and stream not in MADE:
        raise ConfigError(f"--every is about {' and '.join(MADE)}, not {stream}")
    where = place(directory, None)
    check_writable("directory of the output", path.absolute().parent)
    dataset = opened(where)
    answer = _answer(dataset, stream, name, begin, until, every, depth)
    if stream == "BOOKS" and ending != ".parquet":
        answer = flat_books(answer, depth)
    elif columns == "tardis":
        answer = tardis(answer, stream)
    with _shown(dataset, stream, begin, until) as progress:
        rows = write_table(answer, path, progress)
    click.echo(f"{path}: {rows:,} rows of {stream}:{name or '*'}, {path.stat().st_size / 1e6:,.1f} MB")
    if not rows:
        from xtrader.look import past

        click.echo(f"nothing of it is in this range; {_there_is(past, dataset, name)}", err=True)


def _asked(what: str) -> tuple[str, str | None]:
    """The stream, and the instrument; None for all. Raises ConfigError."""
    import difflib

    from xtrader.model.streams import STREAMS

    stream, _, name = (part.strip() for part in what.partition(":"))
    known = (*STREAMS, *MADE)
    if stream.upper() not in known:
        near = difflib.get_close_matches(stream.upper(), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ConfigError(f"unknown stream '{stream}' in '{what}'; {hint}")
    if not name:
        raise ConfigError(f"'{what}' names no instrument: give {stream}:EXCHANGE@INSTRUMENT, or {stream}:* for all")
    if name == "*" and stream.upper() in MADE:
        raise ConfigError(f"{stream.upper()} are of one instrument: give {stream}:EXCHANGE@INSTRUMENT")
    return stream.upper(), None if name == "*" else name


def _answer(
    dataset: Dataset, stream: str, name: str | None, start: int | None, end: int | None, every: str | None, depth: int
) -> Answer:
    if stream == "BARS" and name is not None:
        return dataset.bars(name, every=every or "1s", start=start, end=end)
    if stream == "BOOKS" and name is not None:
        return dataset.books(name, every=every or "1s", depth=depth, start=start, end=end)
    if stream == "COVERAGE":
        return dataset.coverage(name, start=start, end=end)
    if stream == "INSTRUMENTS":
        return dataset.instruments(name, at=None if end is None else end)
    return dataset.rows(stream, name, start=start, end=end)


def _there_is(past: Any, dataset: Dataset, name: str | None) -> str:
    return str(past.there_is(dataset, name)) if name is not None else "look at `xtrader coverage`"


def _shown(dataset: Dataset, stream: str, start: int | None, end: int | None) -> Any:
    """A bar of how far the time of receipt has come."""
    from xtrader.cli.progress import share_bar

    spans = dataset.recorded().to_arrow()
    if not spans.num_rows:
        return share_bar("writing", 0, 1)
    first, last = (spans[name].cast("int64").to_pylist() for name in ("ts_first", "ts_last"))
    return share_bar("writing", max(min(first), start or 0), min(max(last), end or max(last)))
