"""MergedTrades: the trades of one instrument out of several connections, each once, by the venue's numbers.

Rule: a trade is stored as soon as its connection links it to the last stored one without a hole. What lies beyond a hole waits
while another connection covers it; when none does, the hole is a gap row.
"""

from __future__ import annotations

from collections import deque

from xtrader.feed.merge import HELD, PATIENCE, Member, Merged, Put
from xtrader.model.market import Coverage, Trade

RESTARTED = 1_000_000_000
"""A number that is not new on a trade that is newer by this many nanoseconds: the venue began to count anew."""
REMEMBERED = 10_000
"""Ids of trades without numbers that are remembered."""


class TradeMember(Member):
    """A connection's trades: an unbroken run from the number `since` (None before its first trade) to `at`. `held` are those
    beyond a hole, `gap` is what the connection itself last said to be missing."""

    __slots__ = ("at", "gap", "held", "since", "stale")

    def __init__(self) -> None:
        super().__init__()
        self.since: int | None = None
        self.at: int | None = None
        self.held: deque[Trade] = deque()
        self.gap: Coverage | None = None
        self.stale = False
        """It still counts the old way after the venue began anew."""


class MergedTrades(Merged[TradeMember]):
    """`connections` is how many there are."""

    def __init__(self, key: str, connections: int, put: Put) -> None:
        super().__init__(key, "TRADES", [TradeMember() for _ in range(connections)], put)
        self.last: int | None = None
        """The number of the last stored trade."""
        self._left_out: int | None = None
        self._ts_event: int | None = None
        self._ids: dict[str, None] = {}

    def begin(self, number: int, last: int | None, ts_last: int) -> None:
        """All trades of the connection `number` up to `last` are stored."""
        member = self.members[number]
        member.since = member.at = self.last = last
        self.ts_last = ts_last

    def linked(self, number: int) -> bool:
        since = self.members[number].since
        return since is None or self._covers(since)

    def take(self, number: int, trade: Trade) -> None:
        """Take a trade of the connection `number`."""
        member = self.members[number]
        sequence = trade.sequence
        if sequence is None:
            self._take_unnumbered(trade)
            return
        gap, before = member.gap, member.at
        member.gap, member.at = None, sequence
        if member.stale:
            return
        if member.since is None:
            member.since = trade.first or sequence
        last = self.last
        left_out = gap if before is not None and member.since == before + 1 else None
        if last is not None and sequence <= last:
            if self._is_restarted(trade):
                self._restart(member, trade)
            elif left_out is not None:
                self._leave_out(left_out, sequence)
            return
        if not self._covers(member.since):
            member.held.append(trade)
            waited = trade.ts_recv - member.held[0].ts_recv
            if waited > PATIENCE or len(member.held) > HELD or not self._is_covered_by_another(member):
                self._declare(member, gap if before == last else None)
            return
        if left_out is not None:
            self._leave_out(left_out, sequence)
        self._store(trade)

    def _leave_out(self, gap: Coverage, sequence: int) -> None:
        """No number is missing before `sequence`: the venue itself left something out, and may say so on every connection."""
        if self._left_out is None or sequence > self._left_out:
            self._left_out = sequence
            self._tell(gap)
            self._tell(Coverage(self._key, "TRADES", "live", gap.cause, gap.ts_to or gap.ts_from, None))

    def _take_unnumbered(self, trade: Trade) -> None:
        """A trade that cannot be placed: known by its id only."""
        if trade.trade_id in self._ids:
            return
        self._ids[trade.trade_id] = None
        if len(self._ids) > REMEMBERED:
            del self._ids[next(iter(self._ids))]
        self.messages += 1
        self.ts_last = max(trade.ts_recv, self.ts_last)
        self._put(trade)

    def _store(self, trade: Trade) -> None:
        """Hand on a trade that links, and what others hold and links by it."""
        self._hand_on(trade)
        while any(self._release(member) for member in self.members if member.held):
            pass

    def _hand_on(self, trade: Trade) -> None:
        self.last = trade.sequence
        self._ts_event = trade.ts_event
        self.messages += 1
        self.ts_last = max(trade.ts_recv, self.ts_last)
        self._put(trade)

    def _release(self, member: TradeMember) -> bool:
        """Forget what is stored of what a member holds, and hand on the rest if it links by now; True if it did."""
        held = member.held
        while held and self.last is not None and held[0].sequence is not None and held[0].sequence <= self.last:
            held.popleft()
        if not held or member.since is None or not self._covers(member.since):
            return False
        member.held = deque()
        for trade in held:
            self._hand_on(trade)
        return True

    def _covers(self, since: int) -> bool:
        return self.last is None or since <= self.last + 1

    def _is_covered_by_another(self, member: TradeMember) -> bool:
        return any(
            other is not member
            and other.state == "live"
            and not other.stale
            and other.since is not None
            and self._covers(other.since)
            for other in self.members
        )

    def _declare(self, member: TradeMember, gap: Coverage | None) -> None:
        """No connection has what lies before the trades that `member` holds. `gap` is the member's own word on the same hole."""
        first, since, last = member.held[0], member.since, self.last
        assert since is not None
        assert last is not None
        missing = f"missing ids {last + 1} to {since - 1} ({since - last - 1})"
        self._hole("disconnect" if gap is None else gap.cause, first.ts_recv, missing if gap is None else gap.detail)
        self._store(member.held.popleft())

    def _is_restarted(self, trade: Trade) -> bool:
        return trade.ts_event is not None and self._ts_event is not None and trade.ts_event - self._ts_event > RESTARTED

    def _restart(self, member: TradeMember, trade: Trade) -> None:
        for other in self.members:
            other.held.clear()
            other.stale = other is not member
        member.since = trade.sequence
        self._left_out = None
        self._hole("venue_gap", trade.ts_recv, "numbers restarted")
        self._store(trade)

    def _broken(self, member: TradeMember, row: Coverage) -> None:
        """Its next trade tells whether anybody has what it missed."""
        self._forget(member)
        member.gap = row

    def _interrupted(self, member: TradeMember, row: Coverage) -> None:
        gap = member.gap
        self._forget(member)
        member.gap = None
        for other in self.members:
            if other.held and not self._is_covered_by_another(other):
                self._declare(other, None)
        if not self.live:
            if gap is not None:
                self._tell(gap)
            self._tell(row)

    def _forget(self, member: TradeMember) -> None:
        """Its run ends. What it held is beyond a hole that another connection was to fill, and so is part of that one's run."""
        member.since = None
        member.stale = False
        member.held.clear()
