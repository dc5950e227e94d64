"""What a sink can never take: set aside in a file that people can read, so that it holds up nothing else.

The rule: what is set aside is durable before anything goes on without it, and is in the file once, however often it comes again.
A symbolic link in place of the file gives way to it: nothing is read or written through one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from xtrader.durable import make_directory, sync_directory

log = structlog.get_logger("xtrader.sinks")


class RefusedFile:
    """A JSON object a line; `identity` names the fields by which one is told from another."""

    def __init__(self, path: Path, identity: Sequence[str]) -> None:
        self.path = path
        self.count = 0
        """How many were set aside by this process."""
        self._identity = identity
        self._known: set[tuple[Any, ...]] = set()

    def load(self) -> None:
        """Read what is there; a line that cannot be read counts as not there. To be called before `add`. Raises OSError."""
        if self.path.is_symlink():
            self.path.unlink()
            log.warning("link_removed", file=str(self.path), about="nothing is written through a symbolic link")
        with contextlib.suppress(FileNotFoundError):
            for text in self.path.read_bytes().splitlines():
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    self._known.add(self._key(msgspec.json.decode(text, type=dict[str, Any])))

    def add(self, line: Mapping[str, Any]) -> None:
        """Set one aside and say so; nothing if it is there. Raises OSError."""
        key = self._key(line)
        if key in self._known:
            return
        make_directory(self.path.parent)
        new = not self.path.exists()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(self.path, flags, 0o644), "ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_directory(self.path.parent)
        self._known.add(key)
        self.count += 1
        log.warning("set_aside", file=str(self.path), reason=line.get("reason", ""))

    def _key(self, line: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(line.get(name) for name in self._identity)
