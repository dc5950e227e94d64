"""Whether a recorder is alive, by its journal: a running one writes to it at least once a second, whatever the venues do.

The rule: it only looks at names and times of files, so that it is quick and disturbs nobody.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from xtrader.errors import XTraderError


def require_alive(directory: Path, workers: int, within: float) -> float:
    """Seconds since the journal in `directory` was written to; with several `workers`, since that of each was.

    Raises XTraderError, with a sentence, if there is none or it is more than `within` seconds; OSError.
    """
    found = [directory] if workers == 1 else sorted(directory.glob("worker-*"))
    ages = {journal: age for journal in found if (age := _age(journal)) is not None}
    if not ages:
        raise XTraderError(
            f"there is no journal in '{directory}': the recorder has not begun, or writes elsewhere "
            "(XTRADER_JOURNAL_DIRECTORY, XTRADER_OUTPUT_DIRECTORY)"
        )
    journal, age = max(ages.items(), key=lambda one: abs(one[1]))
    if abs(age) > within:
        when = f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s in the future"
        raise XTraderError(f"the journal '{journal}' was last written to {when}: the recorder is stopped or hangs")
    return age


def _age(journal: Path) -> float | None:
    """Seconds since the newest file of a journal was written to; None if it has none."""
    try:
        newest = max((entry for entry in os.scandir(journal) if entry.name.endswith(".journal")), key=lambda one: one.name)
        return time.time() - newest.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
