"""Replay: the events of one recording through sessions, and out as records. The shell's part of the work, with the recorded clock.

One rule: the recorded time is the only time. A connection that was lost and made again is a gap; two connections that carry the
same for a while are one stream, of which every record is taken once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence
from functools import partial
from typing import assert_never

import msgspec

from xtrader.clock import SECOND
from xtrader.errors import VenueError
from xtrader.feed.coverage import CoverageTracker
from xtrader.feed.merge_trades import MergedTrades
from xtrader.feed.watch import good_until
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.model.subscription import Subscription
from xtrader.recordings.detect import Recording
from xtrader.recordings.events import Answered, Closed, Event, Opened, Received, Sent, Torn
from xtrader.renormalise.answers import Answers, depth_of
from xtrader.renormalise.strand import Lost, Strand, follows
from xtrader.renormalise.survey import DAY, Survey
from xtrader.renormalise.torn import concerned, since, unproved
from xtrader.venues.base import Fetch, Link, Market, MarketSession, Notice, Output, Ready, Relisted, Send
from xtrader.venues.trades import SeenTrades

HELD = 200_000
"""Records of a second connection that are held at the most while the first still delivers; then the second is given up."""


class Tally:
    """What becomes of one subscription, added up over its sessions. Times are int ns."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.messages = 0
        """Recorded data messages of the channel."""
        self.applied = 0
        """Changes of the book that became records, without snapshots."""
        self.trades = 0
        self.counts: Counter[str] = Counter()
        self.gaps = 0
        self.ts_first: int | None = None
        self.ts_last: int | None = None
        self.book: Book | None = None


