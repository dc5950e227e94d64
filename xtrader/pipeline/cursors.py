"""Cursors: how far each sink has come in the journal, one small file a sink beside the segments.

The rule: a cursor moves only after everything below it is durable in the sink.
"""

from __future__ import annotations

from pathlib import Path

from xtrader.durable import replace_file

_SUFFIX = ".cursor"


def read_cursor(directory: Path, name: str) -> int | None:
    """The journal offset below which the sink `name` has everything; None if it has no cursor yet. Raises OSError."""
    try:
        return int((directory / f"{name}{_SUFFIX}").read_text())
    except FileNotFoundError:
        return None


def write_cursor(directory: Path, name: str, offset: int) -> None:
    """Move a cursor, durably. Raises OSError."""
    replace_file(directory / f"{name}{_SUFFIX}", b"%d\n" % offset)


def largest_cursor(directory: Path) -> int:
    """The largest cursor of all sinks, 0 if there is none: no frame may be written below it. Raises OSError."""
    return max((int(path.read_text()) for path in directory.glob(f"*{_SUFFIX}")), default=0)
