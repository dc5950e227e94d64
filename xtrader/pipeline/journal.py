"""The journal: the one durable buffer between the recorder and its sinks.

The rule: a failed write, fsync or directory change ends the process (StorageError, exit 74); it is never tried again, because
after a failed fsync the kernel reports success for pages that were never written.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog

from xtrader.clock import SECOND, Clock
from xtrader.durable import make_directory, sync_directory
from xtrader.errors import ConfigError, StorageError
from xtrader.model.market import Coverage
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Entry
from xtrader.pipeline.cursors import largest_cursor
from xtrader.pipeline.frames import Damaged, framed, segment_path, segments
from xtrader.pipeline.recovery import recover
from xtrader.pipeline.state import JournalState, stopped_rows

SEGMENT_BYTES: Final = 64 << 20
FAR: Final = 5 * SECOND
"""A clock that is so far before the journal's last entry was set back, or was wrong then."""
_IOV_MAX = 512

log = structlog.get_logger("xtrader.pipeline")


class Journal:
    """An open journal; make it with `open_journal`. One writer; `append` and `commit` may run in different threads."""

    def __init__(self, directory: Path, lock: int, end: int, state: JournalState, clock: Clock, segment_bytes: int) -> None:
        self.directory = directory
        self.end = end
        """Offset after the last frame written."""
        self.durable = end
        """Offset up to which every frame is on the disk."""
        self.damaged: tuple[Damaged, ...] = ()
        """What recovery found damaged, for the log."""
        self._state = state
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._lock = lock
        self._descriptor = -1
        self._base = end
        self._unsynced: list[int] = []
        self._directory_dirty = False
        self._failure: StorageError | None = None
        self._committing = threading.Lock()

    @property
    def collector(self) -> str:
        return self._state.collector

    def open_coverage(self) -> list[Coverage]:
        """The coverage rows that have begun and not ended, as the journal has them."""
        return list(self._state.open.values())

    def append(self, entries: Sequence[Entry]) -> int:
        """Write entries as frames into the page cache; with the last one, all that was received until now is in the journal.

        Returns the new end. Raises StorageError, then and for ever after a failure.
        """
        now = self._clock.now()
        with self._final():
            if self.end - self._base >= self._segment_bytes:
                self._begin_segment(now)
            buffers: list[bytes] = []
            end = self.end
            for index, entry in enumerate(entries):
                whole = codec.WHOLE if index == len(entries) - 1 else 0
                head = codec.head(entry, whole, now)
                parts, length = framed(end, [head, *entry.parts])
                buffers += parts
                end += length
                if entry.kind in (codec.COVERAGE, codec.INSTRUMENTS):
                    self._state.take(codec.read_payload(memoryview(b"".join([head, *entry.parts]))))
            self._write(buffers)
            self.end = end
        return end

    def commit(self) -> int:
        """Make all that is written durable (blocks on the disk); returns the durable offset. Raises StorageError."""
        with self._committing, self._final():
            end, descriptor = self.end, self._descriptor
            if end == self.durable or descriptor < 0:
                return self.durable
            finished = [old for old in self._unsynced if old != descriptor]
            for old in finished:
                os.fdatasync(old)
                os.close(old)
                self._unsynced.remove(old)
            os.fdatasync(descriptor)
            if self._directory_dirty:
                self._directory_dirty = False
                sync_directory(self.directory)
            self.durable = end
            return end

    def size(self) -> int:
        """Bytes of the journal on the disk."""
        with self._final():
            return sum(segment.end - segment.base for segment in segments(self.directory))

    def release(self, offset: int, keep_seconds: float = 0.0, keep_bytes: int = 0) -> None:
        """Delete the segments that lie wholly below `offset`, the smallest cursor of all sinks; but keep those that were
        written in the last `keep_seconds`, as long as the journal is not larger than `keep_bytes`."""
        with self._final():
            found = segments(self.directory)
            size = sum(segment.end - segment.base for segment in found)
            oldest = self._clock.now() / SECOND - keep_seconds
            for segment in found:
                if segment.end > offset or segment.base == self._base:
                    return
                if keep_seconds and size <= keep_bytes and segment.path.stat().st_mtime >= oldest:
                    return
                segment.path.unlink()
                size -= segment.end - segment.base

    def close(self) -> None:
        """Commit and let go of the lock."""
        try:
            self.commit()
        finally:
            for descriptor in {*self._unsynced, self._descriptor} - {-1}:
                os.close(descriptor)
            self._unsynced = []
            self._descriptor = -1
            os.close(self._lock)

    def start(self, rows: Sequence[Coverage]) -> None:
        """Begin a run: a new segment, what recovery has to tell, and the META frame that says so; all of it durable."""
        with self._final():
            self._begin_segment(self._clock.now())
        if rows:
            self.append([codec.text_entry(codec.COVERAGE, rows)])
        with self._final():
            self._write_meta(codec.START, self._clock.now())
        self.commit()

    def _begin_segment(self, now: int) -> None:
        path = segment_path(self.directory, self.end)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._directory_dirty = True
        self._unsynced.append(descriptor)
        self._descriptor, self._base = descriptor, self.end
        self._write_meta(0, now)

    def _write_meta(self, flags: int, now: int) -> None:
        entry = codec.text_entry(codec.META, self._state.meta())
        buffers, length = framed(self.end, [codec.head(entry, flags, now), *entry.parts])
        self._write(buffers)
        self.end += length

    def _write(self, buffers: list[bytes]) -> None:
        for index in range(0, len(buffers), _IOV_MAX):
            chunk = buffers[index : index + _IOV_MAX]
            length = sum(len(part) for part in chunk)
            written = os.writev(self._descriptor, chunk)
            rest = memoryview(b"".join(chunk))[written:] if written < length else memoryview(b"")
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    @contextlib.contextmanager
    def _final(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except OSError as error:
            self._failure = StorageError(self.directory, error.strerror or error)
            raise self._failure from error


def open_journal(
    directory: Path,
    collector: str,
    clock: Clock,
    venues: Mapping[str, Mapping[str, str]],
    *,
    segment_bytes: int = SEGMENT_BYTES,
    left: Callable[[], tuple[Sequence[Coverage], int]] = lambda: ((), 0),
) -> Journal:
    """Lock the directory, recover what the last run left, and begin a new run; its first rows are durable on return.

    `collector` names this recorder in part names: `[a-z0-9-]+`. `venues` is exchange -> facts for the files ("environment",
    "depth_window"). A new journal begins at the wall time in nanoseconds, not at 0: so parts made from it never take the
    names of parts that were made from a journal that somebody deleted. `left` is asked then: the coverage rows that are open in
    what sinks have of this collector, and the time up to which they have all; what came after is told as lost. Raises ConfigError
    if another recorder holds the directory, StorageError.
    """
    lock = -1
    try:
        make_directory(directory)
        lock = _lock(directory, collector, clock.now())
        recovered = recover(directory, JournalState(collector, {}))
        state = recovered.state
        state.collector = collector
        state.venues = {exchange: dict(facts) for exchange, facts in venues.items()}
        end = max(recovered.end, -(-largest_cursor(directory) // 8) * 8) or clock.now() // 8 * 8
        journal = Journal(directory, lock, end, state, clock, segment_bytes)
        journal.damaged = tuple(recovered.damaged)
        rows = _before_the_last(recovered.rows, state.alive - clock.now(), directory)
        if not recovered.end and not largest_cursor(directory):
            found, state.alive = left()
            state.open = {(row.instrument, row.stream): row for row in found}
            rows += stopped_rows(state, cause="storage", detail="the journal is gone, with what was in it and in no file yet")
        journal.start(rows)
    except OSError as error:
        _close(lock)
        raise StorageError(directory, error.strerror or error) from error
    except BaseException:
        _close(lock)
        raise
    return journal


def _before_the_last(rows: Sequence[Coverage], behind: int, directory: Path) -> list[Coverage]:
    """The rows of a start, which say so where the clock is `behind` (ns) what was recorded last: times of receipt go backwards."""
    if behind <= FAR:
        return list(rows)
    seconds = behind / SECOND
    log.warning("clock_before_journal", seconds=round(seconds, 3), journal=str(directory))
    told = f"; the clock is {seconds:,.0f} s before what was recorded last"
    return [msgspec.structs.replace(row, detail=row.detail + told) if _is_start(row) else row for row in rows]


def _is_start(row: Coverage) -> bool:
    return (row.state, row.cause, row.ts_to) == ("gap", "start", None)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _lock(directory: Path, collector: str, now: int) -> int:
    """Hold the directory: the descriptor of the locked file. Raises ConfigError that names the holder."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 4096).decode(errors="replace")
        os.close(descriptor)
        raise ConfigError(f"another recorder writes to {directory}: {_holder(text)}") from None
    holder = {"pid": os.getpid(), "since": now, "collector": collector}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)
    return descriptor


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        since = datetime.fromtimestamp(holder["since"] / 1e9, UTC).isoformat(timespec="seconds")
        return f"process {holder['pid']}, collector {holder['collector']}, since {since}"
    except (ValueError, KeyError, TypeError):
        return "it has not said its name yet"
