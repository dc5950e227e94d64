"""One writer for a collector's parts: whoever writes them holds the lock of its list.

The rule: two processes of one collector id never write to one directory at a time.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from xtrader.errors import ConfigError
from xtrader.sinks.manifest import DIRECTORY

LOCK_SECONDS: Final = 10.0
"""Seconds that another process has to let go: one whose recorder died needs a moment to notice."""


def hold(directory: Path, collector: str) -> int:
    """The descriptor of the lock of this collector's list in the recording `directory`, locked; the caller closes it.

    Raises ConfigError if another process still holds it after LOCK_SECONDS, OSError if the lock cannot be opened.
    """
    path = directory / DIRECTORY / f".{collector}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise ConfigError(
                    f"another process writes to '{directory}' as collector '{collector}': give each recorder a journal directory "
                    "and an id of its own (XTRADER_JOURNAL_DIRECTORY, XTRADER_COLLECTOR_ID)"
                ) from None
            time.sleep(0.05)


def require_free(directory: Path, collector: str) -> None:
    """Raise ConfigError if another process writes as this collector, before anything is recorded."""
    if (directory / DIRECTORY / f".{collector}.lock").exists():
        os.close(hold(directory, collector))
