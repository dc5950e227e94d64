"""What the gate looks at: everything that is known when an intent is decided.

The rule: what is not known is None or not there, and whoever asks for it is refused. The engine keeps it; the gate changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from xtrader.trading.books.instrument_book import InstrumentBook
from xtrader.trading.model.grid import Grid
from xtrader.trading.model.order_state import WorkingOrder
from xtrader.trading.risk.limit_table import RiskLimits

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
CATALOGUE_AGE: Final = 60 * MINUTE
"""How old what a venue said of an instrument may be."""
SAME_WITHIN: Final = SECOND // 4
"""Nanoseconds in which the same intent is a mistake."""
TRADING: Final = frozenset(("", "trading", "live", "open", "online", "1", "active", "true"))
"""Words, in lower case, by which venues say that an instrument is traded. An empty one is a venue that gives none."""
MODES: Final = ("replay", "paper")
PHASES: Final = ("paper",)


class Tradeable:
    """What is known of one instrument: its grid, whether it is traded, until when, and when that was known (int ns). `max_size`
    is the venue's in units of size, `band` the (lowest, highest) price that it takes, `min_notional` in quote; None where the
    venue sets none."""

    __slots__ = ("band", "expiry", "grid", "known", "max_size", "min_notional", "status", "venue")

    def __init__(self, grid: Grid, venue: str, status: str = "", known: int | None = None, expiry: int | None = None) -> None:
        self.grid = grid
        self.venue = venue
        self.status = status
        self.known = known
        self.expiry = expiry
        self.max_size: Decimal | None = None
        self.band: tuple[Decimal, Decimal] | None = None
        self.min_notional: Decimal | None = None


class AccountState:
    """What the account has: free amounts by asset, the taker's fee as a share, and its worth in USD now, at the beginning of the
    UTC day, at the day's best and at its best ever. None where a mark is missing."""

    __slots__ = ("capital_usd", "day_peak_usd", "day_start_usd", "equity_usd", "fee_rate", "free", "peak_usd")

    def __init__(self, capital_usd: Decimal, fee_rate: Decimal = Decimal("0.001")) -> None:
        self.free: dict[str, Decimal] = {}
        self.fee_rate = fee_rate
        self.capital_usd = capital_usd
        self.equity_usd: Decimal | None = capital_usd
        self.day_start_usd = self.day_peak_usd = self.peak_usd = capital_usd


class OrderRate:
    """How many orders a second and a minute: a bucket of `burst` that fills with `per_second`, and the minute's count. Cancels are
    never held back; after more than `cancels` of them in a minute there are no new orders."""

    def __init__(self, per_second: Decimal, burst: Decimal, per_minute: Decimal, cancels: Decimal) -> None:
        self._per_second, self._burst = float(per_second), float(burst)
        self.per_minute = int(per_minute)
        self._tokens = self._burst
        self._since = 0
        self._minute: deque[int] = deque()
        self._cancels: deque[int] = deque(maxlen=int(cancels) + 1)

    def tokens(self, now: int) -> float:
        """How many orders may come at once, at most so many as the minute still has."""
        while self._minute and self._minute[0] <= now - MINUTE:
            self._minute.popleft()
        if len(self._cancels) == self._cancels.maxlen and self._cancels[0] > now - MINUTE:
            return 0.0
        filled = self._tokens + max(0, now - self._since) * self._per_second / SECOND
        return min(filled, self._burst, float(self.per_minute - len(self._minute)))

    def take(self, now: int) -> None:
        """Count one order."""
        self._tokens = min(self._burst, self._tokens + max(0, now - self._since) * self._per_second / SECOND) - 1
        self._since = max(now, self._since)
        self._minute.append(now)

    def cancelled(self, now: int) -> None:
        """Count one cancel."""
        self._cancels.append(now)


class GateState:
    """See the fields. Times are int ns; an instrument is named by its key; money is in USD where its name says so."""

    def __init__(self, limits: RiskLimits, usd: Callable[[str], Decimal | None]) -> None:
        self.limits = limits
        self.now = 0
        self.mode = ""
        self.phase = ""
        self.is_log_writable = False
        self.halted: str | None = "nothing is known yet"
        """Why everything is halted; None while it is not."""
        self.stopped_until: int | None = None
        """A loss stopped trading until then."""
        self.paused: set[str] = set()
        """`all`, `venue:X`, `strategy:X`, `instrument:KEY`."""
        self.blocked: dict[str, str] = {}
        """Instrument -> why the breaker blocks it."""
        self.unknown: set[str] = set()
        """Instruments with an order of which it is not known what became of it."""
        self.instruments: Mapping[str, Tradeable] = {}
        self.books: Mapping[str, InstrumentBook] = {}
        self.connected: Mapping[str, bool] = {}
        """Instrument -> whether what it is heard and traded by is ready."""
        self.positions: Mapping[str, Decimal] | None = None
        """Instrument -> quantity, below 0 for a short one."""
        self.orders: Mapping[int, WorkingOrder] | None = None
        """Orders that have not ended, by id."""
        self.account: AccountState | None = None
        self.rate: OrderRate | None = None
        self.bankrolls: Mapping[str, Decimal] = {}
        """Strategy -> the most that it may have at stake, in USD."""
        self.added: deque[tuple[int, Decimal]] | None = None
        """(when, USD) of the exposure added in the last minute."""
        self.recent: dict[object, int] = {}
        """Intents of the last moments -> when they were approved."""
        self.windows: tuple[tuple[int, int], ...] = ()
        """(from, to) in nanoseconds of the UTC day in which no order is placed."""
        self.usd = usd
        """What one unit of an asset is worth; None where that is not known."""

    def mark(self, key: str) -> Decimal | None:
        """The last mid of an instrument; None if there never was one."""
        book = self.books.get(key)
        return None if book is None else book.mark
