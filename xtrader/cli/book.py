"""`xtrader book`: prints, follows or shows the book of an instrument."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from xtrader.cli.looking import echo, find_watched, form, need, place, recording, watch
from xtrader.errors import ConfigError, XTraderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from xtrader.look.picture import Picture
    from xtrader.look.watch import Watch

PERIOD = 0.1
"""Seconds between two looks at the journal."""


@click.command()
@recording
@click.option("--levels", type=click.IntRange(1), default=10, show_default=True, help="Levels of each side.")
@form
@click.option("--follow", "-f", is_flag=True, help="Go on, with a book whenever these levels have changed, ten a second at most.")
@click.option("--live", is_flag=True, help="A full-screen ladder.")
def book(
    instrument: str, directory: str | None, output_directory: str | None, levels: int, shape: str, follow: bool, live: bool
) -> None:
    """Show the book of an instrument, as a running recorder has it now."""
    where = place(directory, output_directory)
    key = find_watched(where.journal, instrument)
    if live:
        if follow:
            raise ConfigError("--live and --follow contradict each other; keep one of them")
        need("live", "textual", "--live")
        _show(key, lambda wanted: watch(where, wanted))
        return
    watching = watch(where, key)
    if follow:
        _follow(watching, levels, shape)
    watching.poll()
    picture = watching.picture(time.time_ns())
    if picture.book is None:
        from xtrader.look.text import standing_words

        raise XTraderError(f"there is no book of {key} now: {standing_words(picture.standing)}")
    _print(picture, levels, shape)


def _follow(watching: Watch, levels: int, shape: str) -> None:
    shown = None
    while True:
        watching.poll()
        picture = watching.picture(time.time_ns())
        seen = (picture.standing, picture.book and (picture.book.bids[:levels], picture.book.asks[:levels]))
        if seen != shown:
            _print(picture, levels, shape)
            shown = seen
        time.sleep(PERIOD)


def _show(key: str, open_watch: Callable[[str], Watch]) -> None:
    from xtrader.clock import SystemClock
    from xtrader.look.screen import Screen

    screen = Screen(key, open_watch, SystemClock())
    error = screen.run()
    if error is not None:
        raise error


def _print(picture: Picture, levels: int, shape: str) -> None:
    from xtrader.look import text

    if shape == "json":
        click.echo(text.book_json(picture, levels))
    elif shape == "compact":
        click.echo(text.book_line(picture))
    else:
        echo(text.book_table(picture, levels))
