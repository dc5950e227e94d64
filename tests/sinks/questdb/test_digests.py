"""Digests: of the event alone, different for events that differ in anything, the same for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given

from tests.pipeline.numbered import DAY_START, KEYS
from tests.pipeline.records import records
from tests.sinks.contract import batches
from xtrader.model.market import BookUpdate, Record, Trade
from xtrader.records.batches import FlatBatch, Updates
from xtrader.sinks.questdb.digests import flat_digests, update_digests

TRADE = Trade(KEYS[0], "12345678", "buy", 1.5, 2.5, DAY_START, DAY_START + 1)
UPDATE = BookUpdate(KEYS[0], False, [(1.5, 2.5), (1.25, 0.0)], [(1.75, 2.5), (2.0, 4.0)], 7, 6, DAY_START, DAY_START + 1)


def digests(rows: list[Record]) -> list[int]:
    """Of trades and book messages, the trades first."""
    found: list[int] = []
    for batch in sorted(batches(rows), key=lambda batch: isinstance(batch, Updates)):
        if isinstance(batch, FlatBatch):
            found += flat_digests(batch).tolist()
        elif isinstance(batch, Updates):
            found += update_digests(batch).tolist()
    return found


@given(rows=records)
def test_a_digest_does_not_depend_on_what_else_is_in_the_batch(rows: list[Record]) -> None:
    events = [row for row in rows if isinstance(row, Trade | BookUpdate)]
    assert sorted(digests(list(events))) == sorted(number for row in events for number in digests([row]))


def test_events_that_differ_in_one_thing_have_different_digests() -> None:
    def changed(event: Any, **values: Any) -> Record:
        fields = {name: getattr(event, name) for name in event.__struct_fields__} | values
        made: Record = type(event)(**fields)
        return made

    changes: list[tuple[Any, dict[str, Any]]] = [
        (TRADE, {}),
        (TRADE, {"instrument": KEYS[1]}),
        *((TRADE, {"trade_id": text}) for text in ("", "1", "12345679", "2345678", "123456789", "12345678\0", "é", "x" * 40)),
        (TRADE, {"side": "sell"}),
        (TRADE, {"price": np.nextafter(1.5, 2)}),
        (TRADE, {"price": 2.5, "size": 1.5}),
        (TRADE, {"ts_event": None}),
        (UPDATE, {}),
        (UPDATE, {"instrument": KEYS[1]}),
        (UPDATE, {"is_snapshot": True}),
        (UPDATE, {"bids": UPDATE.bids[::-1]}),
        (UPDATE, {"bids": UPDATE.asks, "asks": UPDATE.bids}),
        (UPDATE, {"bids": [*UPDATE.bids, UPDATE.asks[0]], "asks": UPDATE.asks[1:]}),
        (UPDATE, {"bids": [(2.5, 1.5), (1.25, 0.0)]}),
        (UPDATE, {"asks": [(1.75, 4.0), (2.0, 2.5)]}),
        (UPDATE, {"bids": [*UPDATE.bids, (0.0, 0.0)]}),
        (UPDATE, {"bids": [], "asks": []}),
        (UPDATE, {"sequence": 6, "prev_sequence": 7}),
        (UPDATE, {"sequence": None}),
        (UPDATE, {"ts_event": DAY_START + 1}),
    ]
    found = digests([changed(event, **values) for event, values in changes])
    assert len(set(found)) == len(changes)
    assert all(number >= 0 for number in found)


def test_many_events_that_are_nearly_the_same_have_different_digests() -> None:
    ticks = [
        BookUpdate(KEYS[0], False, [(1 + a / 2, b / 2)], [(9 + b / 2, a / 2)], 1, 0, 1, 1) for a in range(200) for b in range(200)
    ]
    ids = [Trade(KEYS[0], str(number), "buy", 1.0, 1.0, 1, 1) for number in range(40_000)]
    found = digests([*ticks, *ids])
    assert len(set(found)) == len(found) == 80_000


def test_digests_stay_what_they_were() -> None:
    assert digests([TRADE, UPDATE]) == [8406963447029774582, 3906769371290151327]
