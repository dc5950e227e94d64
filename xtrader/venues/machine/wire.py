"""Tiny parsers that several venues share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import nan
from typing import Any

import msgspec

from xtrader.model.instrument import Instrument, believable
from xtrader.model.market import Level
from xtrader.venues.base import Listed

BAD = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding a text of unknown origin can raise."""
_NUMBER = re.compile(rb"-?[0-9.]+(?:[eE][+-]?[0-9]+)?")
_MILLISECONDS = re.compile(rb"[0-9]{1,19}")


def number(raw: msgspec.Raw) -> float | None:
    """A number, or its text, as it stands in a message: None for null, the empty text and what is not there, NaN for what is no
    number. It may be of any size; see `believable`."""
    text = bytes(raw).strip(b'"')
    if text in (b"", b"null"):
        return None
    try:
        return float(text) if _NUMBER.fullmatch(text) else nan
    except ValueError:
        return nan


def ns(raw: msgspec.Raw) -> int | None:
    """The same for a time in milliseconds since the epoch: int nanoseconds, None also for 0; -1 for what is no such time."""
    text = bytes(raw).strip(b'"')
    if text in (b"", b"null"):
        return None
    return int(text) * 1_000_000 or None if _MILLISECONDS.fullmatch(text) else -1


def sorted_levels(levels: dict[float, float], *, descending: bool) -> list[Level]:
    """(price, size) by price."""
    return sorted(levels.items(), reverse=descending)


def listed(rows: Iterable[msgspec.Raw], read: Callable[[msgspec.Raw], Instrument | None], name: str) -> Listed:
    """What `read` makes of each row of a catalogue, each instrument once; it raises one of BAD or ValueError for a row that it
    cannot read, and gives None for one of another exchange token. `name` is the field that names a row."""
    found: dict[str, Instrument] = {}
    unread: list[str] = []
    doubtful: list[str] = []
    for row in rows:
        try:
            instrument = read(row)
        except (*BAD, ValueError) as error:
            unread.append(f"{_name(row, name)}: {error}"[:300])
            continue
        if instrument is not None:
            found[instrument.symbol], odd = believable(instrument)
            doubtful += odd
    return Listed(list(found.values()), unread, doubtful)


def _name(row: msgspec.Raw, field: str) -> str:
    """What a row that cannot be read calls itself; its first characters if that cannot be read either."""
    try:
        named: dict[str, Any] = msgspec.json.decode(row, type=dict[str, Any])
    except BAD:
        named = {}
    return str(named.get(field, ""))[:80] or bytes(row)[:80].decode(errors="replace")
