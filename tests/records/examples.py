"""A record of any stream of the table, made from what the table says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage
from xtrader.model.streams import Stream

KEY = "OKX_SWAP@BTC-USDT-SWAP"
NOW = 1_764_806_400_000_000_000
INSTRUMENT = Instrument(exchange="OKX_SWAP", symbol="BTC-USDT-SWAP", alias="BTCUSDT", kind="perpetual", ts=NOW)


def example(stream: Stream, number: int = 0, *, nulls: bool = False) -> Any:
    """A record with a value in each column, or without any that need not be there."""
    if stream.record is BookUpdate:
        return BookUpdate(
            KEY, number == 0, [(1.5, 2.0)], [(2.5, 3.0)], 7 + number, 6 + number if number else None, None, NOW + number
        )
    if stream.record is Instrument:
        return INSTRUMENT
    values: dict[str, Any] = {"instrument": KEY}
    for column in stream.columns:
        kinds: dict[str, Callable[[], Any]] = {
            "time": lambda: NOW + number,
            "int": lambda: 3 + number,
            "float": lambda: 0.25 + number,
            "word": lambda column=column: column.words[0],
            "bool": lambda: True,
        }
        if column.source in stream.record.__struct_fields__:
            missing = nulls and not column.filled and column.kind != "word"
            values[column.source] = None if missing else kinds.get(column.kind, lambda: f"{number}")()
    if stream.record is Coverage:
        values |= {"stream": "L2", "state": "gap", "cause": "start"}
    return stream.record(**values)
