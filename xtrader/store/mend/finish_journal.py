"""A journal that a recorder left behind, carried to its end: as the next start of the recorder would do it, without recording.

The rule: cuts fall where the recorder's own settings put them, so parts that it had published already keep their names.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from xtrader.clock import Clock
from xtrader.pipeline import codec
from xtrader.pipeline.cursors import read_cursor
from xtrader.pipeline.delivery import Delivery, Status
from xtrader.pipeline.frames import Damaged, read_frames, segments
from xtrader.pipeline.journal import open_journal
from xtrader.pipeline.rotation import Rotation
from xtrader.pipeline.state import JournalState
from xtrader.sinks.base import Sink


class Finished(NamedTuple):
    """What the journal gave: rows and parts, bytes of it that were damaged (a gap row tells what they cost), and records that no
    file can hold, which were set aside beside it."""

    rows: int
    parts: int
    damaged: int
    refused: int


def is_left(directory: Path, sink: str) -> bool:
    """True if the journal holds what the sink of that name does not have. Raises OSError."""
    found = segments(directory) if directory.is_dir() else []
    return bool(found) and found[-1].end > (read_cursor(directory, sink) or 0)


def finish_journal(directory: Path, collector: str, sink: Sink, rotation: Rotation, clock: Clock) -> Finished:
    """Carry all that is left to the sink, and close it. Raises OSError, StorageError, and ConfigError if a recorder is running."""
    state = JournalState("", {})
    for item in read_frames(directory, 0):
        if not isinstance(item, Damaged):
            state.take(codec.read_payload(item.payload))
    told: list[Status] = []
    journal = open_journal(directory, collector, clock, state.venues)
    try:
        journal.append([codec.text_entry(codec.MARK, {})])
        delivery = Delivery(directory, sink, rotation, told.append)
        try:
            delivery.open()
            delivery.advance(journal.commit())
        finally:
            delivery.close()
        last = told[-1]
        journal.release(last.cursor)
        return Finished(last.rows, last.parts, last.damaged, last.refused)
    finally:
        journal.close()
