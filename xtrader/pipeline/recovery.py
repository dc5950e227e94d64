"""What a run finds in the journal that another one left: the sum of its frames, its damage and its torn tail.

The rule: recovery removes only bytes after the last whole frame; what is damaged before that stays and is told.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xtrader.durable import sync_directory, sync_file
from xtrader.model.market import Coverage
from xtrader.pipeline import codec
from xtrader.pipeline.frames import Damaged, read_frames, segments
from xtrader.pipeline.state import State, lost_rows, stopped_rows


class Recovered(NamedTuple):
    """`end` is the offset after the last whole frame, 0 for an empty journal. `rows` are to be written first: what damage
    cost, and that the recorder was not running. `damaged` is all that was not told before."""

    state: State
    end: int
    rows: Sequence[Coverage]
    damaged: Sequence[Damaged]


def recover(directory: Path, state: State) -> Recovered:
    """Fold the journal's frames into `state` and cut its torn tail off. Raises OSError, ConfigError for a newer format."""
    end = 0
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
    _cut(directory, end)
    new = [(damage, rows) for damage, rows in found if (damage.offset, damage.end) not in state.damaged]
    state.damaged += [(damage.offset, damage.end) for damage, _ in new]
    rows = [row for _, lost in new for row in lost] + stopped_rows(state)
    return Recovered(state, end, rows, [damage for damage, _ in new])


def _cut(directory: Path, end: int) -> None:
    """Remove what lies after the last whole frame; fsynced, so that it cannot come back after new frames were written."""
    for segment in segments(directory):
        if segment.base >= end:
            segment.path.unlink()
        elif segment.end > end:
            os.truncate(segment.path, end - segment.base)
            sync_file(segment.path)
    sync_directory(directory)
