"""Lines of a text recording, gzip or not. Memory is bounded by the longest line; damage is told, never hidden.

What comes before the damage of a truncated file is kept. `damage` collects one sentence for each thing that was wrong.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from xtrader.errors import ConfigError

MAX_LINE = 64 * 1024 * 1024
"""Bytes of one line. The longest real ones, catalogues of all instruments, have about 4 MB."""
NS = 1_000_000_000
_GZIP = b"\x1f\x8b"


def open_file(path: Path) -> io.BufferedIOBase:
    """The file, unpacked if it is gzip. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        return gzip.open(path, "rb") if packed else path.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot read the recording {path}: {error.strerror or error}") from error


def lines(path: Path, damage: list[str]) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, line without its end) of every line that is not blank. Raises ConfigError."""
    number = 0
    with open_file(path) as file:
        while True:
            try:
                line = file.readline(MAX_LINE)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                if number == 0:
                    raise ConfigError(f"{path} is damaged: not a line of it can be unpacked ({error})") from error
                damage.append(f"{path.name} is cut off or damaged after line {number}: {error}")
                return
            except OSError as error:
                raise ConfigError(f"cannot read the recording {path}: {error.strerror or error}") from error
            if not line:
                return
            number += 1
            if not line.endswith(b"\n"):
                if len(line) >= MAX_LINE:
                    raise ConfigError(f"{path} is not a recording: line {number} is longer than {MAX_LINE} bytes")
                if line.strip() and not _is_whole(line):
                    damage.append(f"{path.name}: the last line ({number}) is torn and was left out")
                    return
            line = line.strip()
            if line:
                yield number, line


def ns_from_seconds(text: bytes) -> int:
    """Decimal seconds since the epoch -> nanoseconds, exactly: `1652459224.5300605` is no float. Raises ValueError."""
    seconds, _, fraction = text.partition(b".")
    if not seconds.isdigit() or (fraction and not fraction.isdigit()):
        raise ValueError(f"not a time in seconds: {text[:40]!r}")
    return int(seconds) * NS + int(fraction[:9].ljust(9, b"0"))


class Strangers:
    """Counts the lines of a file that are not of its format, and says so once."""

    def __init__(self, path: Path, expected: str) -> None:
        self.path = path
        self.expected = expected
        self.count = 0
        self.first = 0

    def add(self, number: int) -> None:
        self.count += 1
        self.first = self.first or number

    def report(self, damage: list[str]) -> None:
        if self.count:
            damage.append(f"{self.path.name}: {self.count} lines left out, from line {self.first}, expected {self.expected}")


def _is_whole(line: bytes) -> bool:
    """True if a line without an end of its own holds a whole JSON document: only then nothing of it can be missing."""
    start = line.find(b"{")
    if start < 0:
        return False
    try:
        json.loads(line[start:])
    except ValueError:
        return False
    return True
