"""What the sink remembers over restarts, in one file beside the journal.

The rule: it is replaced in one step, and names the journal offset that it belongs to.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from xtrader.durable import keep_file, kept_file, make_directory
from xtrader.sinks.questdb.best_levels import Packed


class Progressed(msgspec.Struct):
    """How far each table is, in two groups. `offset` is the journal offset up to which everything was proven, `books` are those
    after it. `again` are the tables that are not that far, because they are filled again from older journal, or can take nothing
    now: `again_from` is how far they are, and `again_books` are the books there."""

    offset: int = 0
    http_seen: bool = False
    books: Packed = msgspec.field(default_factory=dict)
    again: list[str] = msgspec.field(default_factory=list)
    again_from: int = 0
    again_books: Packed = msgspec.field(default_factory=dict)


def load(path: Path) -> Progressed:
    """The state, a new one where there is none or none that can be read. Raises OSError."""
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        return msgspec.msgpack.decode(kept_file(path), type=Progressed)
    return Progressed()


def save(path: Path, state: Progressed) -> None:
    """Durable on return. Raises OSError."""
    make_directory(path.parent)
    keep_file(path, msgspec.msgpack.encode(state))
