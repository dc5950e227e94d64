"""What the frames of a journal add up to: instruments known, coverage intervals that are open, damage that was told.

The rule: writing and recovery fold the same frames by the same code, so a restart knows what the last run knew.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

import xtrader
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage, fold_open
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Meta, Payload
from xtrader.pipeline.frames import Damaged


class JournalState:
    """The sum of the frames taken so far. `alive` is the time up to which everything received is known to be in them."""

    def __init__(self, collector: str, venues: Mapping[str, Mapping[str, str]]) -> None:
        self.collector = collector
        self.venues = {exchange: dict(facts) for exchange, facts in venues.items()}
        self.instruments: dict[str, Instrument] = {}
        self.open: dict[tuple[str, str], Coverage] = {}
        self.damaged: list[tuple[int, int]] = []
        self.alive = 0

    def take(self, payload: Payload) -> None:
        """Fold the next frame in."""
        if payload.kind == codec.META:
            self._take_meta(codec.read_meta(payload))
        elif payload.kind == codec.INSTRUMENTS:
            self.instruments.update((instrument.key, instrument) for instrument in codec.read_instruments(payload))
        elif payload.kind == codec.COVERAGE:
            for row in codec.read_coverages(payload):
                fold_open(self.open, row)
        if payload.flags & codec.WHOLE:
            self.alive = max(self.alive, payload.time)

    def meta(self) -> Meta:
        """All of it, for the head of a segment."""
        return Meta(
            collector=self.collector,
            software=xtrader.__version__,
            venues=self.venues,
            instruments=list(self.instruments.values()),
            open=list(self.open.values()),
            damaged=self.damaged,
            alive=self.alive,
        )

    def _take_meta(self, meta: Meta) -> None:
        self.collector = meta.collector
        self.venues = meta.venues
        self.instruments = {instrument.key: instrument for instrument in meta.instruments}
        self.open = {(row.instrument, row.stream): row for row in meta.open}
        self.damaged = sorted({*self.damaged, *meta.damaged})
        self.alive = max(self.alive, meta.alive)


def lost_rows(state: JournalState, damage: Damaged, ts_from: int, ts_to: int) -> list[Coverage]:
    """The rows that tell what a damaged stretch of the journal cost every subscription that was open then."""
    detail = f"journal bytes {damage.offset} to {damage.end} are damaged"
    return [
        Coverage(row.instrument, row.stream, "gap", "storage", min(ts_from, ts_to), ts_to, detail)
        for row in state.open.values()
        if row.state != "gap"
    ]


def stopped_rows(
    state: JournalState,
    known: Mapping[tuple[str, str], int] = MappingProxyType({}),
    cause: str = "start",
    detail: str = "the recorder was not running",
) -> list[Coverage]:
    """The rows that end what was open when the recorder died, and begin the time in which it did not run. `known` says
    until when (ns) an (instrument, stream) is known to have been recorded, where that is not until the recorder died."""
    rows = []
    for row in state.open.values():
        if row.state == "gap":
            continue
        ts = max(known.get((row.instrument, row.stream), state.alive), row.ts_from)
        rows.append(msgspec.structs.replace(row, ts_to=ts))
        rows.append(Coverage(row.instrument, row.stream, "gap", cause, ts, None, detail))
    return rows
