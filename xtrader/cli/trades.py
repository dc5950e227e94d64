"""`xtrader trades`: prints the trades of an instrument, out of a recording and as a running recorder receives them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from xtrader.cli.looking import Where, find_live, form, opened, place, printer, recording, time_range
from xtrader.errors import ConfigError

if TYPE_CHECKING:
    from xtrader.model.market import Trade

LAST = 20
HEADINGS = f"{'received':<29} {'side':<7} {'price':>14}  {'size':>14}  number"


@click.command()
@recording
@click.option("--last", type=click.IntRange(0), help=f"Only the last so many (default {LAST} without --from).")
@click.option("--from", "start", metavar="TIME", help="From this time on, such as 2026-11-21T12:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Before this time.")
@form
@click.option("--follow", "-f", is_flag=True, help="Go on with new trades as they are recorded.")
def trades(
    instrument: str,
    directory: str | None,
    output_directory: str | None,
    last: int | None,
    start: str | None,
    end: str | None,
    shape: str,
    follow: bool,
) -> None:
    """Show the trades of an instrument, ordered by when they were received."""
    if follow and end is not None:
        raise ConfigError("--to and --follow contradict each other; keep one of them")
    where = place(directory, output_directory)
    begin, until = time_range(start, end)
    found = _follow(where, instrument, begin, last) if follow else _recorded(where, instrument, begin, until, last)
    if not _print(found, shape) and last != 0:
        _say_what_there_is(where, instrument)


def _say_what_there_is(where: Where, name: str) -> None:
    """No trades were found: where they are. Raises ConfigError if there are none at all."""
    from xtrader.look import past
    from xtrader.look.lines import stamp

    dataset = opened(where)
    key = past.instrument(dataset, name).key
    found = past.span(dataset, key, "TRADES")
    if found is None:
        raise ConfigError(f"no trades of {key} are recorded here; {past.there_is(dataset, key)}")
    first, end = (stamp(ts, 3) for ts in found)
    click.echo(f"no trades of {key} in this range; there are some from {first} to {end}", err=True)


def _recorded(where: Where, name: str, start: int | None, end: int | None, last: int | None) -> Iterator[Trade]:
    from xtrader.look import past

    dataset = opened(where)
    key = past.instrument(dataset, name).key
    if last is None and start is not None:
        return past.trades(dataset, key, start, end)
    return iter(past.last_trades(dataset, key, LAST if last is None else last, start, time.time_ns() if end is None else end))


def _follow(where: Where, name: str, start: int | None, last: int | None) -> Iterator[Trade]:
    """What is recorded up to the time up to which the live book has read the journal, then what it reads. Whether trades flow is
    told on standard error whenever it changes."""
    from xtrader.look.lines import standing_words

    live_book = find_live(where, name, books=False)
    key = live_book.key
    begun = live_book.alive("TRADES")
    standing = live_book.standing("TRADES", time.time_ns())
    if standing.state == "absent":
        raise ConfigError(f"the trades of {key} are not recorded here")
    yield from _recorded(where, key, start, begun + 1, last)
    shown = ""
    while True:
        live_book.poll()
        yield from (trade for trade in live_book.news.trades if trade.ts_recv > begun)
        said = standing_words(live_book.standing("TRADES", time.time_ns()))
        if said != shown:
            click.echo(f"{key} {said}", err=True)
            shown = said
        live_book.wait()


def _print(found: Iterable[Trade], shape: str) -> bool:
    """True if there were any."""
    from xtrader.look import lines

    print_ = printer()
    digits = -1
    some = False
    for trade in found:
        some = True
        if shape == "json":
            click.echo(lines.trade_json(trade))
        elif shape == "compact":
            click.echo(lines.trade_line(trade))
        else:
            if digits < 0:
                click.echo(HEADINGS)
            digits = max(digits, lines.decimals([trade.price]))
            print_(lines.trade_text(trade, digits))
    return some
