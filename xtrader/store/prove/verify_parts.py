"""One part by itself: is the file the one that was finished, and does it hold what its place and its manifest line say.

The rule: a file is read group by group with its page checksums verified; no file is held in memory whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xtrader.clock import DAY
from xtrader.model.streams import RARE
from xtrader.sinks.buffers import WAITED
from xtrader.sinks.described import digest, misled
from xtrader.sinks.manifest import ManifestLine


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
    """True if a row was received on another UTC day than its directory says, and did not wait for one of that day."""
    ends = pc.min_max(table["ts_recv"].cast(pa.int64())).as_py()
    start = pa.scalar(date).cast(pa.date32()).cast(pa.int32()).as_py() * DAY
    earliest = start if stream in RARE else start - WAITED
    return not (start <= ends["max"] < start + DAY and earliest <= ends["min"])
