"""One lock for a data directory: whoever takes parts out of it holds it alone, whoever reads all of it may share it.

The rule: a recorder never waits for it; it only ever adds parts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from xtrader.errors import DamagedFile
from xtrader.sinks.manifest import DIRECTORY

NAME = ".store.lock"


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the directory alone; waits for others. Raises OSError."""
    try:
        (root / DIRECTORY).mkdir(exist_ok=True)
    except FileExistsError:
        raise DamagedFile(
            root / DIRECTORY, "is not a directory: move it away, and `xtrader repair` makes the lists again"
        ) from None
    descriptor = os.open(root / DIRECTORY / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def shared(root: Path) -> Iterator[None]:
    """Keep parts from being taken out; waits for whoever does. A directory that cannot be written to is read without."""
    try:
        descriptor = os.open(root / DIRECTORY / NAME, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
