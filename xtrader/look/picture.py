"""What there is to see of one instrument at one instant.

The rule: a picture never changes; it says itself whether its book is the market's present one, and if not, why.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from xtrader.model import analytics
from xtrader.model.analytics import Sides
from xtrader.model.instrument import Instrument
from xtrader.model.market import Trade

IMBALANCE_LEVELS = 10
DEPTH_BPS = 10.0


class StreamState(msgspec.Struct, frozen=True):
    """What is known of a stream now: `state` is live, syncing or gap (see Coverage), "stalled" if the recorder has not written
    for a while, "stopped" if it is not running, "recorded" for a book out of a recording, "absent" if it is not subscribed.
    `since` is int nanoseconds UTC, 0 if not known. `depth` is how many levels a side the snapshot behind the book was asked for,
    None where the venue gives all."""

    state: str
    cause: str = ""
    since: int = 0
    detail: str = ""
    depth: int | None = None

    @property
    def live(self) -> bool:
        return self.state == "live"


class Picture(msgspec.Struct, frozen=True):
    """One instrument at `ts` (int nanoseconds UTC). `book` is None where none is known; its last message has `sequence`,
    `ts_event` and `ts_recv`. `trades` are the newest ones, newest first."""

    key: str
    ts: int
    standing: StreamState
    instrument: Instrument | None = None
    book: Sides | None = None
    sequence: int | None = None
    ts_event: int | None = None
    ts_recv: int | None = None
    trades: Sequence[Trade] = ()


class Figures(msgspec.Struct, frozen=True):
    """The analytics of a book; None for what an empty side cannot answer. `imbalance` is -100 to 100 over the best
    IMBALANCE_LEVELS levels, depths are sizes within DEPTH_BPS of the mid, with their worth in quote currency where the
    instrument is known."""

    mid: float | None
    micro_price: float | None
    spread: float | None
    spread_bps: float | None
    imbalance: float | None
    bid_depth: float | None
    ask_depth: float | None
    bid_depth_quote: float | None
    ask_depth_quote: float | None


def figures(book: Sides, instrument: Instrument | None) -> Figures:
    """All figures of a book."""
    middle = analytics.mid(book)
    share = analytics.imbalance(book, IMBALANCE_LEVELS)
    bids, asks = analytics.depth_within(book, DEPTH_BPS) or (None, None)
    return Figures(
        mid=middle,
        micro_price=analytics.micro_price(book),
        spread=analytics.spread(book),
        spread_bps=analytics.spread_bps(book),
        imbalance=None if share is None else 100 * share,
        bid_depth=bids,
        ask_depth=asks,
        bid_depth_quote=_worth(instrument, middle, bids),
        ask_depth_quote=_worth(instrument, middle, asks),
    )


def _worth(instrument: Instrument | None, price: float | None, size: float | None) -> float | None:
    if instrument is None or price is None or size is None:
        return None
    return analytics.quote_value(instrument, price, size)
