"""hftbacktest's collector text: `<receive time> <message as received>` on each line. It names no URL and no connection.

The time is in nanoseconds since the epoch; the first collector wrote microseconds.

A REST depth snapshot stands inline, at the time at which its answer came, without what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from xtrader.recordings import text
from xtrader.recordings.events import Answered, Event, Received

_FIRST = re.compile(rb"\d{10,19} [\[{]")
_DAY = re.compile(r"[-_.]?\d{8}$")
_SNAPSHOT = re.compile(rb'\{\s*"lastUpdateId"\s*:')


def recognise(line: bytes) -> bool:
    """True if a line is of this format."""
    return _FIRST.match(line) is not None


def place(path: Path) -> str:
    """The name of the recording: the collector starts a new file each day, so the date is left out."""
    return _DAY.sub("", path.name.removesuffix(".gz")) or path.name


def events(path: Path, connection: str, damage: list[str]) -> Iterator[Event]:
    """The events of one file in the order of its lines; what cannot be used is left out and told in `damage`."""

    def parse(line: bytes) -> text.Timed:
        time, _, payload = line.partition(b" ")
        ts, form = text.ns_from_epoch(time)
        text.message(payload)
        if _SNAPSHOT.match(payload):
            return text.Timed(Answered("", 200, payload, {}, ts), form)
        return text.Timed(Received(connection, payload, ts), form)

    return text.events(path, connection, parse, "`nanoseconds {json}`", damage)