class Replay:
    """One recording. `tallies` and `remarks` are added to."""

    def __init__(
        self,
        recording: Recording,
        survey: Survey,
        markets: Mapping[str, Market],
        tallies: Mapping[Subscription, Tally],
        remarks: MutableSequence[str],
    ) -> None:
        self._recording = recording
        self._survey = survey
        self._markets = markets
        self._tallies = tallies
        self._remarks = remarks
        books = {found.instrument for found in survey.subscriptions() if found.stream == "L2"}
        self._answers: Answers[Strand] = Answers(books.pop() if len(books) == 1 else "")
        self._tracker = CoverageTracker()
        self._channels = {found: survey.channel(found) for found in survey.subscriptions()}
        self._on: dict[str, dict[Subscription, Strand]] = {}
        self._current: dict[Subscription, Strand] = {}
        self._lost: dict[Subscription, Lost] = {}
        self._out: list[Record] = []
        self._heard: dict[str, int] = {}
        self._idle_at = 0

    def records(self) -> Iterator[Record]:
        """Everything that the recording yields, in order."""
        for event in self._recording.events():
            self._handle(event)
            if self._out:
                yield from self._out
                self._out.clear()
        self._finish()
        yield from self._out

    def _handle(self, event: Event) -> None:
        match event:
            case Received():
                self._received(event)
            case Opened():
                self._opened(event)
            case Answered():
                self._answered(event)
            case Closed():
                self._closed(event.connection, event.detail)
            case Torn():
                self._torn(event)
            case Sent():
                return
            case _:
                assert_never(event)
        if event.ts - self._idle_at >= SECOND and not isinstance(event, Closed):
            self._idle_at = event.ts
            for strand in self._parts():
                self._run(strand, strand.session.idle, event.ts)

    def _received(self, event: Received) -> None:
        self._route(event)
        self._heard[event.connection] = event.ts

    def _route(self, event: Received) -> None:
        strands = self._on.get(event.connection)
        if strands is None:
            strands = self._begin_all(event.connection, event.ts)
        origins = self._survey.origins(event)
        if len(origins) != 1:
            for strand in list(strands.values()):
                self._feed(strand, event)
            return
        origin = origins[0]
        subscription = Subscription(origin.stream, origin.exchange, origin.symbol)
        if self._channels.get(subscription) != origin.channel:
            return
        found = strands.get(subscription)
        if found is None and subscription not in self._current:
            found = self._begin(subscription, event.connection, event.ts)
        if found is not None:
            self._feed(found, event)

    def _feed(self, strand: Strand, event: Received) -> None:
        payload = event.payload
        self._run(strand, lambda ts: strand.session.receive(payload, ts), event.ts)

    def _opened(self, event: Opened) -> None:
        if event.connection in self._on:
            self._closed(event.connection, "the connection was made again")
        self._survey.opened(event)
        self._begin_all(event.connection, event.ts)

    def _begin_all(self, connection: str, ts: int) -> dict[Subscription, Strand]:
        strands = self._on[connection] = {}
        self._heard[connection] = ts
        for subscription in self._survey.carried(connection):
            self._begin(subscription, connection, ts)
        return strands

    def _begin(self, subscription: Subscription, connection: str, ts: int) -> Strand:
        """A fresh session for a subscription: it delivers, unless another connection still does."""
        lost = self._lost.pop(subscription, None)
        is_second = subscription in self._current
        session = self._session(subscription, "disconnect" if lost or is_second else "start", {} if lost is None else lost.resume)
        strand = self._on[connection][subscription] = Strand(subscription, connection, session)
        if is_second:
            strand.held = []
        else:
            self._current[subscription] = strand
        if lost is not None:
            self._put(strand, self._gap(subscription, "disconnect", lost.ts, max(ts, lost.ts), lost.detail))
        self._run(strand, session.start, ts)
        return strand

    def _session(self, subscription: Subscription, cause: str, resume: Mapping[str, SeenTrades]) -> MarketSession:
        link = Link(subscription.exchange, f"{subscription.exchange}/recorded", "", (subscription,))
        return self._markets[subscription.exchange].session(link, cause, resume)

    def _run(self, strand: Strand, call: Callable[[int], Iterable[Output]], ts: int) -> None:
        """Call a session and carry out what it says; a message that it cannot take ends it, as it would end a live one."""
        try:
            self._take(strand, call(ts), ts)
        except VenueError as error:
            until = self._good_until(strand)
            self._end(strand)
            strand.session = self._session(strand.subscription, "malformed", strand.session.resume())
            strand.is_ready = False
            self._put(strand, self._gap(strand.subscription, "malformed", min(until, ts), ts, str(error)))
            self._take(strand, strand.session.start(ts), ts)

    def _take(self, strand: Strand, outputs: Iterable[Output], ts: int) -> None:
        for output in outputs:
            match output:
                case Send() | Relisted():
                    continue
                case Notice():
                    self._remark(f"{output.subscription}: {output.words}")
                case Ready():
                    strand.is_ready = True
                case Fetch():
                    self._fetch(strand, output)
                case _:
                    self._put(strand, output)
        # Only now: a session may be ahead of what it has said so far.
        if strand.after is not None:
            self._take_over(strand)
        elif strand.held is not None and len(strand.held) > HELD:
            self._give_up(strand)

    def _fetch(self, strand: Strand, fetch: Fetch) -> None:
        if fetch.purpose != "snapshot":
            return
        answer = self._answers.ask(fetch, strand)
        if answer is not None:
            self._answer(strand, fetch, answer)

    def _torn(self, event: Torn) -> None:
        strands = self._on.get(event.connection, {})
        for subscription in concerned(event, strands):
            if strands[subscription].torn is None:
                strands[subscription].torn = event._replace(ts=max(event.ts, self._heard[event.connection]))

    def _settle(self, strand: Strand, record: Trade | BookUpdate | None) -> None:
        """What was torn is settled by the next record, or by the end: None."""
        torn, strand.torn = strand.torn, None
        if torn is not None and strand.held is None:
            for row in unproved(strand.subscription, torn, strand.last, record):
                self._write(strand, row)

    def _answered(self, event: Answered) -> None:
        if event.status >= 500 or event.status in (418, 429):
            return
        if not self._survey.begin - DAY <= event.ts <= self._survey.end + DAY:
            what = f"the answer of {event.url} is over a day from any message"
            self._remarks.append(f"{self._recording.name}: {what}, and was left out")
            return
        asked = self._answers.came(event)
        if asked is not None:
            fetch, strand = asked
            self._answer(strand, fetch, event)

    def _answer(self, strand: Strand, fetch: Fetch, answer: Answered) -> None:
        asked = msgspec.structs.replace(fetch, depth=depth_of(fetch, answer.url))
        self._run(strand, lambda ts: strand.session.answer(asked, answer.status, answer.body, ts), answer.ts)

    def _closed(self, connection: str, detail: str) -> None:
        """A connection is gone: what it carried goes over to another one that carries the same, or is lost until the next."""
        for subscription, strand in self._on.pop(connection, {}).items():
            self._settle(strand, None)
            self._end(strand)
            if self._current.get(subscription) is not strand:
                continue
            del self._current[subscription]
            session = strand.session
            heard = self._heard[connection]
            stored = self._tallies[subscription].ts_last or heard
            state = session.activity[subscription].state
            lost = Lost(self._good_until(strand), heard, detail, state, stored, strand.seen(), session.book(subscription.key))
            second = next((strands[subscription] for strands in self._on.values() if subscription in strands), None)
            if second is None:
                self._lost[subscription] = lost
                continue
            self._current[subscription] = second
            second.after = strand.after if strand.after is not None else lost
            self._take_over(second)

    def _take_over(self, strand: Strand) -> None:
        """Let a second connection go on where the first one stopped, as soon as it has come as far; without a book, with a gap."""
        lost, held, subscription = strand.after, strand.held, strand.subscription
        if lost is None or held is None:
            return
        is_gap = subscription.stream == "L2" and not strand.is_ready
        if not is_gap and not strand.has_reached(lost) and len(held) < HELD:
            return
        strand.after = strand.held = None
        gap = self._gap(subscription, "disconnect", lost.ts, None, lost.detail)
        if subscription.stream == "TRADES":
            self._merge(strand, lost, held, gap)
            return
        if is_gap:
            self._put(strand, gap)
        begin = follows(lost.book, held)
        place = (subscription.key, subscription.stream)
        for i, record in enumerate(held):
            if type(record) is BookUpdate:
                is_wanted = i >= begin
            else:
                current = self._tracker.current(*place)
                is_told = type(record) is Coverage and record.state == "gap"
                is_wanted = is_told or is_gap or (current is not None and current.state == "gap")
            if is_wanted:
                self._put(strand, record)

    def _merge(self, strand: Strand, lost: Lost, held: Iterable[Trade | BookUpdate | Coverage], gap: Coverage) -> None:
        """Let a second connection's trades follow those of the first one, as live ones would."""
        strand.merged = merged = MergedTrades(strand.subscription.key, 2, partial(self._write, strand))
        merged.resume(0, lost.state, lost.ts_stored)
        merged.begin(0, lost.resume.get(strand.subscription.key), lost.ts_stored)
        for record in held:
            self._put(strand, record)
        merged.cover(0, gap)

    def _remark(self, words: str) -> None:
        if words not in self._remarks:
            self._remarks.append(words)

    def _put(self, strand: Strand, record: Trade | BookUpdate | Coverage) -> None:
        if strand.held is not None:
            strand.held.append(record)
        elif strand.merged is None:
            self._write(strand, record)
        elif type(record) is Coverage:
            strand.merged.cover(1, record)
        elif type(record) is Trade:
            strand.merged.take(1, record)

    def _write(self, strand: Strand, record: Trade | BookUpdate | Coverage) -> None:
        if type(record) is Coverage:
            if record.state == "gap":
                if strand.torn is not None and record.ts_from <= since(strand.torn, strand.last):
                    strand.torn = None
                self._tallies[strand.subscription].gaps += 1
            self._out += self._tracker.rows(record)
            return
        assert not isinstance(record, Coverage)
        if strand.is_further(record):
            self._settle(strand, record)
            strand.last = record
        tally = self._tallies[strand.subscription]
        tally.ts_first = record.ts_recv if tally.ts_first is None else tally.ts_first
        tally.ts_last = record.ts_recv
        if type(record) is Trade:
            tally.trades += 1
        elif type(record) is BookUpdate:
            tally.applied += not record.is_snapshot
        self._out.append(record)

    def _give_up(self, strand: Strand) -> None:
        self._end(strand)
        del self._on[strand.connection][strand.subscription]
        strand.held = []

    def _end(self, strand: Strand) -> None:
        """A session is at its end: add up what it counted."""
        self._answers.forget(strand)
        if strand.held is None:
            tally = self._tallies[strand.subscription]
            tally.counts.update(strand.session.counts)
            tally.book = strand.session.book(strand.subscription.key) if strand.subscription.stream == "L2" else None

    def _finish(self) -> None:
        """The recording is at its end: so is every interval."""
        ends = {subscription: lost.heard for subscription, lost in self._lost.items()}
        for strand in self._parts():
            self._settle(strand, None)
            self._end(strand)
        ends.update((subscription, self._heard[strand.connection]) for subscription, strand in self._current.items())
        for row in self._tracker.open_rows():
            end = ends.get(Subscription(row.stream, *row.instrument.split("@", 1)), row.ts_from)
            self._out.append(msgspec.structs.replace(row, ts_to=max(row.ts_from, end)))

    def _good_until(self, strand: Strand) -> int:
        """As at the end of a live connection, but not before the interval that is open began."""
        until = good_until(strand.session.activity[strand.subscription], self._heard[strand.connection])
        row = self._tracker.current(strand.subscription.key, strand.subscription.stream)
        return until if row is None else max(until, row.ts_from)

    def _parts(self) -> list[Strand]:
        return [strand for strands in self._on.values() for strand in strands.values()]

    def _gap(self, subscription: Subscription, cause: str, ts_from: int, ts_to: int | None, detail: str) -> Coverage:
        return Coverage(subscription.key, subscription.stream, "gap", cause, ts_from, ts_to, detail)
