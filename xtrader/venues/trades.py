"""TradeChain: proves by the venue's running numbers that no trade of an instrument is missing.

One rule: a number that is skipped becomes a gap row; a number that was seen before is dropped, never stored twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from xtrader.model.market import Coverage

RESTART_AFTER = 1_000_000_000
"""A lower number whose trade is this many nanoseconds newer than the last one is no repetition: the venue began to count anew."""


class TradeChain:
    """The trade numbers of one instrument on one connection.

    `key` is the instrument key. `resume` is the number of the last trade that an earlier session saw, None if there was none;
    when the first trade here does not follow it, the gap row carries `cause` and begins when the stream went live.
    """

    __slots__ = ("_cause", "_key", "_ts_event", "last", "ts_good")

    def __init__(self, key: str, cause: str, resume: int | None) -> None:
        self._key = key
        self._cause = cause
        self.ts_good = 0
        """`ts_recv` of the last trade that was taken, or when the stream went live; 0 before."""
        self._ts_event: int | None = None
        self.last = resume
        """Number of the last trade that was seen, None before the first."""

    def live(self, ts: int, cause: str) -> None:
        """The stream went live at `ts` (int ns): a jump at its next trade is laid to `cause` and begins there."""
        self.ts_good = ts
        self._cause = cause

    def check(self, first: int, last: int, ts_event: int | None, ts_recv: int) -> Sequence[Coverage] | None:
        """Take the numbers `first` to `last` (equal for a single trade) of a message that came at `ts_recv` (int ns).

        Returns an empty sequence when they follow the last ones or are the first ever, the rows to write (a closed gap, then
        live) when numbers are missing or began anew, and None for a repetition, which the caller drops and counts.
        """
        seen = self.last
        rows: Sequence[Coverage] = ()
        if seen is not None and first != seen + 1:
            if last <= seen:
                if not self._restarted(ts_event):
                    return None
                rows = self._gap("numbers restarted", ts_recv)
            elif first > seen + 1:
                rows = self._gap(f"missing ids {seen + 1} to {first - 1} ({first - seen - 1})", ts_recv)
        self.last = last
        self.ts_good = ts_recv
        self._ts_event = ts_event
        self._cause = "venue_gap"
        return rows

    def _gap(self, detail: str, ts_recv: int) -> list[Coverage]:
        """The two rows of a loss that the message of `ts_recv` showed: the closed gap, then live again."""
        start = self.ts_good or ts_recv
        return [
            Coverage(self._key, "TRADES", "gap", self._cause, start, ts_recv, detail),
            Coverage(self._key, "TRADES", "live", self._cause, ts_recv, None),
        ]

    def _restarted(self, ts_event: int | None) -> bool:
        """True if a trade with a number that is not new is itself new by its time.

        After a resume the last trade's time is not known: the first repetition stands in for it, so that a numbering that began
        anew between two connections is found within RESTART_AFTER instead of never.
        """
        if ts_event is None:
            return False
        if self._ts_event is None:
            self._ts_event = ts_event
            return False
        return ts_event - self._ts_event > RESTART_AFTER
