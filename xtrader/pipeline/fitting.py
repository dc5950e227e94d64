"""What fits into the journal: nothing is written that a sink or a reader of its files cannot take.

The rule: a message that does not fit is refused whole; of an instrument, what does not fit is unknown.
"""

from __future__ import annotations

import math
from typing import Any, Final
from urllib.parse import quote

import msgspec
import structlog

from xtrader.errors import ProtocolError
from xtrader.model.instrument import Instrument
from xtrader.records.packing import MAX_TEXT

_MAX_NAME: Final = 240
"""Characters of an exchange or a symbol as the name of a directory, percent-encoded: a file system takes 255 in all."""
_ALWAYS_FITS: Final = _MAX_NAME // 3
_LEAST: Final = -(2**63)

log = structlog.get_logger("xtrader.pipeline")


def misfit(key: str, what: object) -> ProtocolError:
    """The error of a record of that instrument."""
    exchange, _, symbol = key.partition("@")
    return ProtocolError(exchange, f"a number of {symbol} does not fit: {what}")


def require_key(key: str, index: int) -> int:
    """`index`. Raises ProtocolError if no directory can have the names in the key of an instrument."""
    exchange, _, symbol = key.partition("@")
    if exchange and symbol and key.isascii() and len(key) <= _ALWAYS_FITS:
        return index
    if not exchange or not symbol or not _is_text(key) or max(len(quote(name, safe="")) for name in (exchange, symbol)) > _MAX_NAME:
        raise ProtocolError(exchange[:_MAX_NAME], f"no file can be named after the instrument {key[:_MAX_NAME]!r}")
    return index


def require_text(key: str, text: str) -> None:
    """Raises ProtocolError if a text of a record of that instrument is too long, or is none."""
    if len(text) > MAX_TEXT or not _is_text(text):
        exchange, _, symbol = key.partition("@")
        raise ProtocolError(exchange, f"{text[:40]!r}, of {len(text)} characters, is no id or word of a record of {symbol}")


def require_row(row: Any) -> Any:
    """A record of a rare stream, texts without what is no text. Raises ProtocolError if a number does not fit."""
    require_key(row.instrument, 0)
    unlike: dict[str, str] = {}
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if isinstance(value, str):
            if name != "instrument" and not _is_text(value):
                unlike[name] = _text(value)
        elif (isinstance(value, int) and not _is_int64(value)) or (isinstance(value, float) and not math.isfinite(value)):
            raise misfit(row.instrument, f"{name} is {value}")
    return msgspec.structs.replace(row, **unlike) if unlike else row


def fitted(instrument: Instrument) -> Instrument:
    """What of it fits: numbers that do not are unknown, texts lose what is no text. Raises ProtocolError for its name."""
    require_key(instrument.key, 0)
    unlike: dict[str, Any] = {}
    for name in instrument.__struct_fields__:
        value = getattr(instrument, name)
        if isinstance(value, str):
            if not _is_text(value):
                unlike[name] = _text(value)
        elif isinstance(value, float):
            if not math.isfinite(value):
                unlike[name] = None
        elif value is not None and not _is_int64(value):
            unlike[name] = 0 if name == "ts" else None
    if not unlike:
        return instrument
    log.warning("instrument_does_not_fit", instrument=instrument.key, unknown=sorted(unlike))
    found: Instrument = msgspec.structs.replace(instrument, **unlike)
    return found


def _is_int64(value: int) -> bool:
    # The least of all stands for None.
    return _LEAST < value < 2**63


def _is_text(text: str) -> bool:
    """False for what no UTF-8 can hold: halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()
