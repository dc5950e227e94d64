"""Where a sink's commits fall in the journal.

The rule: it depends on the journal's frames and the settings alone, so work that is done again is cut at the same places; but
where a sink says that it does not need that, commits are as large as they may be while it is behind.
"""

from __future__ import annotations

from typing import Final

from xtrader.clock import SECOND
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Payload

ROTATE_SECONDS: Final = 900.0
ROTATE_BYTES: Final = 1 << 30


class Rotation:
    """Told of each frame in order. A commit falls before a frame whose time is in another period than the first one's,
    before the start of a run, when `max_bytes` are reached, and after a mark. `free`: not for another period as long as
    `max_bytes` more are waiting."""

    def __init__(self, seconds: float = ROTATE_SECONDS, max_bytes: int = ROTATE_BYTES, *, free: bool = False) -> None:
        self._period = max(1, int(seconds * SECOND))
        self._max_bytes = max_bytes
        self._free = free
        self._current: int | None = None
        self._bytes = 0

    def before(self, payload: Payload, length: int, waiting: int = 0) -> bool:
        """Take the next frame, `length` bytes long, after which `waiting` bytes are known; True if what came before it is to
        be committed first."""
        period = payload.time // self._period
        if self._free and self._current is not None and waiting >= self._max_bytes:
            period = self._current
        started = payload.kind == codec.META and payload.flags & codec.START
        due = self._current is not None and bool(period != self._current or self._bytes >= self._max_bytes or started)
        if due or self._current is None:
            self._current = period
            self._bytes = 0
        self._bytes += length
        return due

    def after(self, payload: Payload) -> bool:
        """True if everything up to and with this frame is to be committed now."""
        return payload.kind == codec.MARK

    def restart(self) -> None:
        """A commit was made, or undone: the next frame is the first one."""
        self._current = None
        self._bytes = 0
