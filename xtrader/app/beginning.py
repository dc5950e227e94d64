"""Beginning: what is put into the journal when a venue's catalogue is there, and goes on from what an earlier run left open in it.

Rule: an interval that an earlier run left open is closed or continued, and waiting for a catalogue is a gap like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec
import structlog

from xtrader.clock import Clock
from xtrader.feed.catalogue import Resolved
from xtrader.feed.feed import Feed, Pending
from xtrader.feed.refresh import Refresh
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage
from xtrader.model.subscription import Subscription
from xtrader.pipeline.journal import Journal

log = structlog.get_logger("xtrader.recorder")


class Beginning:
    """Of one run of a recorder. `put` takes what goes into the journal."""

    def __init__(
        self, feed: Feed, refresh: Refresh, journal: Journal, put: Callable[[Coverage | Instrument], None], clock: Clock
    ) -> None:
        self._feed = feed
        self._refresh = refresh
        self._put = put
        self._clock = clock
        self._left = {(row.instrument, row.stream): row for row in journal.open_coverage()}
        """What an earlier run left open, and nothing has gone on with yet."""
        self._waited: dict[str, Pending] = {}
        """Of exchanges whose catalogue could not be had at once: since when and why."""

    def pending(self, waiting: Mapping[Subscription, Pending]) -> None:
        """What is not recorded yet."""
        self._feed.pending = dict(waiting)
        for one, why in waiting.items():
            self._waited.setdefault(one.exchange, why)

    def found(self, exchange: str, answer: Resolved) -> None:
        """Record what a venue's catalogue has been found to mean."""
        for instrument in answer.instruments.values():
            self._put(instrument)
        self._refresh.add(answer.instruments)
        open_rows = []
        for one in (one for one in answer.subscriptions if one not in self._feed.subscriptions):
            row = self._left.pop((one.key, one.stream), None)
            if row is None and exchange in self._waited:
                why = self._waited[exchange]
                row = Coverage(one.key, one.stream, "gap", "start", why.since, None, why.detail)
                self._put(row)
            if row is not None:
                open_rows.append(row)
        if not answer.waiting:
            self._close(exchange)
        self._feed.add(answer.subscriptions, open_rows)

    def close_others(self, exchanges: Collection[str]) -> None:
        """Close what was recorded of exchanges that are not any more."""
        for exchange in {key.partition("@")[0] for key, _ in self._left} - set(exchanges):
            self._close(exchange)

    def _close(self, exchange: str) -> None:
        for place in [place for place in self._left if place[0].partition("@")[0] == exchange]:
            row = self._left.pop(place)
            self._put(msgspec.structs.replace(row, ts_to=max(self._clock.now(), row.ts_from)))
