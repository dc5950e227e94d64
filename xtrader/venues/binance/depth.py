"""DepthSync: one instrument's book from REST snapshot and diff stream, by the vendor's steps.

One rule: a delta is applied only when it follows the state before it; anything else drops the book and starts over, aloud.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

import msgspec

from xtrader.errors import Malformed
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage
from xtrader.venues.base import Activity, Fetch, Output, Ready
from xtrader.venues.binance.joining import ids, join_futures, join_spot
from xtrader.venues.binance.renewal import Renewal
from xtrader.venues.binance.wire import MILLIS, DepthEvent, Event, Snapshot, ns
from xtrader.venues.machine.crossing import Ration, told

SECOND = 1_000_000_000
QUIET = 2 * SECOND
"""An acknowledged stream that brings nothing for this long gets its snapshot without a first delta."""
ASK_AGAIN = 60 * SECOND
"""Between two tries for a snapshot that the venue refused while no delta comes."""
BUFFER_LEVELS = 1_000_000
"""Levels that the buffered deltas hold together; beyond it the sync begins anew as well."""
BUFFER = 10_000
"""Deltas kept while a snapshot is awaited, over a quarter of an hour at ten a second. Beyond it the sync begins anew."""

RESTARTED = 5 * SECOND
"""Updates older than a snapshot may be on their way for so long; one that is newer by more shows that the venue began to count
anew."""
UNTIMED = 30 * SECOND
"""The same after a snapshot that states no time, by our own clock: a connection may be seconds behind REST."""
FREE_SNAPSHOTS = 2
"""So many snapshots in a row that were too old are asked for again at once; further ones after 1, 2, 4 … 32 s."""
LONGEST_RATION = 32
"""Seconds between two requests for a book that stays crossed."""


class DepthSync:
    """Buffering (no book; deltas wait for a snapshot) -> bridging (a snapshot, no delta yet) -> live (a chain of deltas), and from
    either of these crossed: the chain goes on unrecorded until the venue uncrosses the book, or a snapshot replaces it.

    `depths` are the snapshot's (limit, weight) pairs, deepest first. `counts` and `activity` belong to the session.
    """

    def __init__(
        self,
        venue: str,
        activity: Activity,
        cause: str,
        counts: Counter[str],
        path: str,
        depths: tuple[tuple[int, int], ...],
        *,
        is_futures: bool,
    ) -> None:
        self.book: Book | None = None
        """What snapshot and deltas made, None while there is no snapshot."""
        self.is_crossed = False
        """The book is not to be trusted: nothing of it is recorded."""
        self.last: int | None = None
        """The venue's number of the state that the book is in; None while there is none."""
        self._venue = venue
        self._activity = activity
        self._symbol = activity.subscription.instrument
        self._key = activity.subscription.key
        self._cause = cause
        self._counts = counts
        self._path = path
        self._depths = depths
        self._is_futures = is_futures
        self._join = join_futures if is_futures else join_spot
        self._bridging = False
        self._fetching = False
        self._buffer: deque[BookUpdate] = deque()
        self._levels = 0
        self._ts_good = 0
        self._ts_syncing = 0
        self._ts_refused: int | None = None
        self._refusals = 0
        self._ts_event: int | None = None
        self._stale = 0
        self._ask_at = 0
        self._ration = Ration(LONGEST_RATION)
        self._renewal = Renewal()

    def receive(self, event: Event, ts_recv: int) -> Sequence[Output]:
        """Take one event of the diff stream. Raises Malformed if it is none."""
        if type(event) is not DepthEvent or event.s != self._symbol:
            raise Malformed(self._venue, "no depth update of its own symbol on a stream", self._symbol)
        previous = event.pu if self._is_futures else event.U - 1
        if previous is None or event.u < event.U or previous >= event.u:
            raise Malformed(self._venue, "impossible update ids", f"{self._symbol} U {event.U}, u {event.u}, pu {event.pu}")
        time = event.E if event.T is None else event.T
        ts_event = time * 1_000_000 if time <= MILLIS else ns(self._venue, time)
        self._activity.ts_last = ts_recv
        return self._take(BookUpdate(self._key, False, event.b, event.a, event.u, previous, ts_event, ts_recv))

    def _take(self, delta: BookUpdate) -> Sequence[Output]:
        book, last = self.book, self.last
        if book is None or last is None:
            return self._keep(delta)
        if delta.prev_sequence == last and not self._bridging:
            return self._apply(book, delta)
        previous, newest = ids(delta)
        if self._bridging:
            join = self._join(last, previous, newest)
            if join == "old" and not self._is_restarted(delta, RESTARTED):
                self._counts["skipped"] += 1
                return ()
            if join == "joins":
                self._bridging = False
                return self._apply(book, delta)
        elif newest <= last and not self._is_restarted(delta):
            self._counts["duplicates"] += 1
            return ()
        elif not self._is_futures and previous < last < newest:
            return self._apply(book, delta)
        self._counts["breaks"] += 1
        detail = f"an update that follows {previous} came after {last}"
        return [*self._drop("venue_gap", detail, delta.ts_recv), *self._keep(delta)]

    def _is_restarted(self, delta: BookUpdate, late: int = 0) -> bool:
        """True for an update that is new by its time, by more than `late` (ns), though not by its number. Right after a snapshot
        without a time nothing is known but how long it was waited since."""
        if self._ts_event is None or delta.ts_event is None:
            return delta.ts_recv - self._ts_good > UNTIMED
        return delta.ts_event - self._ts_event > late

    def _apply(self, book: Book, delta: BookUpdate) -> Sequence[Output]:
        book.apply(delta)
        self.last = delta.sequence
        self._ts_event = delta.ts_event
        if delta.ts_recv > self._ts_good:
            self._ts_good = delta.ts_recv
        if self.is_crossed or book.crossed():
            return self._apply_crossed(book, delta)
        self._activity.messages += 1
        if not self._renewal.is_open or (ahead := self._renewal.keep(delta)) is None:
            return (delta,)
        return [delta, *self._renew(*ahead, self._ts_good)]

    def _apply_crossed(self, book: Book, delta: BookUpdate) -> Sequence[Output]:
        """The book was crossed before this delta, or is after it."""
        if not book.crossed():
            # What is crossed may have been wrong before, and may be still: the snapshot that is due is taken all the same.
            self._renewal.open([*self._buffer, delta])
            if not self._fetching:
                self._renewal.plan(max(self._ask_at, self._ts_good))
            self._buffer.clear()
            return self._begin(
                BookUpdate(self._key, True, book.bids.levels(), book.asks.levels(), self.last, None, delta.ts_event, self._ts_good)
            )
        self._counts["crossed"] += 1
        crossed = () if self.is_crossed else self._cross(book, self._ts_good)
        return [*crossed, *self._keep(delta)]

    def _cross(self, book: Book, ts: int) -> Sequence[Output]:
        """From here on it is a gap; the snapshot is asked for as soon as its ration allows."""
        self.is_crossed = True
        self._renewal.stop()
        self._cause = "crossed"
        self._activity.state = "syncing"
        self._counts["resyncs"] += 1
        self._ask_at = self._ration.due(ts)
        return (Coverage(self._key, "L2", "gap", "crossed", ts, None, told(book)),)

    def _begin(self, snapshot: BookUpdate) -> list[Output]:
        """The book is in sync from this message on."""
        self.is_crossed = False
        self._activity.state = "live"
        self._activity.messages += 1
        self._counts["snapshots"] += 1
        depth = self._activity.depth
        if depth is not None and depth < self._depths[0][0]:
            self._renewal.plan(snapshot.ts_recv)
        live = Coverage(self._key, "L2", "live", self._cause, snapshot.ts_recv, None, depth=depth)
        return [snapshot, live, Ready(self._activity.subscription)]

    def _renew(self, snapshot: BookUpdate, depth: int | None, ts: int) -> Sequence[Output]:
        """A snapshot for a book that is live: brought up to where that is, it takes the book's place."""
        book = None if self.last is None else self._renewal.take(snapshot, depth, self.last, ts)
        if book is None:
            return ()
        self.book = book
        self._activity.depth = depth
        sides = (book.bids.levels(), book.asks.levels())
        return self._begin(BookUpdate(self._key, True, *sides, self.last, None, self._ts_event, max(ts, self._ts_good)))

    def _keep(self, delta: BookUpdate) -> Sequence[Output]:
        """Buffer a delta. What is buffered is always one unbroken chain, so a snapshot that meets it meets all of it."""
        out: list[Output] = []
        buffer = self._buffer
        if buffer:
            previous, last = ids(delta)
            newest = buffer[-1].sequence
            self._ts_event = buffer[-1].ts_event
            if newest is not None and last <= newest and not self._is_restarted(delta):
                self._counts["duplicates"] += 1
                return ()
            if previous != newest:
                self._counts["breaks"] += 1
                self._counts["skipped"] += len(buffer)
                buffer.clear()
            elif len(buffer) >= BUFFER or self._levels >= BUFFER_LEVELS:
                self._counts["overflow"] += 1
                self._counts["skipped"] += len(buffer)
                detail = f"{len(buffer)} updates waited for a snapshot"
                if not self.is_crossed:
                    out += self._gap("overflow", buffer[0].ts_recv, delta.ts_recv, detail)
                buffer.clear()
        self._levels = (self._levels if buffer else 0) + len(delta.bids) + len(delta.asks)
        buffer.append(delta)
        if self._is_stream_refused():
            # What was refused, or gone, is there after all.
            out += self.acked(delta.ts_recv)
        if not self._fetching and delta.ts_recv >= self._ask_at:
            out.append(self._fetch(delta.ts_recv))
        return out

    def _fetch(self, ts: int) -> Fetch:
        self._fetching = True
        if self.is_crossed:
            self._ration.asked(ts)
        return self._request()

    def _request(self) -> Fetch:
        return Fetch(self._key, "snapshot", self._path, (("symbol", self._symbol),), depths=self._depths)

    def _gap(self, cause: str, ts_from: int, ts_to: int, detail: str) -> list[Output]:
        self._cause = cause
        self._ts_syncing = ts_to
        return [
            Coverage(self._key, "L2", "gap", cause, ts_from, ts_to, detail),
            Coverage(self._key, "L2", "syncing", cause, ts_to, None),
        ]

    def _drop(self, cause: str, detail: str, ts: int) -> list[Output]:
        """The book is not to be trusted after the last good message: forget it, and say so."""
        self._forget()
        self._activity.state = "syncing"
        self._counts["resyncs"] += 1
        return self._gap(cause, self._ts_good, max(ts, self._ts_good), detail)

    def _forget(self) -> None:
        self.book = self.last = None
        self.is_crossed = self._bridging = False
        self._renewal.stop()
        self._buffer.clear()

    def malformed(self, what: str, ts: int) -> Sequence[Output]:
        """A message of the stream cannot be used: the book is not known after the last good one. What waits for a snapshot already
        is checked by its own chain."""
        self._activity.ts_last = ts
        if self.book is None:
            return ()
        out = self._drop("malformed", what, ts)
        self._ask_at = self._ration.due(ts)
        self._ration.asked(self._ask_at)
        return out

    def snapshot(self, answer: Snapshot, ts_recv: int, fetch: Fetch) -> Sequence[Output]:
        """Take the snapshot that `fetch` asked for: emit it, then the buffered deltas that follow, or renew a live book by it."""
        self._answered(fetch)
        if self._is_stream_refused():
            return ()
        number = answer.lastUpdateId
        ts_event = None if answer.T is None else ns(self._venue, answer.T)
        update = BookUpdate(self._key, True, answer.bids, answer.asks, number, None, ts_event, ts_recv)
        if self.book is not None and not self.is_crossed:
            return self._renew(update, fetch.depth, ts_recv)
        while self._buffer:
            previous, last = ids(self._buffer[0])
            join = self._join(number, previous, last)
            # A snapshot holds what leads to it: told once more, that may be what crossed the book.
            if join == "joins" and not (self.is_crossed and last == number):
                break
            if join == "late":
                self._counts["stale_snapshots"] += 1
                return self._ask_after_stale(ts_recv)
            self._counts["skipped"] += 1
            self._buffer.popleft()
        book = self.book = Book()
        self._activity.depth = fetch.depth
        book.apply(update)
        self.last = number
        self._ts_event = ts_event
        self._stale = self._refusals = 0
        self._bridging = True
        self._ts_good = ts_recv
        self._activity.ts_last = max(ts_recv, self._activity.ts_last)
        out: list[Output] = []
        if not book.crossed():
            out += self._begin(update)
        elif not self.is_crossed:
            out += self._cross(book, ts_recv)
        else:
            self._activity.state = "syncing"
            self._ask_at = self._ration.due(ts_recv)
        waiting = self._buffer
        self._buffer = deque()
        for delta in waiting:
            out += self._take(delta)
        return out

    def _ask_after_stale(self, ts: int) -> Sequence[Output]:
        self._stale += 1
        over = self._stale - FREE_SNAPSHOTS
        if over <= 0:
            return (self._fetch(ts),)
        self._ask_at = ts + (SECOND << min(over - 1, 5))
        return ()

    def acked(self, ts: int) -> Sequence[Output]:
        """The venue acknowledged the stream at `ts` (int ns): nothing, unless it had refused it before."""
        if not self._is_stream_refused():
            return ()
        self._activity.state = "syncing"
        self._ts_syncing = ts
        return (Coverage(self._key, "L2", "syncing", self._cause, ts, None),)

    def _answered(self, fetch: Fetch) -> None:
        if fetch.patient:
            self._renewal.is_asked = False
        else:
            self._fetching = False

    def snapshot_refused(self, words: str, ts: int, fetch: Fetch) -> Sequence[Output]:
        """The venue answered the snapshot request with an error: say so once. The next delta is the reason to ask again at once,
        after further refusals in 1, 2, 4 … s; without one it is asked again in a minute."""
        self._answered(fetch)
        if self.book is not None and not self.is_crossed:
            self._renewal.stop()
            self._renewal.plan(ts + ASK_AGAIN)
            return ()
        if self._is_stream_refused():
            return ()
        self._ts_refused = ts
        self._refusals += 1
        if self._refusals > 1:
            self._ask_at = max(self._ask_at, ts + (SECOND << min(self._refusals - 2, 5)))
        return self._reject(f"snapshot refused: {words}", ts)

    def stream_refused(self, words: str, ts: int) -> Sequence[Output]:
        """The venue refused the subscription: nothing to do until it is acknowledged after all."""
        if self.book is not None:
            return ()
        self._ts_refused = None
        return self._reject(f"subscription refused: {words}", ts)

    def _reject(self, detail: str, ts: int) -> Sequence[Output]:
        if self._activity.state == "rejected":
            return ()
        self._activity.state = "rejected"
        return (Coverage(self._key, "L2", "gap", self._cause, ts, None, detail),)

    def gone(self, since: int, words: str, now: int) -> Sequence[Output]:
        """The instrument is not there any more, from `since` on or from its last message: see MarketSession."""
        begin = min(max(self._activity.ts_last or self._ts_good or self._activity.ts_acked, since), now)
        self._forget()
        self._ts_refused = None
        self._cause = "delisted"
        self._activity.state = "rejected"
        return (Coverage(self._key, "L2", "gap", "delisted", begin, None, words[:300]),)

    def _is_stream_refused(self) -> bool:
        return self._activity.state == "rejected" and self._ts_refused is None

    def idle(self, now: int) -> Sequence[Output]:
        """Ask for the snapshot of a quiet instrument, or again for one that was refused, or for a deeper one."""
        if self.book is not None and not self.is_crossed:
            if not self._renewal.ask(now):
                return ()
            return (msgspec.structs.replace(self._request(), depths=self._depths[:1], patient=True),)
        if self._fetching or now < self._ask_at:
            return ()
        if self._activity.state == "rejected":
            return (self._fetch(now),) if self._is_refusal_over(now) else ()
        if self.is_crossed:
            return (self._fetch(now),)
        acked = self._activity.ts_acked
        if acked and now - max(acked, self._ts_syncing) >= QUIET:
            return (self._fetch(now),)
        return ()

    def _is_refusal_over(self, now: int) -> bool:
        """True if a refused snapshot is to be asked for again: deltas came since, or a minute has passed."""
        refused = self._ts_refused
        if refused is None:
            return False
        return now - refused >= ASK_AGAIN or (bool(self._buffer) and self._buffer[-1].ts_recv > refused)

    def lost(self, cause: str, detail: str, now: int) -> Sequence[Output]:
        """The book is not what the venue has, or is wanted anew: start over."""
        return self._drop(cause, detail, now)
