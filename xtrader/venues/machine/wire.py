"""Tiny parsers that several venues share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import nan
from typing import Annotated, Any

import msgspec

from xtrader.model.instrument import Instrument, believable
from xtrader.model.market import Level
from xtrader.venues.base import Listed

Number = Annotated[float, msgspec.Meta(ge=0, le=1e300)]
"""A price or size: finite and not negative. The upper bound is there because `ge` alone lets infinity pass."""
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63) + 1, le=2**63 - 1)]
"""A number that fits 64 bits, but the smallest one: columns have that for what is missing."""
Levels = Annotated[list[tuple[Number, Number]], msgspec.Meta(max_length=50_000)]
"""[price, size] each."""
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


def heads(payload: bytes | bytearray | memoryview, *names: str) -> list[str]:
    """The texts of some fields of a JSON object that could not be decoded as what it should be; empty where there is no text."""
    try:
        found: dict[str, msgspec.Raw] = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
        raw = [bytes(found.get(name, b"")) for name in names]
        return [msgspec.json.decode(one, type=str) if one[:1] == b'"' else "" for one in raw]
    except BAD:
        return ["" for _ in names]


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
