"""Damage: what a fault makes of one message, as pure functions from the message's text to the bytes that go out instead.

Their one rule: None means that this message does not have what the fault needs, and the next one is tried.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from struct import pack
from typing import Any, NamedTuple, TypeAlias

from xtrader.emulator.client import text_frame

BIG = 2 * 2**20


class Words(NamedTuple):
    """How a venue's messages name what is damaged: bids and asks, the aggressor of a trade, the state that a book message leads
    to, and what says of what kind a message is."""

    sides: tuple[tuple[str, str], ...] = (("b", "a"), ("bids", "asks"))
    aggressors: tuple[str, ...] = ("m", "side", "direction")
    numbers: tuple[str, ...] = ("u", "seqId", "change_id")
    names: tuple[str, ...] = ("e", "channel", "method")


USUAL = Words()
Damage: TypeAlias = Callable[[str, Words], list[bytes] | None]


def lost(text: str, words: Words = USUAL) -> list[bytes]:
    """The message is never sent."""
    return []


def duplicate(text: str, words: Words = USUAL) -> list[bytes]:
    """The message is sent twice."""
    return [text_frame(text.encode())] * 2


def malformed(text: str, words: Words = USUAL) -> list[bytes]:
    """The message ends in the middle, the frame is whole."""
    return [text_frame(text[: len(text) // 2].encode())]


def bad_utf8(text: str, words: Words = USUAL) -> list[bytes]:
    """The message is no UTF-8."""
    payload = text.encode()
    return [text_frame(payload[:-2] + b"\xff\xfe" + payload[-2:])]


def truncated(text: str, words: Words = USUAL) -> list[bytes]:
    """Half a frame; the connection ends there."""
    frame = text_frame(text.encode())
    return [frame[: len(frame) // 2]]


def huge(text: str, words: Words = USUAL) -> list[bytes]:
    """The same message with two megabytes of padding in a field that nobody knows."""
    return [text_frame(f'{text[:-1]},"padding":"{"x" * BIG}"}}'.encode())]


def fragmented(text: str, words: Words = USUAL) -> list[bytes]:
    """The message in three frames with a ping between them."""
    payload = text.encode()
    third = len(payload) // 3
    first, middle, last = payload[:third], payload[third : 2 * third], payload[2 * third :]
    return [_frame(0x01, first), _frame(0x00, middle), _frame(0x89, b"?"), _frame(0x80, last)]


def compressed(text: str, words: Words = USUAL) -> list[bytes]:
    """A frame that claims to be compressed although no compression was agreed on."""
    return [_frame(0x81 | 0x40, text.encode())]


def unknown_field(text: str, words: Words = USUAL) -> list[bytes]:
    """Fields that nobody knows, in every object."""
    message = json.loads(text)
    for found in list(_objects(message)):
        found["zz_new"] = {"list": [1, None, "x"]}
    return [text_frame(_text(message))]


def unknown_event(text: str, words: Words = USUAL) -> list[bytes]:
    """A message of a kind that nobody knows, then the message itself."""
    message = json.loads(text)
    for found in list(_objects(message)):
        for name in words.names:
            if name in found:
                found[name] = "mysteryUpdate"
        if "stream" in found:
            found["stream"] = "zzz@mystery"
    return [text_frame(_text(message)), text_frame(text.encode())]


def unknown_enum(text: str, words: Words = USUAL) -> list[bytes] | None:
    """An aggressor that is neither buyer nor seller."""
    message = json.loads(text)
    found = [(inner, name) for inner in _objects(message) for name in words.aggressors if name in inner]
    for inner, name in found:
        inner[name] = "sideways"
    return [text_frame(_text(message))] if found else None


def crossed(text: str, words: Words = USUAL) -> list[bytes] | None:
    """One more bid, at twice the best price that the message has."""
    message = json.loads(text)
    for inner, bids, asks in _books(message, words):
        levels = inner[bids] + inner[asks]
        if levels:
            inner[bids] = [*inner[bids], _level(levels[0], 2 * max(_price(level) for level in levels))]
            return [text_frame(_text(message))]
    return None


def undeleted(text: str, words: Words = USUAL) -> list[bytes] | None:
    """The same message without its removals of levels."""
    message = json.loads(text)
    removed = 0
    for inner, *sides in _books(message, words):
        for side in sides:
            kept = [level for level in inner[side] if _size(level)]
            removed += len(inner[side]) - len(kept)
            inner[side] = kept
    return [text_frame(_text(message))] if removed else None


def odd(text: str, words: Words = USUAL) -> list[bytes] | None:
    """The message names its stream and says nothing: an empty list stands for its data."""
    message = json.loads(text)
    for found in list(_objects(message)):
        if "data" in found:
            found["data"] = []
            return [text_frame(_text(message))]
    kept = {name: message[name] for name in ("e", "s") if name in message}
    return [text_frame(_text(kept))] if len(kept) == 2 else None


def odd_ids(text: str, words: Words = USUAL) -> list[bytes] | None:
    """A book message that leads to an impossible state."""
    message = json.loads(text)
    found = [(inner, name) for inner in _objects(message) for name in words.numbers if name in inner]
    for inner, name in found:
        inner[name] = -1
    return [text_frame(_text(message))] if found else None


FRAMES: dict[str, Damage] = {
    made.__name__: made
    for made in (
        lost,
        duplicate,
        malformed,
        bad_utf8,
        truncated,
        huge,
        fragmented,
        compressed,
        unknown_field,
        unknown_event,
        unknown_enum,
        crossed,
        undeleted,
        odd,
        odd_ids,
    )
}
FRAMES["crossings"] = crossed


def _frame(head: int, payload: bytes) -> bytes:
    """A frame whose first byte is `head`."""
    whole = text_frame(payload)
    return pack("!B", head) + whole[1:]


def _text(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _books(message: Any, words: Words) -> Iterator[tuple[dict[str, Any], str, str]]:
    for inner in _objects(message):
        for bids, asks in words.sides:
            if isinstance(inner.get(bids), list) and isinstance(inner.get(asks), list):
                yield inner, bids, asks


def _numbers(level: list[Any]) -> int:
    """Where price and size are in a level: at the front, or behind the name of what was done."""
    return 1 if level[0] in ("new", "change", "delete") else 0


def _price(level: list[Any]) -> float:
    return float(level[_numbers(level)])


def _size(level: list[Any]) -> float:
    return float(level[_numbers(level) + 1])


def _level(like: list[Any], price: float) -> list[Any]:
    """A level of size 1 written like `like`."""
    if _numbers(like):
        return ["new", price, 1.0]
    return [f"{price:f}", "1", *(["0", "1"] if len(like) > 2 else [])]
