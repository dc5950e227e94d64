"""Tiny parsers that several venues share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from xtrader.model.market import Level

T = TypeVar("T")

BAD = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding a text of unknown origin can raise."""


def ns_from_ms(ms: int) -> int:
    """Milliseconds since the epoch -> nanoseconds."""
    return ms * 1_000_000


def optional_float(text: str | float | None) -> float | None:
    """A number that may be missing: None for None, the empty string and what is no number."""
    if text is None or text == "":
        return None
    try:
        return float(text)
    except ValueError:
        return None


def sorted_levels(levels: dict[float, float], *, descending: bool) -> list[Level]:
    """(price, size) by price."""
    return sorted(levels.items(), reverse=descending)


def read_rows(rows: Iterable[msgspec.Raw], read: Callable[[msgspec.Raw], T], name: str) -> tuple[list[T], list[str]]:
    """What `read` makes of each row of a catalogue, and a few words about each row that it cannot read (it raises one of BAD or
    ValueError). `name` is the field that names a row."""
    found: list[T] = []
    unread: list[str] = []
    for row in rows:
        try:
            found.append(read(row))
        except (*BAD, ValueError) as error:
            unread.append(f"{_name(row, name)}: {error}"[:300])
    return found, unread


def _name(row: msgspec.Raw, field: str) -> str:
    """What a row that cannot be read calls itself; its first characters if that cannot be read either."""
    try:
        named: dict[str, Any] = msgspec.json.decode(row, type=dict[str, Any])
    except BAD:
        named = {}
    return str(named.get(field, ""))[:80] or bytes(row)[:80].decode(errors="replace")
