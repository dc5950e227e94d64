"""What `book`, `trades` and `plot` have in common: which recording and which instrument are meant, and how lines are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from xtrader.errors import ConfigError, XTraderError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from xtrader.look.live_book import LiveBook
    from xtrader.model.book import Book
    from xtrader.model.instrument import Instrument
    from xtrader.model.market import Coverage
    from xtrader.pipeline.follow import Track
    from xtrader.store.read.dataset import Dataset

FORMATS = ("pretty", "compact", "json")
WIDTH = 140
"""Columns where nobody says how many there are."""
PATIENCE = 2.0
"""Seconds for a recorder to answer; what it does not tell is in its journal and its files."""
T = TypeVar("T", bound=Callable[..., Any])


class Where(NamedTuple):
    """A recording: its directory or the URL of its object store, and the journal of whoever records it."""

    directory: Path | str
    journal: Path


def recording(command: T) -> T:
    """The arguments that say which instrument of which recording."""
    command = click.option("--output-directory", metavar="DIR", help="The same as DIR.")(command)
    command = click.argument("directory", metavar="[DIR|URL]", required=False)(command)
    return click.argument("instrument", metavar="EXCHANGE@INSTRUMENT")(command)


def form(command: T) -> T:
    """The option `--format`."""
    return click.option("--format", "shape", type=click.Choice(FORMATS), default="pretty", show_default=True, help="How.")(command)


def place(directory: str | None, output_directory: str | None) -> Where:
    """The recording that is meant: DIR or --output-directory, else that of the settings. Raises ConfigError."""
    from xtrader.cli.places import find_place, require_directory

    if directory and output_directory and directory != output_directory:
        raise ConfigError(f"'{directory}' and --output-directory '{output_directory}' contradict each other; keep one of them")
    found = find_place(directory or output_directory)
    require_directory(found)
    return Where(found.where if found.is_remote else Path(found.where), found.journal)


def find_recorded(journals: Sequence[Track], text: str) -> str:
    """The key of the instrument that `text` means among those of a running recorder. Raises ConfigError."""
    from xtrader.feed.catalogue import near
    from xtrader.pipeline.follow import find, instruments

    found = find(journals, lambda known: _meant(known, text))
    if found is None:
        every = instruments(journals)
        exchange, name = _named(text)
        of_exchange = [one for one in every if one.exchange == exchange]
        recorded = ", ".join(sorted(one.key for one in every)[:6]) or "none"
        hint = near(of_exchange, name) if of_exchange else f"recorded are {recorded}"
        raise ConfigError(f"'{text}' is not recorded here; {hint}")
    return found


def _named(text: str) -> tuple[str, str]:
    from xtrader.model.subscription import parse_name
    from xtrader.venues import exchanges

    return parse_name(text, exchanges())


def _meant(known: Iterable[Instrument], text: str) -> str | None:
    from xtrader.feed.catalogue import pick

    exchange, name = _named(text)
    found = pick([one for one in known if one.exchange == exchange], name, text)
    return None if found is None else found.key


def find_live(where: Where, text: str, *, books: bool = True) -> LiveBook:
    """The live book of the instrument that `text` means among those of a running recorder. Raises ConfigError."""
    from xtrader.pipeline.follow import tracks

    journals = tracks(where.journal)
    live_book = open_live(where, find_recorded(journals, text), journals, books=books)
    # Whether the name means another one, or several, is known only when the journals have been read.
    meant = _meant(live_book.instruments(), text)
    return live_book if meant in (None, live_book.key) else open_live(where, meant, books=books)


def open_live(where: Where, key: str, journals: Sequence[Track] = (), *, books: bool = True) -> LiveBook:
    """The live book of an instrument of a running recorder, in whose `journals` the key was looked up, if it was. Without `books`,
    for its trades only. Raises ConfigError."""
    from xtrader.look.live_book import LiveBook

    def seed(collector: str, live: Coverage, ts: int) -> Book | None:
        from xtrader.store.read.books import filed
        from xtrader.store.read.part_list import PartList

        return filed(PartList(where.directory), collector, live, ts)

    return LiveBook(where.journal, key, seed if books else None, journals, _from_recorder)


def _from_recorder(journal: Path, key: str) -> Book | None:
    from xtrader.model.book import Book
    from xtrader.ops.ask import Asking

    try:
        with Asking(journal, PATIENCE) as asking:
            told = asking.result("book", instrument=key)
    except XTraderError:
        return None
    book = Book()
    book.bids.apply([(price, size) for price, size in told["bids"]])
    book.asks.apply([(price, size) for price, size in told["asks"]])
    book.sequence = told["sequence"]
    return book


def opened(where: Where) -> Dataset:
    """The recording as a data set. Raises ConfigError."""
    import xtrader

    return xtrader.open(where.directory, journal=where.journal)


def moment(text: str | None) -> int | None:
    """A time as users type it, int nanoseconds UTC. Raises ConfigError."""
    from xtrader.store.read.times import nanoseconds

    return None if text is None else nanoseconds(text)


def time_range(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """--from and --to, int nanoseconds UTC. Raises ConfigError, also where they are the wrong way round."""
    begin, until = moment(start), moment(end)
    if begin is not None and until is not None and begin > until:
        raise ConfigError(f"--from '{start}' is after --to '{end}'; give the earlier time to --from")
    return begin, until


def printer() -> Callable[[RenderableType], None]:
    """Prints for people, at once; in colours where standard output is a terminal."""
    import sys

    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True) if sys.stdout.isatty() else Console(width=WIDTH, highlight=False)

    def show(what: RenderableType) -> None:
        console.print(what)
        sys.stdout.flush()

    return show


def need(extra: str, module: str, what: str) -> None:
    """Raises XTraderError with the way out if an optional package is missing."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise XTraderError(f"{what} needs the package {module}, which is not installed: pip install 'xtrader[{extra}]'")
