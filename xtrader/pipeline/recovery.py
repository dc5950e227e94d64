"""What a run finds in the journal that another one left: the sum of its frames, its damage and its torn tail.

The rule: recovery removes only bytes after the last whole frame; what is damaged before that stays and is told.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xtrader.clock import SECOND
from xtrader.durable import sync_directory, sync_file
from xtrader.model.market import UNASKED, Coverage
from xtrader.model.streams import BY_FRAME
from xtrader.pipeline import codec
from xtrader.pipeline.frames import Damaged, read_frames, segments
from xtrader.pipeline.state import JournalState, lost_rows, stopped_rows
from xtrader.records.batches import FlatBatch, Updates


class Recovered(NamedTuple):
    """`end` is the offset after the last whole frame, 0 for an empty journal. `rows` are to be written first: what damage
    cost, and that the recorder was not running. `damaged` is all that was not told before."""

    state: JournalState
    end: int
    rows: Sequence[Coverage]
    damaged: Sequence[Damaged]


def recover(directory: Path, state: JournalState) -> Recovered:
    """Fold the journal's frames into `state` and cut its torn tail off. Raises OSError, ConfigError for a newer format."""
    end = 0
    recent: deque[tuple[int, int]] = deque()
    before: list[Damaged] = []
    found: list[tuple[Damaged, list[Coverage]]] = []
    for item in read_frames(directory, 0):
        if isinstance(item, Damaged):
            before.append(item)
            continue
        payload = codec.read_payload(item.payload)
        found += [(damage, lost_rows(state, damage, state.alive or payload.time, payload.time)) for damage in before]
        before.clear()
        state.take(payload)
        end = item.end
        recent.append((payload.time, item.offset))
        while payload.time - recent[0][0] > UNASKED * SECOND:
            recent.popleft()
    _cut(directory, end)
    new = [(damage, rows) for damage, rows in found if (damage.offset, damage.end) not in state.damaged]
    state.damaged += [(damage.offset, damage.end) for damage, _ in new]
    rows = [row for _, lost in new for row in lost] + stopped_rows(state, _known(directory, state, recent[0][1] if recent else 0))
    return Recovered(state, end, rows, [damage for damage, _ in new])


def _known(directory: Path, state: JournalState, begin: int) -> dict[tuple[str, str], int]:
    """Until when (ns) each (instrument, stream) that was live as the recorder died is known to have been recorded: its last message
    or, if that is longer ago, the last time at which the venue must have been asked about a silence. `begin` is the offset of the
    first frame of that time."""
    oldest = state.alive - UNASKED * SECOND
    known = {place: max(row.ts_from, oldest) for place, row in state.open.items() if row.state == "live"}
    for item in read_frames(directory, begin) if known else ():
        payload = None if isinstance(item, Damaged) else codec.read_payload(item.payload)
        stream = None if payload is None else BY_FRAME.get(payload.kind)
        if payload is None or stream is None or not stream.is_hot:
            continue
        batch = codec.read_batch(payload)
        assert isinstance(batch, Updates | FlatBatch)
        last = np.zeros(len(batch.keys), np.int64)
        np.maximum.at(last, batch.instrument, batch.ts_recv if isinstance(batch, Updates) else batch.columns["ts_recv"])
        for key, ts in zip(batch.keys, last.tolist(), strict=True):
            if (key, stream.name) in known:
                known[key, stream.name] = max(known[key, stream.name], min(ts, state.alive))
    return known


def _cut(directory: Path, end: int) -> None:
    """Remove what lies after the last whole frame; fsynced, so that it cannot come back after new frames were written."""
    for segment in segments(directory):
        if segment.base >= end:
            segment.path.unlink()
        elif segment.end > end:
            os.truncate(segment.path, end - segment.base)
            sync_file(segment.path)
    sync_directory(directory)
