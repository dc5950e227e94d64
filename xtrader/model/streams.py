"""THE TABLE OF STREAMS: what each kind of record is made of, and what may be concluded from it.

The rule: whatever packs, stores, reads, merges, proves or shows a stream takes it from here. A new flat stream is its record type
and one entry in STREAMS, and what the venues that have it say. Only L2 has code of its own, for its levels.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from xtrader.model.instrument import Instrument
from xtrader.model.market import SIDES, BookUpdate, Coverage, Trade

KINDS: Final = ("time", "int", "float", "word", "label", "name", "text", "bool")


class Column(msgspec.Struct, frozen=True):
    """One column of a stream, in files, tables and answers. `kind` is one of KINDS: "time" is int nanoseconds UTC; "word" one of
    `words`, the last of which stands for all others; "label" a text of which there are few; "name" one that often repeats;
    "text" one that seldom does. It is `filled` if every row has a value. `field` is the record's where that has another name,
    `since` the version of the files that first had the column (see `SCHEMA_VERSION`)."""

    name: str
    kind: str
    filled: bool = False
    words: tuple[str, ...] = ()
    field: str = ""
    since: int = 1

    @property
    def source(self) -> str:
        """The record's field."""
        return self.field or self.name


class Stream(msgspec.Struct, frozen=True):
    """One kind of record. See the fields."""

    name: str
    """As users type it, and as directories are named."""
    frame: int
    """Number of its frames in the journal, for ever."""
    record: type[Any]
    """Its fields are the columns, in any order, and `instrument`, first; others stand at its end and are not stored."""
    columns: tuple[Column, ...]
    """In the order of the files. A version only adds some at the end."""
    table: str
    """Its name where sinks have tables."""
    partition: str
    """What a table of it is divided by: HOUR | DAY | MONTH."""
    event: str = "ts_event"
    """The column whose time is that of the row in such a table; `ts_recv` where that is null."""
    identity: tuple[str, ...] = ()
    """Columns by which two rows of an instrument, of different collectors or connections, are the same one."""
    is_hot: bool = True
    """Many rows: packed as columns. Those of the others, which are rare, are kept as objects, and read whole. Where a rare record
    has no `ts_recv`, the column is when it was written."""
    key: str = "instrument"
    """The record's attribute that names its instrument."""
    is_subscribed: bool = True
    """Recorded by subscription, and so covered by Coverage; the others say what there is."""
    is_own: bool = False
    """A row is true of the collector that made it, and no other."""
    merge: str = ""
    """How several connections become one: by the `chain` of messages, by running `numbers`, or the `latest` goes on."""
    proof: str = ""
    """What a recording proves by itself: that no message of a `chain` is missing; that no `number` is; or no more than `freshness`:
    that rows come within what is covered, and none is older than the one before."""
    cost: int = 1
    """How much work one subscription is beside others: a book has several times the messages and bytes of the trades."""
    method: str = ""
    """The question to a data set that answers with its rows."""

    @property
    def value(self) -> str:
        """The record's attribute that people look at first: its first number; empty where there is none."""
        return next((column.field or column.name for column in self.columns if column.kind == "float"), "")


class Funding(msgspec.Struct, frozen=True, gc=False):
    """What the holders of a perpetual pay each other. A positive `rate` is paid by the longs. It is as the venue gives it: in a
    `unit` of the position's value (fraction, percent) or of quote per contract (absolute), for each `period` (nanoseconds).
    `predicted` is the rate after it, in the same unit, None where the venue foretells none; `ts_next` is when this one is paid."""

    instrument: str
    rate: float
    unit: str
    period: int | None
    predicted: float | None
    ts_next: int | None
    ts_event: int | None
    ts_recv: int


_TS_EVENT: Final = Column("ts_event", "time")
_TS_RECV: Final = Column("ts_recv", "time", filled=True)

