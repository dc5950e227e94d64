"""A sink that keeps records: for tests, ours and those of users.

The rule: it gives back the very records that were put into the journal, but for what is not stored (`Trade.sequence`).
"""

from __future__ import annotations

from xtrader.model.market import Record
from xtrader.records.batches import Batch, Session
from xtrader.records.objects import records


class MemorySink:
    """`records` holds what is committed, `sessions` what was told of recorders."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.rows = 0
        self.trouble = ""
        self.refused = 0
        self.dropped: dict[str, int] = {}
        self.records: list[Record] = []
        self.sessions: list[Session] = []
        self.commits: list[tuple[int, int]] = []
        self._pending: list[Record] = []

    def open(self, first: int) -> int:
        """See Sink."""
        return first

    def check(self, batch: Batch) -> None:
        """See Sink."""
        for _ in records(batch):
            pass

    def write(self, batch: Batch) -> None:
        """See Sink. Keeps everything: memory grows with the rows."""
        if isinstance(batch, Session):
            self.sessions.append(batch)
            return
        before = len(self._pending)
        self._pending.extend(records(batch))
        self.rows += len(self._pending) - before

    def commit(self, first: int, last: int) -> int:
        """See Sink. A stretch that was committed before is not taken again."""
        parts = 0
        if self._pending and (first, last) not in self.commits:
            self.records += self._pending
            self.commits.append((first, last))
            parts = 1
        self._pending = []
        return parts

    def settle(self, last: int, final: bool) -> int:
        """See Sink."""
        return last

    def abandon(self) -> None:
        """See Sink."""
        self.rows -= len(self._pending)
        self._pending = []

    def close(self) -> None:
        """See Sink."""
        self.abandon()
