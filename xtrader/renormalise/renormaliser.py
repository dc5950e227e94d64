"""Renormaliser: recordings through the same sessions as live traffic, with the recorded clock, into the same records.

One rule: every subscription gets a session of its own, so that its counts are its own; what a session would send is dropped, what
it asks by REST is answered by what was recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec

from xtrader.errors import ConfigError, ProtocolError
from xtrader.model.instrument import Instrument, same_facts
from xtrader.model.market import Coverage, Record
from xtrader.model.subscription import Subscription
from xtrader.recordings.detect import Recording, look
from xtrader.renormalise.answers import fits, same_endpoint
from xtrader.renormalise.replay import Replay, Tally
from xtrader.renormalise.survey import Survey
from xtrader.venues import exchanges, market
from xtrader.venues.base import Fetch, Market
from xtrader.venues.recorded import options


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one subscription. Times are int ns of the first and last record, None without any. The book is as it was
    left at the end: (price, size) or None, and levels a side."""

    subscription: Subscription
    channel: str
    """The venue's channel from which it was taken."""
    messages: int
    """Recorded data messages of that channel."""
    applied: int
    skipped: int
    breaks: int
    trades: int
    checksums: int
    gaps: int
    """Gap rows."""
    ts_first: int | None
    ts_last: int | None
    bid: tuple[float, float] | None
    ask: tuple[float, float] | None
    bid_levels: int
    ask_levels: int
    counts: dict[str, int]
    """Everything that the sessions counted, what two connections carried at the same time included twice."""


