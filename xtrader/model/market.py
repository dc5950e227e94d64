"""The records that flow through xtrader: Trade, BookUpdate, Coverage (and Instrument, see instrument.py).

`instrument` is always the key `EXCHANGE@SYMBOL` (`OKX_SWAP@BTC-USDT-SWAP`). Times are int nanoseconds UTC. `ts_event` is the
venue's own time and None where the venue gives none; `ts_recv` is taken when the bytes leave the socket. Prices and sizes are
float64, correctly rounded from the venue's text; sizes are in the venue's unit (the instrument gives the contract size).
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec

from xtrader.model.instrument import Instrument

Level: TypeAlias = tuple[float, float]
"""(price, size); size is absolute, 0 removes the level."""

SIDES = ("buy", "sell", "unknown")
STATES = ("syncing", "live", "gap")
CAUSES = (
    "venue_gap",
    "crossed",
    "disconnect",
    "silent",
    "overflow",
    "malformed",
    "delisted",
    "filled",
    "clock_step",
    "shutdown",
    "start",
    "storage",
    "operator",
    "unsubscribed",
)
"""Why an interval began. `operator`: somebody told the running recorder to begin anew; `unsubscribed`: the subscription was taken
out while the recorder ran."""


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One print. `side` is the aggressor (taker): buy, sell or unknown.

    `sequence` is the venue's own running number where trades have one (Binance ids, OKX tradeId, Deribit trade_seq), and `first`
    the first number of a print that stands for several, up to `sequence`; for detecting loss and joining connections, not stored.
    """

    instrument: str
    trade_id: str
    side: str
    price: float
    size: float
    ts_event: int | None
    ts_recv: int
    sequence: int | None = None
    first: int | None = None


class BookUpdate(msgspec.Struct, frozen=True, gc=False):
    """One L2 message: a snapshot replaces the book, a delta sets absolute sizes (0 removes).

    `sequence` names the state after this message, `prev_sequence` the state it follows (None on a snapshot, and where the
    venue gives no chain). Levels stay in the venue's order.
    """

    instrument: str
    is_snapshot: bool
    bids: list[Level]
    asks: list[Level]
    sequence: int | None
    prev_sequence: int | None
    ts_event: int | None
    ts_recv: int


UNASKED = 330
"""Seconds for which a live stream can bring nothing at the most before the venue was asked whether it is quiet or dead."""


class Coverage(msgspec.Struct, frozen=True, gc=False):
    """What is known of one interval of one subscription: syncing, live or gap.

    Written when the interval opens (`ts_to` None) and again when it closes; an interval that is known only once it is over
    is written once, closed. `stream` is "L2" or "TRADES"; `cause` is one of CAUSES: why this interval began.

    `ids_from` to `ids_to` are the trade numbers that are missing in a gap, both included, where the venue numbers its trades.
    When some of them come later after all, a closed row `live` of cause `filled` has the times of that gap and the numbers that
    came. `depth` is how many levels a side the snapshot that began a live book was asked for, None where the venue gives all.
    """

    instrument: str
    stream: str
    state: str
    cause: str
    ts_from: int
    ts_to: int | None
    detail: str = ""
    ids_from: int | None = None
    ids_to: int | None = None
    depth: int | None = None


def fold_open(opened: dict[tuple[str, str], Coverage], row: Coverage) -> None:
    """Take the next Coverage row into `opened`: (instrument, stream) -> the row of its interval that has not ended. What fills a
    gap concerns an earlier interval, and ends none."""
    key = row.instrument, row.stream
    current = opened.get(key)
    if row.ts_to is None:
        opened[key] = row
    elif current is not None and row.cause != "filled" and (current.state, current.ts_from) == (row.state, row.ts_from):
        del opened[key]


class Flat(Protocol):
    """What any record of a flat stream has (see model/streams.py)."""

    @property
    def instrument(self) -> str: ...
    @property
    def ts_event(self) -> int | None: ...
    @property
    def ts_recv(self) -> int: ...


MarketRecord: TypeAlias = Trade | BookUpdate | Flat
"""What comes of a subscription."""
Record: TypeAlias = MarketRecord | Coverage | Instrument
