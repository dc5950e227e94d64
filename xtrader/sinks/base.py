"""What a sink is: four blocking methods behind an open and a close, fed with decoded batches of the journal in order.

The rule: a sink never holds the only copy. Whatever it has taken since its last `commit` is offered to it again after a crash
or an error, byte for byte the same and cut at the same places, so a sink must make the second delivery invisible. What it has
not settled may be offered again too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from xtrader.records.batches import Batch


class SinkRun(msgspec.Struct, frozen=True):
    """What a sink may know of the run that it is for. `upload` is the URL of an object store that gets every finished file, empty
    for none; `options` are the sinks' own variables by name, secrets among them."""

    journal: Path
    output: Path
    upload: str
    keep_local: bool
    rotate_seconds: float
    rotate_bytes: int
    options: Mapping[str, str]


class SinkSpec(msgspec.Struct, frozen=True):
    """What a sink asks for: what it is made of (no secrets, those come by the environment), when a commit is due (see Rotation),
    and for how many seconds delivered journal is to be kept for it while there is room."""

    name: str
    arguments: dict[str, Any]
    rotate_seconds: float
    rotate_bytes: int
    rotate_freely: bool = False
    keep_seconds: float = 0.0


class Sink(Protocol):
    """Where rows go. All methods block; SinkRetry and OSError mean "not now": the delivery calls `abandon` and begins again at the
    last commit. After any other error it looks for the records that are to blame, and sets them aside; without any, it ends."""

    name: str
    """Names the sink's cursor in the journal's directory: letters, digits, dashes."""
    rows: int
    """Rows taken so far, told to the user."""
    trouble: str
    """What keeps rows that were taken from being found; empty if nothing does. Takes readiness down."""
    refused: int
    """Rows that could not be taken and were set aside."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Rows that were taken and are not kept where they went, by its own rules: where, and by which, in words -> how many."""
        ...

    def open(self, first: int) -> int:
        """Get ready to be fed; everything below journal offset `first` was settled. Returns the offset to begin at: `first`, a
        larger one up to which all is committed though not settled, or a smaller one to have older rows again (a commit falls on
        `first` then). Raises ConfigError."""
        ...

    def check(self, batch: Batch) -> None:
        """Do with a batch, by itself, all that could fail because of what is in it, and keep nothing of it. Called only to find
        what a `write` or `commit` failed by."""
        ...

    def write(self, batch: Batch) -> None:
        """Take a batch; may hold it in memory, in bounded space."""
        ...

    def commit(self, first: int, last: int) -> int:
        """Make all that was written since `first`, the offset of the last commit, findable and durable; journal offsets
        [first, last) are done then. Returns how many parts (files, requests) that made."""
        ...

    def settle(self, last: int, final: bool) -> int:
        """Called after each commit, which reached offset `last`, and now and then until that is settled: the offset below which
        this sink never needs the journal again. `final`: nothing may follow, so settle what a little waiting can settle."""
        ...

    def abandon(self) -> None:
        """Forget everything since the last commit."""
        ...

    def close(self) -> None:
        """Let go of files, locks and connections; what was not committed is abandoned."""
        ...
