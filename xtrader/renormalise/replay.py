"""Replay: the events of one recording through sessions, and out as records. The shell's part of the work, with the recorded clock.

One rule: the recorded time is the only time. A connection that was lost and made again is a gap; two connections that carry the
same for a while are one stream, of which every record is taken once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence
from typing import assert_never

import msgspec

from xtrader.clock import SECOND
from xtrader.errors import VenueError
from xtrader.feed.coverage import CoverageTracker
from xtrader.feed.silence import lost_since
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, MarketRecord, Record, Trade
from xtrader.model.subscription import Subscription
from xtrader.recordings.detect import Recording
from xtrader.recordings.events import Answered, Closed, Event, Opened, Received, Sent, Torn
from xtrader.renormalise.answers import Answers, depth_of
from xtrader.renormalise.strand import Braid, Lost, Strand
from xtrader.renormalise.survey import DAY, Survey
from xtrader.renormalise.torn import concerned, since, unproved
from xtrader.venues.base import Fetch, Link, Market, MarketSession, Notice, Output, Ready, Relisted, Send
from xtrader.venues.machine.trades import SeenTrades


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
        self._braids: dict[Subscription, Braid] = {}
        self._lost: dict[Subscription, Lost] = {}
        self._failed: set[str] = set()
        """Connections of which a message ended a session, and that have said no more since."""
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
            for strand in self._strands():
                self._run(strand, strand.session.idle, event.ts)

    def _received(self, event: Received) -> None:
        self._route(event)
        self._heard[event.connection] = event.ts

    def _route(self, event: Received) -> None:
        strands = self._on.get(event.connection)
        if strands is None:
            strands = self._begin_all(event.connection, event.ts)
        if event.connection in self._failed:
            self._failed.discard(event.connection)
            for strand in strands.values():
                self._begin_anew(strand)
        origins = self._survey.origins(event)
        if len(origins) != 1:
            for strand in list(strands.values()):
                self._feed(strand, event)
            return
        origin = origins[0]
        subscription = Subscription(origin.stream, origin.exchange, origin.symbol)
        if self._channels.get(subscription) == origin.channel:
            self._feed(strands[subscription], event)

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
        """A fresh session for a subscription, beside those of other connections that carry it still."""
        lost = self._lost.pop(subscription, None)
        others = self._carriers(subscription)
        cause = "disconnect" if others and self._tallies[subscription].ts_first is not None else "start"
        resume: Mapping[str, SeenTrades] = {}
        if lost is not None:
            resume = lost.resume
            cause = "disconnect" if lost.gap is None else lost.gap.cause
            if lost.gap is not None:
                self._write(subscription, msgspec.structs.replace(lost.gap, ts_to=max(ts, lost.gap.ts_from)))
        strand = Strand(subscription, connection, self._session(subscription, cause, resume))
        if others:
            braid = self._braids.get(subscription)
            if braid is None:
                braid = self._braids[subscription] = Braid(others[0])
            braid.join(strand)
        self._on[connection][subscription] = strand
        self._run(strand, strand.session.start, ts)
        return strand

    def _session(self, subscription: Subscription, cause: str, resume: Mapping[str, SeenTrades]) -> MarketSession:
        link = Link(subscription.exchange, f"{subscription.exchange}/recorded", "", (subscription,))
        return self._markets[subscription.exchange].session(link, cause, resume)

    def _run(self, strand: Strand, call: Callable[[int], Iterable[Output]], ts: int) -> None:
        """Call a session and carry out what it says; a message that it cannot take ends it, as it would end a live one."""
        if strand.failure is not None:
            return
        try:
            self._take(strand, call(ts), ts)
        except VenueError as error:
            self._end(strand)
            strand.failure, strand.failed_at = error, ts
            self._failed.add(strand.connection)

    def _begin_anew(self, strand: Strand) -> None:
        """The connection goes on after a message that ended a session: so does its subscription, with another session."""
        error, ts = strand.failure, strand.failed_at
        if error is None:
            return
        since = min(self._lost_since(strand), ts)
        strand.session = self._session(strand.subscription, "malformed", strand.session.resume())
        strand.failure = None
        self._put(strand, self._gap(strand.subscription, "malformed", since, ts, str(error)))
        self._take(strand, strand.session.start(ts), ts)

    def _take(self, strand: Strand, outputs: Iterable[Output], ts: int) -> None:
        for output in outputs:
            match output:
                case Send() | Relisted() | Ready():
                    continue
                case Notice():
                    self._remark(f"{output.subscription}: {output.words}")
                case Fetch():
                    self._fetch(strand, output)
                case _:
                    self._put(strand, output)

    def _fetch(self, strand: Strand, fetch: Fetch) -> None:
        if fetch.purpose != "snapshot":
            return
        answer = self._answers.ask(fetch, strand, strand.connection)
        if answer is not None:
            self._answer(strand, fetch, answer)

    def _torn(self, event: Torn) -> None:
        strands = self._on.get(event.connection, {})
        for subscription in concerned(event, strands):
            if strands[subscription].torn is None:
                strands[subscription].torn = event._replace(ts=max(event.ts, self._heard[event.connection]))

    def _settle(self, strand: Strand, record: MarketRecord | None) -> None:
        """What was torn is settled by the next record, or by the end: None."""
        torn, strand.torn = strand.torn, None
        if torn is not None:
            for row in unproved(strand.subscription, torn, strand.last, record):
                self._put(strand, row)

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
        """A connection is gone: what it carried goes over to others that carry the same, or is lost until the next."""
        strands = self._on.pop(connection, {})
        failure = next((strand.failure for strand in strands.values() if strand.failure is not None), None)
        cause, detail = ("disconnect", detail) if failure is None else ("malformed", str(failure))
        for subscription, strand in strands.items():
            self._settle(strand, None)
            self._end(strand)
            gap = self._gap(subscription, cause, self._lost_since(strand), None, detail)
            braid = self._braids.get(subscription)
            rows: list[MarketRecord | Coverage] = [gap] if braid is None else braid.take(strand, gap)
            if braid is not None and self._carriers(subscription):
                braid.leave(strand)
            else:
                self._braids.pop(subscription, None)
                parting = rows.pop() if rows else None
                assert parting is None or isinstance(parting, Coverage)
                resume = strand.session.resume() if braid is None else braid.seen()
                self._lost[subscription] = Lost(parting, self._heard[connection], failure is not None, resume)
            for row in rows:
                self._write(subscription, row)

    def _remark(self, words: str) -> None:
        if words not in self._remarks:
            self._remarks.append(words)

    def _put(self, strand: Strand, record: MarketRecord | Coverage) -> None:
        """Take what one connection said of a subscription."""
        if not isinstance(record, Coverage):
            if strand.is_further(record):
                self._settle(strand, record)
                strand.last = record
        elif record.state == "gap" and strand.torn is not None and record.ts_from <= since(strand.torn, strand.last):
            strand.torn = None
        braid = self._braids.get(strand.subscription)
        if braid is None:
            self._write(strand.subscription, record)
        else:
            for row in braid.take(strand, record):
                self._write(strand.subscription, row)

    def _write(self, subscription: Subscription, record: MarketRecord | Coverage) -> None:
        """Store what is true of all its connections together."""
        tally = self._tallies[subscription]
        if type(record) is Coverage:
            tally.gaps += record.state == "gap"
            self._out += self._tracker.rows(record)
            return
        assert not isinstance(record, Coverage)
        tally.ts_first = record.ts_recv if tally.ts_first is None else tally.ts_first
        tally.ts_last = record.ts_recv
        if type(record) is Trade:
            tally.trades += 1
        elif type(record) is BookUpdate:
            tally.applied += not record.is_snapshot
        self._out.append(record)

    def _end(self, strand: Strand) -> None:
        """A session is at its end: add up what it counted."""
        self._answers.forget(strand)
        if strand.failure is not None:
            return
        tally = self._tallies[strand.subscription]
        tally.counts.update(strand.session.counts)
        book = strand.session.book(strand.subscription.key) if strand.subscription.stream == "L2" else None
        if book is not None or self._carriers(strand.subscription) in ([], [strand]):
            tally.book = book

    def _finish(self) -> None:
        """The recording is at its end: so is every interval."""
        for connection in self._failed & self._on.keys():
            self._closed(connection, "")
        ends: dict[Subscription, int] = {}
        for subscription, lost in self._lost.items():
            ends[subscription] = lost.heard
            if lost.is_failed and lost.gap is not None:
                self._write(subscription, lost.gap)
        for strand in self._strands():
            self._settle(strand, None)
            self._end(strand)
            ends[strand.subscription] = max(ends.get(strand.subscription, 0), self._heard[strand.connection])
        for row in self._tracker.open_rows():
            end = ends.get(Subscription(row.stream, *row.instrument.split("@", 1)), row.ts_from)
            self._out.append(msgspec.structs.replace(row, ts_to=max(row.ts_from, end)))

    def _lost_since(self, strand: Strand) -> int:
        """As where a live connection fails, but not before the interval that is open began."""
        begin = lost_since(strand.session.activity[strand.subscription], self._heard[strand.connection])
        row = self._tracker.current(strand.subscription.key, strand.subscription.stream)
        return begin if row is None else max(begin, row.ts_from)

    def _carriers(self, subscription: Subscription) -> list[Strand]:
        return [strands[subscription] for strands in self._on.values() if subscription in strands]

    def _strands(self) -> list[Strand]:
        return [strand for strands in self._on.values() for strand in strands.values()]

    def _gap(self, subscription: Subscription, cause: str, ts_from: int, ts_to: int | None, detail: str) -> Coverage:
        return Coverage(subscription.key, subscription.stream, "gap", cause, ts_from, ts_to, detail)
