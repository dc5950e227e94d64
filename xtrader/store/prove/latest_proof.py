"""What can be proven of a stream of values without numbers, part after part.

The rule: rows lie where coverage is live, each has the values that a row must have, and none is older than the one before it unless
it came first after an interruption. Whether one was missed cannot be told: what is proven is said so.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from xtrader.model.streams import Stream
from xtrader.store.prove.book_proof import MOST, Tell, Times, to_ints
from xtrader.store.prove.coverage_map import CoverageMap

PROVEN: Final = "each row is whole and within what was covered; whether one is missing cannot be told, as they have no numbers"


class LatestProof:
    """The rows of one instrument, in order."""

    def __init__(self, stream: Stream, coverage: CoverageMap, tell: Tell) -> None:
        self.messages = 0
        self._stream = stream
        self._coverage = coverage
        self._tell = tell
        self._times = Times(coverage, tell)
        self._last: tuple[int, int] | None = None
        """Time of receipt and the venue's of the last row."""

    def lost(self) -> None:
        """Rows are missing here, and that was told: whatever comes next is taken."""
        self._last = None

    def check(self, table: Any) -> None:
        """Take a table of rows."""
        for column in self._stream.columns:
            if column.kind == "float" and not np.isfinite(table[column.name].drop_null().to_numpy()).all():
                self._tell(f"a row with an impossible {column.name}")
        recv = to_ints(table["ts_recv"])
        event = to_ints(table["ts_event"])
        known = event != np.iinfo(np.int64).min
        recv_known, event_known = recv[known], event[known]
        if self._last is not None:
            recv_known = np.concatenate(([self._last[0]], recv_known))
            event_known = np.concatenate(([self._last[1]], event_known))
        for place in (np.flatnonzero(np.diff(event_known) < 0) + 1)[:MOST].tolist():
            before, now = int(recv_known[place - 1]), int(recv_known[place])
            if not any(one.state == "live" and before < one.ts_from <= now for one in self._coverage.intervals):
                self._tell(f"the row at {now} is older than the one before it, by the venue's time")
        if len(event_known):
            self._last = int(recv_known[-1]), int(event_known[-1])
        self._times.check(recv)
        self.messages += len(recv)
