"""Cursors: how far each sink has come in the journal, one small file a sink beside the segments.

The rule: a cursor moves only after everything below it is durable in the sink. One that cannot be read is none: what is done
again is done again under the same names.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from xtrader.durable import keep_file, kept_file

_SUFFIX = ".cursor"

log = structlog.get_logger("xtrader.pipeline")


def read_cursor(directory: Path, name: str) -> int | None:
    """The journal offset below which the sink `name` has everything; None if it has no cursor yet. Raises OSError."""
    return _read(directory / f"{name}{_SUFFIX}")


def write_cursor(directory: Path, name: str, offset: int) -> None:
    """Move a cursor, durably. Raises OSError."""
    keep_file(directory / f"{name}{_SUFFIX}", b"%d" % offset)


def largest_cursor(directory: Path) -> int:
    """The largest cursor of all sinks, 0 if there is none: no frame may be written below it. Raises OSError."""
    return max((_read(path) or 0 for path in directory.glob(f"*{_SUFFIX}")), default=0)


def _read(path: Path) -> int | None:
    try:
        return int(kept_file(path))
    except FileNotFoundError:
        return None
    except ValueError:
        log.warning("cursor_damaged", file=str(path), about="the sink begins again at the oldest journal that there is")
        return None