INSTRUMENTS: Final = Stream(
    name="INSTRUMENTS",
    frame=4,
    record=Instrument,
    columns=(
        _TS_RECV,
        Column("alias", "name", filled=True),
        Column("kind", "label", filled=True),
        Column("base", "name"),
        Column("quote", "name"),
        Column("settle", "name"),
        Column("tick_size", "float"),
        Column("lot_size", "float"),
        Column("min_size", "float"),
        Column("contract_size", "float"),
        Column("contract_unit", "name"),
        Column("is_inverse", "bool"),
        Column("expiry", "time"),
        Column("strike", "float"),
        Column("option_type", "name"),
        Column("status", "name"),
        Column("source", "label"),
        Column("ts", "time", filled=True),
    ),
    table="instruments",
    partition="MONTH",
    event="ts",
    is_hot=False,
    key="key",
    is_subscribed=False,
)
COVERAGE: Final = Stream(
    name="COVERAGE",
    frame=5,
    record=Coverage,
    columns=(
        _TS_RECV,
        Column("covers", "label", filled=True, field="stream"),
        Column("state", "label", filled=True),
        Column("cause", "label", filled=True),
        Column("ts_from", "time", filled=True),
        Column("ts_to", "time"),
        Column("detail", "text", filled=True),
        Column("ids_from", "int", since=2),
        Column("ids_to", "int", since=2),
        Column("depth", "int", since=2),
    ),
    table="coverage",
    partition="MONTH",
    event="ts_recv",
    is_hot=False,
    is_subscribed=False,
    is_own=True,
)
L2: Final = Stream(
    name="L2",
    frame=6,
    record=BookUpdate,
    columns=(
        _TS_EVENT,
        _TS_RECV,
        Column("sequence", "int"),
        Column("prev_sequence", "int"),
        Column("is_snapshot", "bool", filled=True),
        Column("is_last", "bool", filled=True),
        Column("side", "word", words=("bid", "ask")),
        Column("price", "float"),
        Column("size", "float"),
    ),
    table="book_updates",
    partition="HOUR",
    merge="chain",
    proof="chain",
    cost=3,
    method="book_updates",
)
TRADES: Final = Stream(
    name="TRADES",
    frame=7,
    record=Trade,
    columns=(
        _TS_EVENT,
        _TS_RECV,
        Column("trade_id", "text", filled=True),
        Column("side", "word", filled=True, words=SIDES),
        Column("price", "float", filled=True),
        Column("size", "float", filled=True),
    ),
    table="trades",
    partition="DAY",
    identity=("trade_id", "ts_event"),
    merge="numbers",
    proof="numbers",
    method="trades",
)
FUNDING: Final = Stream(
    name="FUNDING",
    frame=8,
    record=Funding,
    columns=(
        _TS_EVENT,
        _TS_RECV,
        Column("rate", "float", filled=True),
        Column("unit", "word", filled=True, words=("fraction", "percent", "absolute", "unknown")),
        Column("period", "int"),
        Column("predicted", "float"),
        Column("ts_next", "time"),
    ),
    table="funding",
    partition="MONTH",
    identity=("ts_event", "rate", "unit", "period", "predicted", "ts_next"),
    merge="latest",
    proof="freshness",
    method="funding",
)

STREAMS: Final[dict[str, Stream]] = {one.name: one for one in (INSTRUMENTS, COVERAGE, L2, TRADES, FUNDING)}
"""By name, in the order of their frames."""
FLAT: Final = tuple(one for one in STREAMS.values() if one is not L2)
"""All that are told by the table alone."""
SUBSCRIBED: Final = tuple(one.name for one in STREAMS.values() if one.is_subscribed)
RARE: Final = tuple(one.name for one in STREAMS.values() if not one.is_hot)
BY_FRAME: Final = {one.frame: one for one in STREAMS.values()}
BY_RECORD: Final = {one.record: one for one in STREAMS.values()}
