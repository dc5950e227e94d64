"""A record of a kind that a part of the program does not know is an error there, never lost in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.feed.clocks import HandClock
from xtrader.errors import UnknownKind
from xtrader.feed.feed import Feed
from xtrader.feed.redundant import Redundant
from xtrader.feed.rest import Rest
from xtrader.model.subscription import Subscription
from xtrader.pipeline.batch import Batcher
from xtrader.sinks import memory
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.sinks.questdb import table_rows

KEY = "OKX_SWAP@BTC-USDT-SWAP"


class Rate(msgspec.Struct, frozen=True):
    """A record of a stream that nobody knows yet."""

    instrument: str = KEY
    stream: str = "RATE"
    ts_recv: int = 1


def feed(record: Any, _: Path) -> None:
    Feed({}, [], rest=Rest(HandClock()), clock=HandClock(), put=lambda _: None)._record(record)


def redundant(record: Any, _: Path) -> None:
    Redundant([], [lambda _: None, lambda _: None], lambda _: None).take(0, record)


def redundant_stream(record: Any, _: Path) -> None:
    Redundant([Subscription(record.stream, "OKX_SWAP", "BTC-USDT-SWAP")], [lambda _: None, lambda _: None], lambda _: None)


def batcher(record: Any, _: Path) -> None:
    Batcher(lambda: None).add(record)


def records_of_a_batch(record: Any, _: Path) -> None:
    list(memory.records(record))


def parquet(record: Any, place: Path) -> None:
    sink = ParquetSink(place, "c1")
    sink.open(0)
    sink.write(record)


def tables(record: Any, _: Path) -> None:
    table_rows.table(record)


@pytest.mark.parametrize(
    "takes", [feed, redundant, redundant_stream, batcher, records_of_a_batch, parquet, tables], ids=lambda one: one.__name__
)
def test_what_nobody_knows_is_an_error_that_names_it(takes: Callable[[Any, Path], None], tmp_path: Path) -> None:
    with pytest.raises(UnknownKind, match=r"nothing here takes (Rate|RATE)"):
        takes(Rate(), tmp_path)
