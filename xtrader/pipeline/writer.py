"""From the socket's callback to the disk: records in, group commits out, and a watch on the room that is left.

The rule: `put` never waits. A row is in the page cache within the flush interval or 4,096 rows, on the disk one commit later.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from xtrader.clock import SECOND, Clock
from xtrader.errors import ConfigError, StorageError
from xtrader.model.market import Record
from xtrader.ops.measure import Arrivals, Durations
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.codec import Entry
from xtrader.pipeline.journal import Journal

FLUSH_SECONDS: Final = 0.09
"""The longest flush interval: a little less than the 100 ms that are promised, for the loop's lateness."""
ALIVE_SECONDS: Final = 1.0
ROOM_SECONDS: Final = 1.0
HYSTERESIS: Final = 1.25
"""Recording goes on again when there is this much more room than where it stopped."""


def free_bytes(directory: Path) -> int:
    """What an unprivileged process can still write on the directory's file system. Raises OSError."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def require_room(directory: Path, min_free: int) -> None:
    """Raises ConfigError if the file system of an existing directory has less than `min_free` bytes left."""
    free = free_bytes(directory)
    if free < min_free:
        raise ConfigError(
            f"{directory} has {free >> 20} MiB free, recording needs {min_free >> 20} MiB (XTRADER_MIN_FREE_BYTES={min_free})"
        )


class Writer:
    """Batches records into the journal, written every `flush_interval` seconds and synced every `fsync_interval`.
    `on_durable(offset)` is called after each commit that moved, `on_room(bool)` when room runs out or is
    there again: the owner stops and resumes the feeds; rows that still come are written."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        min_free: int = 512 << 20,
        max_bytes: int = 16 << 30,
        flush_interval: float = FLUSH_SECONDS,
        fsync_interval: float = 0.1,
        on_durable: Callable[[int], None] = lambda _: None,
        on_room: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.room = True
        """There is room on the disk and in the journal's budget."""
        self._journal = journal
        self._clock = clock
        self._min_free = min_free
        self._max_bytes = max_bytes
        self._flush_interval = flush_interval
        self._fsync_interval = fsync_interval
        self._on_durable = on_durable
        self._on_room = on_room
        self.arrivals = Arrivals()
        """Of all records that were flushed: how long they were on their way."""
        self.commits = Durations()
        """How long the disk took."""
        self._batcher = Batcher(self.flush, self._count)
        self.put: Callable[[Record], None] = self._batcher.add
        """Takes a record. Raises ProtocolError if a number does not fit (nothing is taken then), StorageError."""
        self._written = clock.monotonic()
        self._commit_began: int | None = None
        self._stop = asyncio.Event()

    @property
    def rows(self) -> int:
        """Records taken."""
        return self._batcher.rows

    @property
    def silence(self) -> float:
        """Seconds for which nothing has been written, or that a commit takes already, whichever are more; about one in a journal
        that is well."""
        now = self._clock.monotonic()
        return (now - min(self._written, now if self._commit_began is None else self._commit_began)) / SECOND

    def flush(self) -> None:
        """Write what was taken into the journal's page cache. Raises StorageError."""
        entries = self._batcher.flush()
        if entries:
            self._append(entries)

    async def run(self) -> None:
        """Flush, commit and watch the room until `close`. Raises StorageError."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._flush_often())
                tasks.create_task(self._commit_often())
                tasks.create_task(self._watch_room())
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def close(self) -> None:
        """End `run`, write what is left and a mark that makes the sinks finish; durable on return. Raises StorageError."""
        self._stop.set()
        self.flush()
        self._append([codec.text_entry(codec.MARK, {})])
        await self._commit()

    def _append(self, entries: list[Entry]) -> None:
        self._journal.append(entries)
        self._written = self._clock.monotonic()

    def _count(self, keys: Sequence[str], columns: Any) -> None:
        self.arrivals.take(keys, columns, self._clock.now())

    async def _flush_often(self) -> None:
        while not await self._stopped(self._flush_interval):
            self.flush()
            if self._clock.monotonic() - self._written >= ALIVE_SECONDS * SECOND:
                self._append([codec.text_entry(codec.ALIVE, {})])

    async def _commit_often(self) -> None:
        while not await self._stopped(self._fsync_interval):
            await self._commit()

    async def _commit(self) -> None:
        before = self._journal.durable
        self._commit_began = began = self._clock.monotonic()
        durable = await asyncio.to_thread(self._journal.commit)
        self._commit_began = None
        if durable != before:
            self.commits.add(self._clock.monotonic() - began)
            self._on_durable(durable)

    async def _watch_room(self) -> None:
        while True:
            self._check_room()
            if await self._stopped(ROOM_SECONDS):
                return

    def _check_room(self) -> None:
        slack = 1.0 if self.room else HYSTERESIS
        try:
            free = free_bytes(self._journal.directory)
        except OSError as error:
            raise StorageError(self._journal.directory, error.strerror or error) from error
        room = free >= self._min_free * slack and self._journal.size() * slack <= self._max_bytes
        if room != self.room:
            self.room = room
            self._on_room(room)

    async def _stopped(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True
