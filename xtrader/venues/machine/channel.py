"""Channel: one subscription at a venue that sends its own book snapshots and a chain of numbers (OKX, Deribit).

One rule: every way out of `live` leaves a gap row behind and a time at which the venue is asked again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from xtrader.model.market import Coverage
from xtrader.model.subscription import Subscription
from xtrader.venues.base import ORDERED, Activity, Notice, Output, Ready

SECOND = 1_000_000_000
PATIENCE = 30 * SECOND
"""A request that the venue neither confirmed nor refused is repeated after this."""
REJECTED_WAIT = 60 * SECOND
SECOND_LOOK = 3 * SECOND
"""The venue being ahead of us proves nothing until this long has passed without a message: it may send in batches."""
REMEMBERED = 8
"""Requests for one channel whose late answers are known for what they are."""
STEADY = 60 * SECOND
FREE_RESYNCS = 3
"""So many resyncs of one channel start at once; more within STEADY wait 5, 10, 20 … 300 s, because venues ration requests."""

Ask = Callable[["Channel"], list[Output]]
"""Makes the messages that subscribe a channel, after unsubscribing it if the venue may hold a subscription (`channel.held`)."""


class Channel:
    """One subscription: its state, its coverage rows, and when to ask the venue again."""

    def __init__(self, subscription: Subscription, cause: str, counts: Counter[str], ask: Ask) -> None:
        self.subscription = subscription
        self.key = subscription.key
        self.cause = cause
        self.activity = Activity(subscription)
        self.ts_good = 0
        """`ts_recv` of the last message that was taken, or when the channel was opened, confirmed or live: where a gap begins."""
        self._counts = counts
        self._ask = ask
        self._ask_at: int | None = None
        self._requests: deque[str] = deque(maxlen=REMEMBERED)
        self._is_asked = False
        self.ts_turned = 0
        """When the subscription was last asked for, lost, refused or found in sync: what was asked before is of another state."""
        self._is_kept = False
        self._suspected: int | None = None
        self._live_since: int | None = None
        self._streak = 0

    @property
    def symbol(self) -> str:
        return self.subscription.instrument

    @property
    def held(self) -> bool:
        """True if the venue may believe that we are subscribed, and is to be told that we are not any more."""
        return not self._is_kept and bool(self.activity.ts_acked or self.activity.ts_last)

    def open(self, now: int) -> Coverage:
        """The first row. The caller asks the venue itself, many channels in one request, and says `asked`."""
        self.ts_good = now
        return self._row("syncing", now, None)

    def asked(self, now: int) -> None:
        """A request is on its way."""
        self.ts_turned = now
        self._is_asked = True
        self._ask_at = now + max(PATIENCE, self._wait())

    def sent(self, number: str) -> None:
        """The request that asks for it has this id."""
        self._requests.append(number)

    def is_late(self, number: str) -> bool:
        """True if an answer with this id is that to an earlier request for this channel, which a newer one has replaced."""
        return number in self._requests and number != self._requests[-1]

    def acked(self, ts_recv: int) -> list[Output]:
        """The venue confirmed the subscription; one that it had refused begins anew."""
        self.activity.ts_acked = ts_recv
        if self.activity.state != "rejected":
            return []
        self.activity.state = "syncing"
        self.ts_good = ts_recv
        return [self._row("syncing", ts_recv, None)]

    def live(self, ts_recv: int) -> list[Output]:
        """In sync from `ts_recv` on."""
        self.activity.state = "live"
        self.ts_good = self._live_since = self.ts_turned = ts_recv
        self._ask_at = None
        return [self._row("live", ts_recv, None), Ready(self.subscription)]

    def lose(self, cause: str, detail: str, ts_recv: int) -> list[Output]:
        """Out of sync: the gap since the last good message, `syncing`, and the new request, at once or when it is due."""
        if self._live_since is not None and ts_recv - self._live_since > STEADY:
            self._streak = 0
        self._live_since = self._suspected = None
        self.cause = cause
        self.activity.state = "syncing"
        gap = self._row("gap", min(self.ts_good, ts_recv), ts_recv, detail)
        self.ts_good = self.ts_turned = ts_recv
        self._is_asked = False
        self._streak += 1
        out: list[Output] = [gap, self._row("syncing", ts_recv, None)]
        wait = self._wait()
        if wait:
            self._ask_at = ts_recv + wait
            return out
        return out + self._ask_again(ts_recv)

    def malformed(self, what: str, ts_recv: int) -> list[Output]:
        """A message of this channel cannot be used: out of sync if it was live, else asked for again soon, because the message may
        have been the one that was waited for."""
        self.activity.ts_last = ts_recv
        if self.activity.state == "live":
            return self.lose("malformed", what, ts_recv)
        if self._ask_at is not None:
            self._ask_at = min(self._ask_at, ts_recv + max(SECOND, self._wait()))
        return []

    def resync(self, now: int) -> list[Output]:
        """See MarketSession; one that was asked for is at once, whatever went before."""
        if self.activity.state != "live":
            return []
        self._streak = 0
        return self.lose("operator", ORDERED, now)

    def reject(self, words: str, ts_recv: int) -> list[Output]:
        """The venue refused the subscription: rejected until it confirms a later request."""
        self._ask_at = ts_recv + max(REJECTED_WAIT, self._wait())
        self._suspected = None
        self.ts_turned = ts_recv
        self._counts["rejected"] += 1
        if self.activity.state == "rejected":
            return []
        self.activity.state = "rejected"
        return [self._row("gap", ts_recv, None, words[:300])]

    def gone(self, since: int, words: str, now: int) -> list[Output]:
        """The instrument is not there any more, from `since` on or from its last message: nothing is asked for until it is back, or
        a message comes after all."""
        self.cause = "delisted"
        self.activity.state = "rejected"
        self._ask_at = self._suspected = self._live_since = None
        self.ts_turned = now
        self._counts["delisted"] += 1
        begin = min(max(self.activity.ts_last or self.ts_good, since), now)
        return [self._row("gap", begin, None, words[:300]), Notice("delisted", self.subscription, words)]

    def back(self, now: int) -> list[Output]:
        """The venue knows the instrument again."""
        return [Notice("listed", self.subscription, "the venue knows it again"), *self._ask_again(now)]

    def ahead(self, now: int) -> None:
        """A probe saw something at the venue that had not come here by `now`."""
        if self.activity.state != "rejected" and self._is_asked:
            self._suspected = now

    def unexpected(self, ts_recv: int) -> None:
        """A message came that is of no use without being asked for: an instrument that was gone is there again."""
        if self.activity.state == "rejected" and self._ask_at is None:
            self._ask_at = ts_recv

    def idle(self, now: int) -> list[Output]:
        """What is due: a request that was put off or not answered, or the second look after a probe."""
        if self._ask_at is not None and now >= self._ask_at:
            self._streak += 1
            return self._ask_again(now)
        if self._suspected is None:
            return []
        if self.activity.ts_last > self._suspected:
            self._suspected = None
        elif now - self._suspected >= SECOND_LOOK:
            self._counts["silent"] += 1
            return self.lose("silent", "the venue moved on and sent nothing", now)
        return []

    def _ask_again(self, now: int) -> list[Output]:
        self._counts["resyncs"] += 1
        self.asked(now)
        return self._ask(self)

    def _wait(self) -> int:
        over = self._streak - FREE_RESYNCS
        return 0 if over <= 0 else min(5 << min(over - 1, 6), 300) * SECOND

    def _row(self, state: str, ts_from: int, ts_to: int | None, detail: str = "") -> Coverage:
        depth = self.activity.depth if state == "live" else None
        return Coverage(self.key, self.subscription.stream, state, self.cause, ts_from, ts_to, detail, depth=depth)
