"""One part by itself: is the file the one that was finished, and does it hold what its place and its manifest line say.

The rule: a file is read group by group with its page checksums verified; no file is held in memory whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from xtrader.clock import SECOND
from xtrader.durable import link_below
from xtrader.sinks.buffers import WAITED
from xtrader.sinks.described import SALVAGED as SALVAGED
from xtrader.sinks.described import UNREADABLE as UNREADABLE
from xtrader.sinks.described import Ranges as Ranges
from xtrader.sinks.described import describe as describe
from xtrader.sinks.described import digest
from xtrader.sinks.described import metadata_of as metadata_of
from xtrader.sinks.described import misplaced as misplaced
from xtrader.sinks.described import place_of as place_of
from xtrader.sinks.described import read_groups as read_groups
from xtrader.sinks.manifest import ManifestLine

DAY: Final = 86_400 * SECOND
FOREVER: Final = 2**63 - 1


def first_line(error: BaseException) -> str:
    """What an error says, without what pyarrow adds below."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def misled(root: Path, path: str) -> str | None:
    """What keeps a path below `root` from being that of a file of the recording, whatever the file holds; None if nothing does.
    The recorder makes no symbolic links: behind one lies what is somebody else's."""
    link = link_below(root, Path(path))
    if link is not None:
        return f"is behind a symbolic link, '{link}', which a recording has none of"
    return "is not a file" if (root / path).exists() and not (root / path).is_file() else None


def changed(root: Path, line: ManifestLine) -> str | None:
    """What shows that the file is not the one that was listed; None if it is, byte for byte."""
    path = root / line.path
    wrong = misled(root, line.path)
    if wrong is not None:
        return wrong
    try:
        size = path.stat().st_size
        if size != line.bytes:
            return f"has {size} bytes instead of {line.bytes}"
        if digest(path) != line.sha256:
            return "is not the file that was finished: its SHA-256 differs"
    except FileNotFoundError:
        return "is listed and missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def date_differs(table: Any, date: str, stream: str) -> bool:
    """True if a row was received on another UTC day than its directory says, and no book message that waited for its snapshot."""
    ends = pc.min_max(table["ts_recv"].cast(pa.int64())).as_py()
    start = pa.scalar(date).cast(pa.date32()).cast(pa.int32()).as_py() * DAY
    earliest = start - WAITED if stream == "L2" else start
    return not (start <= ends["max"] < start + DAY and earliest <= ends["min"])
