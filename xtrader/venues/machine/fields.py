"""What a venue's messages look like: the fields that are read, those that are always there, and those that are known and left out.

The rule: what is decoded is said by the wire types themselves; only what they do not say is written down beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from xtrader.venues.machine.wire import BAD


class KnownFields(NamedTuple):
    """The fields of one kind of message: the wire type that `reads` it, those that are `always` there though that type does
    without, and those that are `unread`; names with blanks between."""

    reads: type[msgspec.Struct]
    always: str = ""
    unread: str = ""


class FieldChanges(NamedTuple):
    """How a message differs from what is known: fields that are `new`, and fields that are `missing`."""

    new: tuple[str, ...]
    missing: tuple[str, ...]


class VenueFields(NamedTuple):
    """All of a venue. `rows` gives the parts of a message with the name of their kind, `listed` the rows of a catalogue's body,
    `limits` how what the bodies of a catalogue say of limits differs from what is obeyed, given (weight, seconds)."""

    kinds: Mapping[str, KnownFields]
    rows: Callable[[Mapping[str, Any]], Iterator[tuple[str, Any]]]
    listed: Callable[[Mapping[str, Any]], Sequence[Any]]
    limits: Callable[[Mapping[str, Any], int, float], Iterator[str]] = lambda body, weight, seconds: iter(())


CATALOGUE = "catalogue"
"""The kind of a catalogue's rows."""


def changes(known: KnownFields, row: Mapping[str, Any]) -> FieldChanges:
    """How a row differs from what is known of its kind."""
    fields = msgspec.structs.fields(known.reads)
    tag = known.reads.__struct_config__.tag_field
    read = {field.encode_name for field in fields} | ({tag} if tag else set())
    required = {field.encode_name for field in fields if field.required} | set(known.always.split())
    new = tuple(sorted(name for name in row if name not in read and name not in known.unread.split() and name not in required))
    return FieldChanges(new, tuple(sorted(required - set(row))))


def message_rows(fields: VenueFields, payload: bytes) -> list[tuple[str, Mapping[str, Any]]]:
    """The parts of a message that are of a kind that is known; none for what is no JSON object."""
    try:
        found = msgspec.json.decode(payload)
    except BAD:
        return []
    if not isinstance(found, dict):
        return []
    return [(kind, row) for kind, row in fields.rows(found) if isinstance(row, dict)]


def catalogue_rows(fields: VenueFields, body: bytes) -> list[Mapping[str, Any]]:
    """The rows of a catalogue's body."""
    try:
        found = msgspec.json.decode(body)
    except BAD:
        return []
    return [row for row in fields.listed(found) if isinstance(row, dict)] if isinstance(found, dict) else []
