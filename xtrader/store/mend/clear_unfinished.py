"""What interrupted runs left unfinished, removed by whoever holds the data directory alone.

The rule: nothing of a recorder that runs is touched; a file that was never finished holds no row that is not elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from xtrader.durable import sync_directory
from xtrader.sinks.unfinished import HIDDEN, Unfinished
from xtrader.store.prove.verify_lists import files_below, is_running

WRITER: Final = "_store"
"""Whose unfinished parts those of `compact` and `repair` are: one of them at a time holds the directory."""


def remove_unfinished(root: Path) -> int:
    """Remove what `compact` and `repair` left, and what older versions left hidden among the parts; how many files. Raises
    OSError."""
    count = Unfinished(root, WRITER).clear()
    hidden = []
    for path in files_below(root):
        found = HIDDEN.fullmatch(path.rpartition("/")[2])
        if found is not None and (found[2] or not is_running(root, found["collector"])):
            hidden.append(root / path)
    for one in hidden:
        one.unlink()
    for directory in {one.parent for one in hidden}:
        sync_directory(directory)
    return count + len(hidden)
