"""The inputs that a run with a clock took, as they are kept in its log: with them it can be decided again, by nothing else.

The rule: an input that was written comes back as it was, floats to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from xtrader.errors import UnknownKind
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.streams import STREAMS
from xtrader.pipeline.frames import JournalFrame, read_frames
from xtrader.trading.model.inputs import Input

_KINDS: Final[dict[str, type[Any]]] = {
    "BookUpdate": BookUpdate,
    "Trade": Trade,
    "Coverage": Coverage,
    "Instrument": Instrument,
    "Funding": STREAMS["FUNDING"].record,
}
INPUT: Final = "input"


def as_row(one: Input) -> tuple[int, int, str, Any]:
    """An input as a row of the log."""
    name = "" if one.record is None else type(one.record).__name__
    if name and name not in _KINDS:
        raise UnknownKind(one.record)
    return one.ts, one.now, name, one.record


def taken(directory: Path) -> Iterator[Input]:
    """The inputs of a log, in order, as far as it is whole. Raises OSError."""
    head = msgspec.json.Decoder(tuple[str, msgspec.Raw])
    row = msgspec.json.Decoder(tuple[int, int, str, msgspec.Raw])
    decoders = {name: msgspec.json.Decoder(kind) for name, kind in _KINDS.items()}
    for item in read_frames(directory, 0):
        if not isinstance(item, JournalFrame):
            return
        kind, rest = head.decode(item.payload)
        if kind == INPUT:
            ts, now, name, record = row.decode(rest)
            yield Input(ts, now, decoders[name].decode(record) if name else None)
