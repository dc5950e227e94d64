"""`xtrader book`: prints, follows or shows the book of an instrument."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from xtrader.cli.looking import find_live, find_recorded, form, moment, need, open_live, opened, place, printer, recording
from xtrader.errors import ConfigError, XTraderError
from xtrader.settings.environment import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from xtrader.look.live_book import LiveBook
    from xtrader.look.picture import Picture

PERIOD = 0.1
"""The least seconds between two looks at the journal."""
LEVELS = 10


@click.command()
@recording
@click.option("--levels", type=click.IntRange(1), help=f"Levels of each side (default {LEVELS}; with --live as many as fit).")
@form
@click.option("--at", metavar="TIME", help="As it was then, out of the recording; such as 2026-11-21T12:00:00.5Z.")
@click.option("--follow", "-f", is_flag=True, help="Go on, with a book whenever these levels have changed, ten a second at most.")
@click.option("--live", is_flag=True, help="A full-screen ladder with the keys above.")
def book(
    instrument: str,
    directory: str | None,
    output_directory: str | None,
    levels: int | None,
    shape: str,
    at: str | None,
    follow: bool,
    live: bool,
) -> None:
    """Show the book of an instrument, as a running recorder has it now or as it was recorded.

    Keys of --live: ? shows all of them; q or Ctrl-C quits, p pauses, m shows or hides the metrics and s the chart of the spread,
    r resets both, b changes what the bars show, n shows the next instrument, + and - change the levels, arrows and Page keys
    scroll, Home is back in the middle.
    """
    modes = [name for name, given in (("--at", at), ("--follow", follow), ("--live", live)) if given]
    if len(modes) > 1:
        raise ConfigError(f"{' and '.join(modes)} contradict each other; keep one of them")
    if live:
        require_screen()
    where = place(directory, output_directory)
    ts = moment(at)
    if ts is not None:
        from xtrader.look import past

        dataset = opened(where)
        _print(past.picture_at(dataset, past.instrument(dataset, instrument, ts), ts), levels or LEVELS, shape)
        return
    if live:
        from xtrader.pipeline.follow import tracks

        key = find_recorded(tracks(where.journal), instrument)
        need("live", "textual", "--live")
        _show(key, lambda wanted: open_live(where, wanted), levels or 0)
        return
    levels = levels or LEVELS
    if follow:
        _follow(find_live(where, instrument), levels, shape)
    else:
        _print_now(find_live(where, instrument), levels, shape)


def require_screen() -> None:
    """Raise ConfigError where a full screen cannot be drawn: it is drawn on standard error, and read from standard input."""
    for name, stream in (("standard input", sys.stdin), ("standard output", sys.stdout), ("standard error", sys.stderr)):
        if not stream.isatty():
            raise ConfigError(f"--live needs a terminal, and {name} is none; --follow works without one")
    if terminal() in ("dumb", "unknown"):
        raise ConfigError(f"--live cannot draw on a terminal of the kind TERM={terminal()}; --follow works there")


def _print_now(live_book: LiveBook, levels: int, shape: str) -> None:
    from xtrader.look.lines import standing_words

    picture = live_book.picture(time.time_ns())
    if picture.book is None:
        said = standing_words(picture.standing)
        raise XTraderError(f"there is no book of {live_book.key} now: {said}; --at TIME shows one that was recorded")
    _print(picture, levels, shape)


def _follow(live_book: LiveBook, levels: int, shape: str) -> None:
    shown = None
    while True:
        live_book.poll()
        picture = live_book.picture(time.time_ns())
        seen = (picture.standing, picture.book and (picture.book.bids[:levels], picture.book.asks[:levels]))
        if seen != shown:
            _print(picture, levels, shape)
            shown = seen
        time.sleep(PERIOD)
        live_book.wait()


def _show(key: str, open_live: Callable[[str], LiveBook], levels: int) -> None:
    from xtrader.clock import SystemClock
    from xtrader.look.screen import Screen

    screen = Screen(key, open_live, SystemClock(), levels)
    error = screen.run()
    if error is not None:
        raise error


def _print(picture: Picture, levels: int, shape: str) -> None:
    from xtrader.look import lines

    if shape == "json":
        click.echo(lines.book_json(picture, levels))
    elif shape == "compact":
        click.echo(lines.book_line(picture))
    else:
        show = printer()
        for part in lines.book_table(picture, levels):
            show(part)
