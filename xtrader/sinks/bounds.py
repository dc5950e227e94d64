"""Which times of a recording are here: what is older was pruned, and of an extract only some was brought.

The rule: it is said by the names of empty files beside the lists, `begins-<ts>` and `ends-<ts>`, because lists are only appended
to. A part whose last row is older than the latest beginning is not in force. Coverage and instruments are kept whatever their age.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from xtrader.clock import FOREVER
from xtrader.errors import ConfigError
from xtrader.model.streams import RARE
from xtrader.sinks.manifest import DIRECTORY

_NAME: Final = re.compile(r"(begins|ends)-(\d{20})")


class Bounds(NamedTuple):
    """Times [begins, ends) of `ts_recv`, int ns."""

    begins: int = 0
    ends: int = FOREVER

    @property
    def are_open(self) -> bool:
        """Whether nothing was left out."""
        return self == (0, FOREVER)

    def keep(self, stream: str, last: int | None) -> bool:
        """Whether a part of a stream whose last row was received at `last` is here."""
        return stream in RARE or last is None or last >= self.begins


def bounds_of(names: Iterable[str]) -> Bounds:
    """The bounds that names of files beside the lists state."""
    found: dict[str, int] = {}
    for name in names:
        if (match := _NAME.fullmatch(name.rpartition("/")[2])) is not None:
            word, ts = match[1], int(match[2])
            found[word] = max(found.get(word, ts), ts)
    return Bounds(found.get("begins", 0), found.get("ends", FOREVER))


def bounds_below(directory: Path) -> Bounds:
    """The bounds of the recording in a directory."""
    return bounds_of(path.name for path in (directory / DIRECTORY).glob("*-*"))


def require_open(directory: Path, *, only_new: bool) -> None:
    """Raise ConfigError if what is written into `directory` would not be in force, as some of its times were left out on purpose.
    `only_new`: nothing that is written is older than what is there."""
    found = bounds_below(directory)
    if found.ends < FOREVER or (found.begins and not only_new):
        why = "older days were pruned from it" if found.ends == FOREVER else "it is an extract of another recording"
        raise ConfigError(f"{directory} takes no such rows, as {why}; write to another directory, and open both as one")


def names_of(bounds: Bounds) -> list[str]:
    """The files, relative to the recording, that state them."""
    stated = (("begins", bounds.begins, bounds.begins > 0), ("ends", bounds.ends, bounds.ends < FOREVER))
    return [f"{DIRECTORY}/{word}-{ts:020d}" for word, ts, is_stated in stated if is_stated]
