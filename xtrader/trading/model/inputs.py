"""What an engine takes: one record with its two times."""

from __future__ import annotations

from typing import Any, NamedTuple


class Input(NamedTuple):
    """One record: `ts` when it was known, `now` when the engine takes it (int ns, neither ever less than before)."""

    ts: int
    now: int
    record: Any
