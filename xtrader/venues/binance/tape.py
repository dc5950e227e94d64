"""Tape: the trades of one instrument, from `@trade` or `@aggTrade`, proven complete by their ids.

One rule: every id is accounted for: stored, counted as void, or part of a gap row. An aggregate's own id is what proves: the ids of
matches go on without one where none of the market was made (insurance fund, auto-deleveraging).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from xtrader.errors import Malformed
from xtrader.model.market import Coverage, Trade
from xtrader.venues.base import Activity, Output, Ready
from xtrader.venues.binance.wire import MILLIS, AggTrade, Event, TradePrint, ns
from xtrader.venues.machine.trades import SeenTrades, TradeChain


class Tape:
    """Syncing until the venue acknowledges the stream or its first trade is here, then live.

    `resume` is what earlier sessions saw. `counts` and `activity` belong to the session.
    """

    def __init__(self, venue: str, activity: Activity, cause: str, counts: Counter[str], resume: SeenTrades | None) -> None:
        self._venue = venue
        self._activity = activity
        self._symbol = activity.subscription.instrument
        self._key = activity.subscription.key
        self._cause = cause
        self._counts = counts
        self._chain = TradeChain(self._key, cause, counts, resume)
        self._aggregate: AggTrade | None = None

    @property
    def last(self) -> int | None:
        """Number of the last trade seen on this or an earlier connection, None if there was none."""
        return self._chain.last

    def seen(self) -> SeenTrades | None:
        """What to hand to the next session; None before the first trade."""
        return self._chain.seen()

    def acked(self, ts: int) -> Sequence[Output]:
        """The stream delivers from `ts` (int ns) on; nothing if that is known already."""
        if self._activity.state == "live":
            return ()
        self._activity.state = "live"
        self._chain.live(ts, self._cause)
        return (Coverage(self._key, "TRADES", "live", self._cause, ts, None), Ready(self._activity.subscription))

    def receive(self, event: Event, ts_recv: int) -> Sequence[Output]:
        """Take one event of the trade stream. Raises Malformed if it is none, with nothing changed."""
        if type(event) is AggTrade:
            number = event.a
            if event.l < event.f:
                raise Malformed(self._venue, "impossible trade ids", f"{self._symbol} a {event.a}, f {event.f}, l {event.l}")
        elif type(event) is TradePrint:
            number = event.t
        else:
            raise Malformed(self._venue, "no trade on a stream of trades", self._symbol)
        if event.s != self._symbol:
            raise Malformed(self._venue, "no trade of its own symbol on a stream", self._symbol)
        ts_event = event.T * 1_000_000 if event.T <= MILLIS else ns(self._venue, event.T)
        activity = self._activity
        live = self.acked(ts_recv) if activity.state != "live" else ()
        activity.ts_last = ts_recv
        rows = self._chain.check(number, number, ts_event, ts_recv)
        if rows is None:
            return live
        if type(event) is AggTrade:
            self._count_matches(event)
        elif type(event) is TradePrint and event.X != "MARKET" and not self._is_print(event.X):
            return [*live, *rows]
        if not event.p:
            self._counts["void"] += 1
            return [*live, *rows]
        maker = event.m
        if maker is True:
            side = "sell"
        elif maker is False:
            side = "buy"
        else:
            side = "unknown"
            self._counts["unknown_side"] += 1
        activity.messages += 1
        trade = Trade(self._key, str(number), side, event.p, event.q, ts_event, ts_recv, number)
        if live or rows:
            return [*live, *rows, trade]
        return (trade,)

    def _is_print(self, kind: str) -> bool:
        """What `X` says of a futures match: False for ids without a print of the market, which are only counted."""
        if kind == "NA":
            self._counts["void"] += 1
        elif kind == "INSURANCE_FUND":
            self._counts["insurance_fund"] += 1
        else:
            self._counts["unknown_X"] += 1
            return True
        return False

    def _count_matches(self, event: AggTrade) -> None:
        """Count the matches that are in no aggregate, between two aggregates that follow each other: nothing is missing."""
        before, self._aggregate = self._aggregate, event
        if before is not None and event.f > before.l + 1 and event.a == before.a + 1:
            self._counts["unaggregated"] += event.f - before.l - 1

    def malformed(self, what: str, ts: int) -> Sequence[Output]:
        """A message of the stream cannot be used: trades may be missing since the last good one. The next one is taken."""
        self._activity.ts_last = ts
        if self._activity.state != "live":
            return ()
        return self._lost("malformed", min(self._chain.ts_good or ts, ts), ts, what)

    def _lost(self, cause: str, start: int, ts: int, detail: str) -> Sequence[Output]:
        self._activity.state = "syncing"
        self._cause = cause
        return (
            Coverage(self._key, "TRADES", "gap", cause, start, ts, detail),
            Coverage(self._key, "TRADES", "syncing", cause, ts, None),
        )

    def lost(self, cause: str, detail: str, now: int) -> Sequence[Output]:
        """What came since the last good message is missing, or the stream is wanted anew."""
        return self._lost(cause, self._activity.ts_last or self._activity.ts_acked or now, now, detail)

    def gone(self, since: int, words: str, now: int) -> Sequence[Output]:
        """The instrument is not there any more, from `since` on or from its last message: see MarketSession."""
        begin = min(max(self._activity.ts_last or self._activity.ts_acked, since), now)
        self._cause = "delisted"
        self._activity.state = "rejected"
        return (Coverage(self._key, "TRADES", "gap", "delisted", begin, None, words[:300]),)

    def stream_refused(self, words: str, ts: int) -> Sequence[Output]:
        """The venue refused the subscription: say so, unless the stream delivers all the same or it was said before."""
        if self._activity.state != "syncing":
            return ()
        self._activity.state = "rejected"
        return (Coverage(self._key, "TRADES", "gap", self._cause, ts, None, f"subscription refused: {words}"),)
