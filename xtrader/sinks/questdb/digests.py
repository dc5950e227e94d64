"""Digests that tell events apart whose times and instruments are equal: 63 bits of all that the venue said, for a batch at once.

The rule: a digest is a function of its event alone, whatever else is in the batch, so it is the same in every process, for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from xtrader.records.batches import FlatBatch, Ints, Updates

Words: TypeAlias = npt.NDArray[np.uint64]

_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_WORD: Final = 8


def digest(*parts: bytes) -> int:
    """Of bytes, for the kinds that are few."""
    return int.from_bytes(blake2b(b"".join(parts), digest_size=8).digest(), "little") >> 1


def flat_digests(batch: FlatBatch) -> Ints:
    """Of instrument and all that the venue said, which is each column but the time of receipt; shape (n,)."""
    columns = [column for name, column in batch.columns.items() if name != "ts_recv"]
    words = _heads(batch.keys, batch.instrument, [column for column in columns if not isinstance(column, list)])
    for place, texts in enumerate(column for column in columns if isinstance(column, list)):
        words += _texts(texts) * (2 * np.uint64(place) + np.uint64(1))
    return _finished(words)


def update_digests(batch: Updates) -> Ints:
    """Of instrument, time, numbers, snapshot or not, and every level in its place; shape (n,)."""
    columns = (batch.ts_event, batch.sequence, batch.prev_sequence, batch.is_snapshot, batch.bids, batch.counts)
    ends = np.cumsum(batch.counts, dtype=np.int64)
    starts = ends - batch.counts
    sums = np.zeros(len(batch.levels) + 1, np.uint64)
    np.cumsum(_levels(batch, starts), out=sums[1:])
    return _finished(_heads(batch.keys, batch.instrument, columns) + sums[ends] - sums[starts])


def _levels(batch: Updates, starts: Ints) -> Words:
    """A number per level: its price, size and place in the message, mixed."""
    words = np.ascontiguousarray(batch.levels).view(np.uint64)
    place = np.arange(len(words), dtype=np.uint64)
    place -= np.repeat(starts.astype(np.uint64), batch.counts)
    place *= _STEP
    place += words[:, 0]
    place ^= place >> np.uint64(30)
    place *= _FIRST
    place ^= words[:, 1]
    return _stirred(place)


def _texts(texts: Sequence[str]) -> Words:
    """A number per text: its length and eight bytes at a time; the zeros up to the longest text of the batch add nothing."""
    encoded = [text.encode() for text in texts]
    found = _mixed(np.fromiter(map(len, encoded), np.uint64, len(encoded)))
    width = -(-max(map(len, encoded), default=0) // _WORD) * _WORD
    if width:
        words = np.array(encoded, f"S{width}").view(np.uint64).reshape(len(encoded), -1)
        places = _STEP * np.arange(1, words.shape[1] + 1, dtype=np.uint64)
        for number, place in enumerate(places):
            found += _mixed(words[:, number] + place) - _mixed(places[number : number + 1])
    return found


def _heads(keys: Sequence[str], instrument: npt.NDArray[np.int32], columns: Sequence[npt.NDArray[np.generic]]) -> Words:
    found = np.array([digest(key.encode()) for key in keys], np.uint64)[instrument]
    for column in columns:
        words = column.view(np.uint64) if column.dtype.itemsize == _WORD else column.astype(np.uint64)
        found = _mixed(found ^ words)
    return found


def _mixed(words: Words) -> Words:
    """The finisher of splitmix64: each bit of the result depends on each bit of the word."""
    return _stirred((words ^ (words >> np.uint64(30))) * _FIRST)


def _stirred(words: Words) -> Words:
    """Its second half, in place."""
    words ^= words >> np.uint64(27)
    words *= _SECOND
    words ^= words >> np.uint64(31)
    return words


def _finished(words: Words) -> Ints:
    found: Ints = (_mixed(words) >> np.uint64(1)).astype(np.int64)
    return found
