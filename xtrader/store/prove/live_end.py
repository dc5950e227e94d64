"""What a recording has in its journal and in no file yet: nothing of it can be proven, so it is told with its time.

The rule: a journal is only looked at, never locked; who records is not disturbed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from xtrader.errors import DamagedFile, XTraderError
from xtrader.sinks.described import first_line
from xtrader.store.prove.recording_files import RecordingFiles
from xtrader.store.prove.verify_lists import Finding
from xtrader.store.read.part_list import CollectorParts
from xtrader.store.read.tail import pin
from xtrader.store.read.times import stamp

QUIET: Final = 10.0
"""Seconds without a write after which nobody records into a journal any more."""


class LiveEnd(NamedTuple):
    """What a journal holds above its files: from and to, int ns. `is_written`: somebody records into it now."""

    journal: Path
    collector: str
    ts_from: int
    ts_to: int
    is_written: bool


def live_end(files: RecordingFiles, journal: Path) -> LiveEnd | None:
    """What a journal holds that no file does; None if that is nothing, or there is no journal. Raises OSError, StorageError, and
    ConfigError for a newer format."""
    tail = pin(journal)
    if tail is None:
        return None
    with tail:
        span = tail.span(max(tail.start, _merged_to(files, tail.collector)))
        return None if span is None else LiveEnd(journal, tail.collector, *span, time.time() - tail.written < QUIET)


def _merged_to(files: RecordingFiles, collector: str) -> int:
    try:
        return files.part_list().listed().get(collector, CollectorParts({}, 0, 0, {})).merged_to
    except DamagedFile:
        return 0


def told(files: RecordingFiles) -> Iterator[Finding]:
    """Each live end as a finding: a note of one that is written to, a hole of one that was left or cannot be read."""
    for journal in files.part_list().journals():
        try:
            one = live_end(files, journal)
        except (XTraderError, OSError) as error:
            yield Finding(
                "hole", str(journal), f"cannot be read, so nothing is known of what is in no file yet: {first_line(error)}"
            )
            continue
        if one is None:
            continue
        when = f"from {stamp(one.ts_from)} to {stamp(one.ts_to)}"
        if one.is_written:
            what = f"what collector '{one.collector}' received {when} is in no file yet, so it is not proven"
            yield Finding("note", str(journal), what)
        else:
            what = f"a journal is here that nobody writes to; what was received {when} is in no file: {way_out(files)}"
            yield Finding("hole", str(journal), what)


def left(files: RecordingFiles) -> list[LiveEnd]:
    """The journals that hold what is in no file and that nobody writes to. Raises as `live_end`."""
    found = [live_end(files, journal) for journal in files.part_list().journals()]
    return [one for one in found if one is not None and not one.is_written]


def way_out(files: RecordingFiles) -> str:
    """What a user does with a journal that was left."""
    return f"start the recorder, or `xtrader repair {files.name}`"
