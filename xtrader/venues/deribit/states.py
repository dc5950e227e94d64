"""Deribit's notices of its own catalogue: the channel of states. One rule: a notice says whose changed, REST says how."""

from __future__ import annotations

import msgspec

from xtrader.venues.base import Relisted
from xtrader.venues.machine.wire import BAD

STATES = "instrument.state.any.any"
"""The channel: a message for each instrument that is made, opened, halted, settled or delivered."""


class InstrumentState(msgspec.Struct):
    instrument_name: str


class StateParams(msgspec.Struct):
    data: InstrumentState


class StateFrame(msgspec.Struct):
    params: StateParams


_decode = msgspec.json.Decoder(StateFrame).decode


def relisted(payload: bytes | bytearray | memoryview) -> tuple[Relisted, ...]:
    """What a message of the channel says; nothing if it cannot be read, for the catalogue is read again anyway."""
    try:
        return (Relisted((_decode(payload).params.data.instrument_name,)),)
    except BAD:
        return ()
