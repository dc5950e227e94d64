"""Asks a running recorder at its door.

The rule: whatever comes back is one value or one sentence; nobody waits for ever for a recorder that hangs.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from xtrader.errors import ConfigError
from xtrader.ops.door import NAME, address
from xtrader.ops.facts import Facts

PATIENCE: Final = 10.0
"""Seconds for an answer."""
LONGEST: Final = 1 << 28
"""Bytes of an answer."""


class NobodyThere(ConfigError):
    """There is no recorder behind a directory, or it does not answer."""

    exit_code = 1


class Refused(ConfigError):
    """The recorder said no; the sentence is its own."""


class _Answer(msgspec.Struct):
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


class Asking:
    """A connection to the door of the recorder whose journal is in `directory`. Raises NobodyThere."""

    def __init__(self, directory: Path, patience: float = PATIENCE) -> None:
        self._directory = directory
        self._patience = patience
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(patience)
        try:
            with address(directory) as path:
                self._socket.connect(path)
        except PermissionError:
            self.close()
            raise NobodyThere(f"the recorder in '{directory}' is that of another user, and only that one may ask it") from None
        except (OSError, ValueError):
            self.close()
            raise NobodyThere(_nobody(directory)) from None

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def ask(self, command: str, **said: Any) -> bytes:
        """What the recorder answers, as JSON. Raises Refused with its sentence, NobodyThere if none comes."""
        try:
            self._socket.sendall(msgspec.json.encode({"command": command, **said}) + b"\n")
            line = self._line()
        except TimeoutError:
            raise NobodyThere(f"the recorder in '{self._directory}' has not answered for {self._patience:.0f} s") from None
        except OSError:
            raise NobodyThere(_nobody(self._directory)) from None
        try:
            answer = msgspec.json.decode(line, type=_Answer)
        except msgspec.MsgspecError:
            raise NobodyThere(f"what answers in '{self._directory}' is no recorder") from None
        if not answer.ok:
            raise Refused(answer.error)
        return bytes(answer.result)

    def result(self, command: str, **said: Any) -> dict[str, Any]:
        """The same as a mapping."""
        return msgspec.json.decode(self.ask(command, **said), type=dict[str, Any])

    def facts(self) -> Facts:
        """The facts of the recorder. Raises as `ask`, and ConfigError for those of a newer version."""
        try:
            return msgspec.json.decode(self.ask("facts"), type=Facts)
        except msgspec.MsgspecError:
            raise ConfigError(f"the recorder in '{self._directory}' is of another version than this program") from None

    def _line(self) -> bytes:
        parts = [self._rest]
        size = len(self._rest)
        while b"\n" not in parts[-1]:
            part = self._socket.recv(1 << 20)
            size += len(part)
            if not part or size > LONGEST:
                raise OSError
            parts.append(part)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line


def _nobody(directory: Path) -> str:
    if not directory.is_dir():
        return f"there is no directory '{directory}', so no recorder has its journal there"
    holder = b""
    with suppress(OSError):
        holder = (directory / "lock").read_bytes()
    if (directory / NAME).exists() or not holder:
        return f"no recorder runs in '{directory}'"
    return f"no recorder can be asked in '{directory}'; the last one there was process {_pid(holder)}"


def _pid(holder: bytes) -> str:
    with suppress(msgspec.MsgspecError, TypeError, KeyError):
        pid = msgspec.json.decode(holder)["pid"]
        return f"{pid}, which {'runs' if os.path.exists(f'/proc/{pid}') else 'has ended'}"
    return "unknown"
