"""MergedTrades: the trades of one instrument out of several connections, each once, by the venue's numbers.

Rule: a trade is stored as soon as its connection links it to the last stored one without a hole. What lies beyond a hole waits
while another connection covers it; when none does, the hole is a gap row, and is filled by whichever connection brings it later.
"""

from __future__ import annotations

from collections import deque

import msgspec

from xtrader.feed.merge import HELD, PATIENCE, Member, Merged, Put
from xtrader.model.market import Coverage, Trade
from xtrader.venues.machine.trades import RESTART_AFTER, Hole, Names, Numbers, SeenTrades, filled, missing


class TradeMember(Member):
    """A connection's trades: an unbroken run from the number `since` on (None before its first trade), or such a run that has
    ended. `held` are those beyond a hole, by their numbers; `gap` is what the connection itself last said to be missing."""

    __slots__ = ("gap", "held", "since")

    def __init__(self) -> None:
        super().__init__()
        self.since: int | None = None
        self.held: deque[Trade] = deque()
        self.gap: Coverage | None = None

    def hold(self, trade: Trade) -> None:
        """Keep a trade for later."""
        held, place = self.held, len(self.held)
        while place and _last(held[place - 1]) > _last(trade):
            place -= 1
        held.insert(place, trade)


class MergedTrades(Merged[TradeMember]):
    """`connections` is how many there are."""

    def __init__(self, key: str, connections: int, put: Put) -> None:
        super().__init__(key, "TRADES", [TradeMember() for _ in range(connections)], put)
        self._numbers = Numbers(None)
        self._left: list[TradeMember] = []
        """What members held as their runs ended: nobody may ever bring what lies before it."""
        self._names = Names()
        self._ts_begun: int | None = None
        """The time of the first trade of the count that is stored; None for the first count."""

    @property
    def last(self) -> int | None:
        """The highest number that is stored."""
        return self._numbers.last

    def seen(self) -> SeenTrades | None:
        """Which trades are stored; None before the first."""
        return self._names.handed_on(self._numbers.seen())

    def begin(self, number: int, seen: SeenTrades | None, ts_last: int) -> None:
        """All trades that the connection `number` has seen are stored, the last of them received at `ts_last` (int ns)."""
        self._numbers = Numbers(seen)
        self._names = Names(() if seen is None else seen.names)
        self.members[number].since = self.last
        self.ts_last = ts_last

    def linked(self, number: int) -> bool:
        since = self.members[number].since
        return since is None or self._covers(since)

    def cover(self, number: int, row: Coverage) -> None:
        # What came late on one connection may have been there on another one: its trade tells.
        if row.cause != "filled":
            super().cover(number, row)

    def take(self, number: int, trade: Trade) -> None:
        """Take a trade of the connection `number`."""
        member = self.members[number]
        sequence = trade.sequence
        if sequence is None:
            self._take_unnumbered(trade)
            return
        gap, member.gap = member.gap, None
        while any(run.held and self._is_late(run, trade.ts_recv) for run in self._runs()):
            self._declare(gap)
        if self._ts_begun is not None and self._is_of_an_earlier_count(trade):
            return
        if member.since is None:
            member.since = _first(trade)
        last = self.last
        if last is not None and sequence <= last:
            if self._numbers.restarted(trade.ts_event):
                self._restart(member, trade)
            else:
                self._take_late(trade)
        elif self._covers(member.since) or self._covers(_first(trade)):
            self._store(trade)
        else:
            member.hold(trade)
            while any(run.held and self._is_due(run) for run in (member, *self._left)):
                self._declare(gap)

    def _take_unnumbered(self, trade: Trade) -> None:
        """A trade that cannot be placed: known by its id and time only."""
        if self._names.add((trade.trade_id, trade.ts_event)):
            self._hand_on(trade)

    def _take_late(self, trade: Trade) -> None:
        """A trade below the last stored one: it fills a hole, or is stored already."""
        holes = self._numbers.fill(_first(trade), _last(trade))
        for hole in holes:
            self._put(filled(self._key, hole))
        if holes:
            self._hand_on(trade)

    def _store(self, trade: Trade, hole: Hole | None = None) -> None:
        """Hand on a trade that links, or that is beyond a declared hole, and what others hold and links by it."""
        self._append(trade, hole)
        while any(self._release(run) for run in self._runs() if run.held):
            pass
        if self._left:
            self._left = [run for run in self._left if run.held]

    def _append(self, trade: Trade, hole: Hole | None = None) -> None:
        """Hand on a trade that is beyond all that are stored. What its connection left out without a word may still come."""
        numbers, first = self._numbers, _first(trade)
        if numbers.last is None:
            numbers.begin(first, self._since, trade.ts_recv)
        elif first > numbers.last + 1:
            ts = trade.ts_recv
            numbers.skip(hole or Hole(numbers.last + 1, first - 1, min(self.ts_last, ts), ts))
        numbers.last = trade.sequence
        numbers.ts_event = trade.ts_event
        self._hand_on(trade)

    def _hand_on(self, trade: Trade) -> None:
        self.messages += 1
        self.ts_last = max(trade.ts_recv, self.ts_last)
        self._put(trade)

    def _release(self, member: TradeMember) -> bool:
        """Hand on what links by now of what a member holds, and forget what is stored; True if anything was handed on."""
        held, before = member.held, self.messages
        while held and self.last is not None:
            if _last(held[0]) <= self.last:
                self._take_late(held.popleft())
            elif self._covers(_first(held[0])) or (member.since is not None and self._covers(member.since)):
                self._append(held.popleft())
            else:
                break
        return self.messages > before

    def _runs(self) -> list[TradeMember]:
        return [*self.members, *self._left] if self._left else self.members

    def _covers(self, since: int) -> bool:
        return self.last is None or since <= self.last + 1

    def _is_covered_by_another(self, member: TradeMember) -> bool:
        return any(
            other is not member and other.state == "live" and other.since is not None and self._covers(other.since)
            for other in self.members
        )

    def _is_late(self, run: TradeMember, now: int) -> bool:
        """True if what a run holds has waited for too long."""
        return now - run.held[0].ts_recv > PATIENCE

    def _is_due(self, run: TradeMember) -> bool:
        """True if nobody brings what lies before the trades that a run holds."""
        return len(run.held) > HELD or not self._is_covered_by_another(run)

    def _declare(self, gap: Coverage | None) -> None:
        """No connection has what lies before the first of all trades that are held. `gap` is a member's own word on a hole."""
        member = min((run for run in self._runs() if run.held), key=lambda one: _last(one.held[0]))
        trade, last = member.held.popleft(), self.last
        assert last is not None
        ids = last + 1, _first(trade) - 1
        cause = "disconnect" if gap is None or (gap.ids_from, gap.ids_to) != ids else gap.cause
        self._store(trade, Hole(*ids, *self._hole(cause, trade.ts_recv, missing(*ids), ids)))

    def _is_of_an_earlier_count(self, trade: Trade) -> bool:
        """True for what a connection still brings of before the venue began to count anew: only the time tells."""
        return self._ts_begun is not None and trade.ts_event is not None and trade.ts_event < self._ts_begun - RESTART_AFTER

    def _restart(self, member: TradeMember, trade: Trade) -> None:
        self._ts_begun = trade.ts_event
        for other in self._runs():
            # One that is ahead may have begun anew long ago, with a number that was above the last one by chance.
            other.held = deque(one for one in other.held if not self._is_of_an_earlier_count(one))
            other.since = _first(other.held[0]) if other.held else None
        member.since = _first(trade)
        self._hole("venue_gap", trade.ts_recv, "numbers restarted")
        self._numbers = Numbers(None)
        self._store(trade)

    def _broken(self, member: TradeMember, row: Coverage) -> None:
        """Its next trade tells whether anybody has what it missed."""
        self._forget(member)
        member.gap = row

    def _interrupted(self, member: TradeMember, row: Coverage) -> None:
        gap = member.gap
        self._forget(member)
        member.gap = None
        for other in self._runs():
            while other.held and not self._is_covered_by_another(other):
                self._declare(None)
        if not self.live:
            # What any of them is known to have recorded; one that brought nothing knows nothing.
            known = max(self._good, self._since, self.ts_last)
            if gap is not None:
                self._tell(gap if gap.ts_from <= known else msgspec.structs.replace(gap, ts_from=known))
            if row.state == "gap" and self._state == "live":
                row = msgspec.structs.replace(row, ts_from=known)
            self._tell(row)

    def _forget(self, member: TradeMember) -> None:
        """Its run ends. What it held waits for the connection that was to bring what lies before it."""
        if member.held:
            left = TradeMember()
            left.since, left.held = member.since, member.held
            self._left.append(left)
            member.held = deque()
        member.since = None
        while sum(len(run.held) for run in self._left) > HELD:
            self._declare(None)


def _first(trade: Trade) -> int:
    """The first number that a trade stands for."""
    return _last(trade) if trade.first is None else trade.first


def _last(trade: Trade) -> int:
    assert trade.sequence is not None
    return trade.sequence
