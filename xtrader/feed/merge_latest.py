"""MergedLatest: a stream of values out of several connections, of which each replaces the one before.

Rule: what a connection brings is handed on if nobody brought it before, unless it is older than what was; without numbers, nothing
else can be said of what is missing.
"""

from __future__ import annotations

from collections.abc import Hashable
from operator import attrgetter
from typing import Any

from xtrader.feed.merge import Member, Merged, Put
from xtrader.model.market import Coverage, Flat
from xtrader.model.streams import Stream

REMEMBERED = 1_000
"""Records that are remembered, so that none is handed on twice."""


class MergedLatest(Merged[Member]):
    """One instrument of a `stream` on so many connections."""

    def __init__(self, key: str, stream: Stream, connections: int, put: Put) -> None:
        super().__init__(key, stream.name, [Member() for _ in range(connections)], put)
        self._identity: Any = attrgetter(*(column.source for column in stream.columns if column.name in stream.identity))
        self._seen: dict[Hashable, None] = {}
        self._ts_event: int | None = None

    def begin(self, ts_last: int) -> None:
        """All that came until now, at `ts_last` (int ns) for the last time, is stored."""
        self.ts_last = ts_last

    def take(self, record: Flat) -> None:
        """Take a record of any connection."""
        what, ts = self._identity(record), record.ts_event
        if what in self._seen or (ts is not None and self._ts_event is not None and ts < self._ts_event):
            return
        self._seen[what] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._ts_event = ts
        self.messages += 1
        self.ts_last = max(record.ts_recv, self.ts_last)
        self._put(record)

    def linked(self, number: int) -> bool:
        return True

    def _broken(self, member: Member, row: Coverage) -> None:
        if not any(other.state == "live" for other in self.members if other is not member):
            self._tell(row)

    def _interrupted(self, member: Member, row: Coverage) -> None:
        if not self.live:
            self._tell(row)
