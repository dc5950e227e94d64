"""Waits for journals to grow: woken by the kernel where it tells of writes, else as often as rows are written.

The rule: whoever writes a journal knows nothing of it, and nothing that was written before a wait is slept over.
"""

from __future__ import annotations

import ctypes
import os
import select
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from xtrader.pipeline.writer import FLUSH_SECONDS

PATIENCE: Final = 1.5
"""Seconds to wait for the kernel's word: more than the second after which a recorder writes in any case."""
_MODIFY: Final = 0x2
_CREATE: Final = 0x100
_EVENTS_BYTES: Final = 1 << 16


class Waker:
    """Tells when something is written into directories. The kernel says nothing of what another machine writes on a shared file
    system, and nothing at all where it has no inotify, or no watch left: as long as it is silent, waits are no longer than the time
    after which a row is in the journal."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._heard = False
        self._descriptor = _watch(directories)
        self._events = select.poll()
        if self._descriptor is not None:
            self._events.register(self._descriptor, select.POLLIN)
            weakref.finalize(self, os.close, self._descriptor)

    def wait(self, seconds: float = PATIENCE) -> bool:
        """Wait for a write since the last wait, for at most so long; True if the kernel told of one."""
        patience = seconds if self._heard else min(seconds, FLUSH_SECONDS)
        self._heard = bool(self._events.poll(patience * 1000))
        if self._heard and self._descriptor is not None:
            os.read(self._descriptor, _EVENTS_BYTES)
        return self._heard


def _watch(directories: Sequence[Path]) -> int | None:
    """A descriptor that can be read when something was written; None if there is no such thing here."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "inotify_init1"):
        return None
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    for directory in directories:
        if libc.inotify_add_watch(descriptor, os.fsencode(directory), _MODIFY | _CREATE) < 0:
            os.close(descriptor)
            return None
    return descriptor