class Renormaliser:
    """Reads recordings twice: once to see what is in them, once to make records of it.

    `files` are files and directories in the formats of `xtrader.recordings`; `exchange` overrides what the recordings tell.
    Raises ConfigError: no recording, none that an exchange is known for.
    """

    def __init__(self, files: Sequence[Path], exchange: str | None = None) -> None:
        token = (exchange or "").strip().upper()
        if token and token not in exchanges():
            raise ConfigError(f"unknown exchange {exchange!r}; known are {', '.join(sorted(exchanges()))}")
        self.remarks: list[str] = []
        """One sentence for each thing that the user should know: damage, books that could not be joined. Complete at the end."""
        self.is_all_kept = True
        """False if something was recorded of which neither a row nor a gap was made; `remarks` say what. Complete at the end."""
        self.markets: dict[str, Market] = {}
        """Exchange token -> its market, with the environment in which it was recorded."""
        self.instruments: dict[str, Instrument] = {}
        """Instrument key -> what the recorded catalogue says of it (at first, if that changed), else what its name says."""
        self._listed: dict[str, list[Instrument]] = {}
        self._changes: list[Instrument] = []
        self._tallies: dict[Subscription, Tally] = {}
        self._found: list[tuple[Recording, Survey]] = []
        found = look(files)
        self._look(found.recordings, token)
        self.remarks += found.refused
        if found.refused:
            self.is_all_kept = False
        if found.passed_over:
            self.remarks.append(found.remark())

    def records(self) -> Iterator[Record]:
        """Every record in the order of the recorded time: first the instruments, then trades, book updates and Coverage rows, and
        instruments again when their catalogue changed."""
        yield from self.instruments.values()
        changes = deque(self._changes)
        for recording, survey in self._found:
            for record in Replay(recording, survey, self.markets, self._tallies, self.remarks).records():
                while changes and not isinstance(record, Coverage | Instrument) and changes[0].ts <= record.ts_recv:
                    yield changes.popleft()
                yield record
            self.remarks += recording.damage
        yield from changes
        for subscription, tally in sorted(self._tallies.items()):
            self._judge(subscription, tally)

    def _judge(self, subscription: Subscription, tally: Tally) -> None:
        """Say it of a subscription if there was something of it, and nothing became of that."""
        is_lost = bool(tally.messages) and tally.ts_first is None and not tally.gaps
        if subscription.stream == "L2" and not tally.counts["snapshots"]:
            self.remarks.append(f"{subscription}: the files hold no snapshot of its book, so its changes could not be applied")
        elif is_lost:
            what = f"{tally.messages:,} messages of {tally.channel}"
            self.remarks.append(f"{subscription}: {what}, of which neither a row nor a gap came")
        self.is_all_kept = self.is_all_kept and not is_lost

    def summary(self) -> list[Converted]:
        """A line for each subscription. Complete once `records` came to its end."""
        return [_line(subscription, tally) for subscription, tally in sorted(self._tallies.items())]

    def _look(self, recordings: list[Recording], token: str) -> None:
        for recording in recordings:
            survey = Survey(recording, token, _is_catalogue)
            if not survey.subscriptions():
                known = token or ", ".join(sorted(exchanges()))
                self.is_all_kept = False
                self.remarks += recording.damage
                self.remarks.append(
                    f"{recording.name}: no book and no trades of {known} in it"
                    + ("" if token else "; if it is one of these, say which with --exchange")
                )
                continue
            self._found.append((recording, survey))
            for exchange, url in survey.urls.items():
                self.markets.setdefault(exchange, market(exchange, options(exchange, url)))
                wanted = [found.instrument for found in survey.subscriptions() if found.exchange == exchange]
                self._list(self.markets[exchange], wanted, survey)
            for subscription in survey.subscriptions():
                tally = self._tallies.setdefault(subscription, Tally(survey.channel(subscription)))
                tally.messages += survey.messages[subscription]
        if not self._found:
            raise ConfigError("; ".join(self.remarks))
        self._found.sort(key=lambda found: found[1].begin)
        self._date()

    def _list(self, place: Market, wanted: Sequence[str], survey: Survey) -> None:
        """Look the instruments up: in the recorded catalogues, else by their names."""
        listed: dict[str, list[Instrument]] = {}
        for fetch in place.catalogue(wanted):
            answers = [answer for answer in survey.catalogues if fits(fetch, answer.url)]
            answers = answers or [answer for answer in survey.catalogues if same_endpoint(fetch, answer.url)]
            for answer in answers:
                try:
                    rows, unread, doubtful = place.instruments([answer.body], answer.ts)
                except ProtocolError as error:
                    self._remark(f"the recorded instrument catalogue was not used: {error}")
                    continue
                for row in rows:
                    listed.setdefault(row.symbol, []).append(row)
                for words, what in ((unread, "rows {} that cannot be read"), (doubtful, "numbers {} that cannot be true")):
                    if words:
                        about = what.format("of the recorded instrument catalogue")
                        self._remark(f"{about}: {len(words)}, first {words[0]}")
        for symbol in wanted:
            known = place.guess(symbol)
            if known is None or known.symbol != symbol:
                known = Instrument(exchange=place.exchange, symbol=symbol, alias=symbol, kind="unknown", source="rule")
            self.instruments.setdefault(known.key, known)
            self._listed.setdefault(known.key, []).extend(listed.get(symbol, ()))

    def _date(self) -> None:
        """Find out what the catalogues said of each instrument at first, and when that changed."""
        for key, rows in self._listed.items():
            rows.sort(key=lambda row: row.ts)
            changed = [after for before, after in pairwise(rows) if not same_facts(before, after)]
            if rows:
                self.instruments[key] = rows[0] if changed else rows[-1]
            self._changes += changed
        self._changes.sort(key=lambda row: row.ts)

    def _remark(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)


@cache
def _catalogues() -> list[Fetch]:
    return [fetch for exchange in exchanges() for fetch in market(exchange, {}).catalogue(())]


def _is_catalogue(url: str) -> bool:
    """True for the URL of any known exchange's catalogue."""
    return any(same_endpoint(fetch, url) for fetch in _catalogues())


def _line(subscription: Subscription, tally: Tally) -> Converted:
    counts = tally.counts
    book = tally.book
    bid, ask = (None, None) if book is None else book.best()
    return Converted(
        subscription=subscription,
        channel=tally.channel,
        messages=tally.messages,
        applied=tally.applied,
        skipped=counts["skipped"],
        breaks=counts["breaks"],
        trades=tally.trades,
        checksums=counts["checksums"],
        gaps=tally.gaps,
        ts_first=tally.ts_first,
        ts_last=tally.ts_last,
        bid=bid,
        ask=ask,
        bid_levels=0 if book is None else len(book.bids.sizes),
        ask_levels=0 if book is None else len(book.asks.sizes),
        counts=dict(counts),
    )
