"""hftbacktest's collector text: `<receive time, epoch ns> <message as received>` on each line. It names no URL and no connection.

A REST depth snapshot stands inline, at the time at which its answer came, without what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from xtrader.recordings.events import Answered, Event, Received
from xtrader.recordings.text import Strangers, lines

_FIRST = re.compile(rb"\d{18,19} [\[{]")
_DAY = re.compile(r"[-_.]?\d{8}$")
_SNAPSHOT = re.compile(rb'\{\s*"lastUpdateId"\s*:')


def recognise(line: bytes) -> bool:
    """True if a line is of this format."""
    return _FIRST.match(line) is not None


def place(path: Path) -> str:
    """The name of the recording: the collector starts a new file each day, so the date is left out."""
    return _DAY.sub("", path.name.removesuffix(".gz")) or path.name


def events(path: Path, connection: str, damage: list[str]) -> Iterator[Event]:
    """The events of one file in the order of its lines; lines of another format are left out and told in `damage`."""
    strangers = Strangers(path, "`nanoseconds {json}`")
    for number, line in lines(path, damage):
        time, _, payload = line.partition(b" ")
        if not payload or not time.isdigit():
            strangers.add(number)
            continue
        ts = int(time)
        if _SNAPSHOT.match(payload):
            yield Answered("", 200, payload, {}, ts)
        else:
            yield Received(connection, payload, ts)
    strangers.report(damage)
