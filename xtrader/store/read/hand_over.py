"""Where one collector's book goes on with another's: after which message, and in which row.

The rule: numbers decide only where both chains show that they count alike; elsewhere the time of receipt does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from xtrader.clock import SECOND
from xtrader.records.batches import Ints
from xtrader.store.read.intervals import Stretch
from xtrader.store.read.scan import Window, scan

LATE: Final = 10 * SECOND
"""So far apart two collectors receive the same message."""
_QUIET: Final = 60 * SECOND
_NULL: Final = -(2**63)


def number_between(before: Stretch, after: Stretch) -> int | None:
    """The number of the last message of `before`, if the chain of `after` can be followed from the one after that; None where the
    two do not meet, or their numbers do not say it. Raises OSError."""
    if before.end != after.start:
        return None
    earlier = [
        _numbers(table["sequence"])
        for table in scan(before.source, ("ts_recv", "sequence"), Window(before.end - _QUIET, before.end + 1))
    ]
    if not earlier or earlier[-1][-1] == _NULL:
        return None
    number = int(earlier[-1][-1])
    window = Window(after.start - LATE, after.start + LATE)
    found = list(scan(after.source, ("ts_recv", "sequence", "prev_sequence", "is_snapshot"), window))
    if not found:
        return None
    numbers = np.concatenate([_numbers(table["sequence"]) for table in found])
    previous = np.concatenate([_numbers(table["prev_sequence"]) for table in found])
    if (numbers == _NULL).any() or (np.diff(numbers) < 0).any():
        return None
    place = int(np.searchsorted(numbers, number, side="right"))
    if place == len(numbers):
        return number if np.isin(numbers, np.concatenate(earlier)).any() else None
    return number if place or _NULL < previous[0] <= number else None


def early(after: Stretch, number: int, columns: Sequence[str]) -> Iterator[Any]:
    """The messages after the one of that number which the collector of `after` had by its start, earlier than the other one. Raises
    OSError."""
    for table in scan(after.source, columns, Window(after.start - LATE, after.start + 1)):
        found = table.filter(pa.array((_numbers(table["sequence"]) > number) & ~_bools(table["is_snapshot"])))
        if found.num_rows:
            yield found


def continued_at(table: Any, known: Ints, start: int, number: int | None) -> int:
    """How many rows of a table of a chain belong to what is before a hand-over at the time `start` (int ns), by the number of
    the last message before it, or where that is None by `known`, the times at which the rows were known."""
    if number is None:
        return int(np.searchsorted(known, start, side="right"))
    after = (known > start + LATE) | ((known >= start - LATE) & (_numbers(table["sequence"]) > number))
    return int(after.argmax()) if after.any() else len(known)


def _bools(column: Any) -> Any:
    return column.to_numpy(zero_copy_only=False).astype(bool)


def _numbers(column: Any) -> Ints:
    found: Ints = column.fill_null(_NULL).to_numpy()
    return found
