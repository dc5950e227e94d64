"""MergedBook: one chain of book messages out of several connections that may cut the same changes into different messages.

Rule: one connection owns the chain. It changes hands only where the other one's message follows the last stored state, or its range
covers the next one: sizes are absolute, so a message that begins earlier and reaches further leads to the same book. Where none
does, there is a gap row, and the book begins anew from a snapshot.

A venue may begin to count anew, and one connection shows it before the other, so a number alone names no state: a connection is
compared by numbers once it was seen at a stored state, by number and time, or at the last one by number and the whole book.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from xtrader.clock import SECOND
from xtrader.feed.merge import HELD, PATIENCE, Member, Merged, Put
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage

AWAY = SECOND
"""A venue that begins to count anew is away for longer than this, and tells one state's time on two connections less far apart."""
AHEAD = SECOND
"""A connection that is ahead of the owner by this much takes over: the owner hangs, and what waits in memory is not yet safe."""


class BookMember(Member):
    """A connection's book. `held` are its messages beyond the stored state, `base` the state that the first of them follows
    (its newest state if there are none) and `ts_base` the venue's time of that; None if it is not known. `is_placed` is True once
    its numbers are known to be of the same count as the stored ones. `depth` is that of its snapshot."""

    __slots__ = ("base", "book", "depth", "held", "is_placed", "ts_base", "ts_last")

    def __init__(self, book: Callable[[], Book | None]) -> None:
        super().__init__()
        self.book = book
        self.base: int | None = None
        self.ts_base: int | None = None
        self.is_placed = False
        self.depth: int | None = None
        self.held: deque[BookUpdate] = deque()
        self.ts_last = 0

    def begin(self, base: int | None, ts_event: int | None = None, *, is_placed: bool = False) -> None:
        """Nothing is held, the newest state is `base`."""
        self.held.clear()
        self.base = base
        self.ts_base = ts_event
        self.is_placed = is_placed


class MergedBook(Merged[BookMember]):
    """`books` give the live book of each connection."""

    def __init__(self, key: str, books: Sequence[Callable[[], Book | None]], put: Put) -> None:
        super().__init__(key, "L2", [BookMember(book) for book in books], put)
        self.owner: BookMember | None = None
        self.last: int | None = None
        """The venue's number of the last stored state."""
        self._ts_event: int | None = None
        """The venue's time of the last stored state; None if it is not known."""
        self._ts_begun: int | None = None
        """The first time that is known of since when the stored numbers are one count."""
        self._follows = True
        """False while a new owner has yet to reach the last stored state."""
        self._is_deepening = False
        """The owner has a deeper book than what is stored, and it is to be stored as soon as both are of the same state."""

    def cover(self, number: int, row: Coverage) -> None:
        """Take a Coverage row of the connection `number`; one that only says that the owner's snapshot is a deeper one, too."""
        member = self.members[number]
        if row.state == "live" and row.ts_to is None:
            member.depth = row.depth
            if self._state == "live" and member is self.owner and row.depth != self._depth:
                self._state = ""
            # Only now it is known how deep its snapshot is.
            self._place(member)
        super().cover(number, row)

    def own(self, number: int, sequence: int | None, ts_last: int, depth: int | None) -> None:
        """The connection `number` owns the chain; what it said up to the state `sequence` is stored, its snapshot has `depth`."""
        self.owner = self.members[number]
        self.owner.is_placed = True
        self.owner.depth = self._depth = depth
        self.last = sequence
        self.ts_last = ts_last

    def stored(self) -> Book | None:
        """The owner's book where that is at the last stored state."""
        book = None if self.owner is None else self.owner.book()
        return book if book is not None and book.sequence == self.last else None

    def linked(self, number: int) -> bool:
        return self._links(self.members[number])

    def take(self, number: int, update: BookUpdate) -> None:
        """Take a message of the connection `number`."""
        member = self.members[number]
        member.ts_last = update.ts_recv
        if member is self.owner:
            self._own(member, update)
        elif self.owner is None and update.is_snapshot:
            self.owner = member
            member.begin(update.sequence)
            self._count_anew(update.ts_event)
            self._store(update)
        else:
            self._stand_by(member, update)

    def _own(self, member: BookMember, update: BookUpdate) -> None:
        last, sequence, previous = self.last, update.sequence, update.prev_sequence
        if update.is_snapshot or previous == last:
            if update.is_snapshot or (sequence is not None and last is not None and sequence < last):
                self._count_anew(update.ts_event)
            self._store(update)
        elif sequence is None or last is None or previous is None:
            self._start_over(member, "disconnect", "messages without numbers")
        elif sequence < previous:
            member.is_placed = False
            self._start_over(member, "venue_gap", "numbers restarted")
        elif previous < last < sequence:
            self._store(msgspec.structs.replace(update, prev_sequence=last))
        elif sequence > last:
            self._start_over(member, "disconnect", f"nothing links {last} to {previous}")
        elif update.ts_recv - self.ts_last > PATIENCE:
            self._start_over(member, "venue_gap", f"{last} was not reached, the venue is at {sequence}")

    def _store(self, update: BookUpdate) -> None:
        self._follows = True
        self.last = update.sequence
        self._ts_event = update.ts_event
        if self._ts_begun is None:
            self._ts_begun = update.ts_event
        self.messages += 1
        self.ts_last = max(update.ts_recv, self.ts_last)
        self._put(update)
        for member in self.members:
            if member.held:
                self._pass(member)
            if not member.is_placed:
                self._place(member)
        if self._is_deepening:
            self._deepen()

    def _deepen(self) -> None:
        owner = self.owner
        book = None if owner is None else owner.book()
        depth = None if owner is None else owner.depth
        self._is_deepening = depth is not None and self._depth is not None and depth > self._depth
        if owner is None or book is None or not self._is_deepening or book.sequence != self.last:
            return
        self._is_deepening = False
        ts = max(owner.ts_last, self.ts_last)
        self._store(_snapshot(self._key, book, ts))
        self._state = ""
        self._tell(Coverage(self._key, "L2", "live", "disconnect", ts, None, depth=owner.depth))

    def _stand_by(self, member: BookMember, update: BookUpdate) -> None:
        sequence, previous = update.sequence, update.prev_sequence
        if update.is_snapshot:
            member.depth = None
        if update.is_snapshot or sequence is None or previous is None or sequence < previous:
            member.begin(sequence, update.ts_event)
            self._place(member)
            return
        held = member.held
        if not held and self._is_passed(member, update):
            member.base, member.ts_base = sequence, update.ts_event
            if not member.is_placed:
                self._place(member)
            return
        held.append(update)
        ahead = update.ts_recv - held[0].ts_recv
        if len(held) <= HELD and ahead <= AHEAD:
            return
        if self._links(member):
            old, self.owner = self.owner, member
            if old is not None:
                old.begin(self.last, self._ts_event, is_placed=True)
            self._go_on(member)
        elif len(held) > HELD or ahead > PATIENCE:
            # What the owner owes does not come any more.
            member.begin(sequence)
            if member.state == "live" and self.owner is not None:
                self.owner.begin(None)
                self._start_over(member, "silent", f"nothing follows {self.last}, the venue is at {sequence}")

    def _is_passed(self, member: BookMember, update: BookUpdate) -> bool:
        """True if what a member says leads to no state beyond the stored one, as far as is known."""
        if self.last is None or update.sequence is None or update.sequence > self.last:
            return False
        if member.is_placed or update.ts_event is None or self._ts_event is None:
            return True
        return update.ts_event <= self._ts_event + AWAY

    def _pass(self, member: BookMember) -> None:
        """Forget what a member holds of states that are passed."""
        held = member.held
        while held and self._is_passed(member, held[0]):
            passed = held.popleft()
            member.base, member.ts_base = passed.sequence, passed.ts_event

    def _links(self, member: BookMember) -> bool:
        return member.state == "live" and self._place(member)

    def _place(self, member: BookMember) -> bool:
        """True if a member's base is known to be one of the stored states."""
        base, last = member.base, self.last
        if base is None or last is None or base > last:
            return False
        if not member.is_placed:
            member.is_placed = self._is_of_this_count(member.ts_base) or (base == last and self._is_same_book(member))
        return member.is_placed

    def _is_of_this_count(self, ts_event: int | None) -> bool:
        begun, last = self._ts_begun, self._ts_event
        return begun is not None and last is not None and ts_event is not None and begun - AWAY <= ts_event <= last + AWAY

    def _is_same_book(self, member: BookMember) -> bool:
        """True if a member's book holds what the owner's does, both at the last stored state: what tells of a snapshot that the
        venue gives no time, and of one of a quiet instrument, which is newer by its time than the state."""
        owner, book = self.owner, member.book()
        stored = None if owner is None else owner.book()
        if owner is None or book is None or stored is None or not book.sequence == stored.sequence == self.last:
            return False
        depth = min((one.depth for one in (owner, member) if one.depth is not None), default=None)
        if depth is None:
            return (book.bids.sizes, book.asks.sizes) == (stored.bids.sizes, stored.asks.sizes)
        return (book.bids.levels(depth), book.asks.levels(depth)) == (stored.bids.levels(depth), stored.asks.levels(depth))

    def _count_anew(self, ts_event: int | None) -> None:
        """What the owner says from here on may be of another count than before. `ts_event` is the time of its first state."""
        self._ts_begun = self._ts_event = ts_event
        for member in self.members:
            member.is_placed = member is self.owner

    def _broken(self, member: BookMember, row: Coverage) -> None:
        member.state = "syncing"
        self._interrupted(member, row)

    def _interrupted(self, member: BookMember, row: Coverage) -> None:
        member.begin(None)
        if member is self.owner:
            heirs = [other for other in self.members if other.state == "live"]
            heir = next(filter(self._links, heirs), heirs[0] if heirs else None)
            if heir is not None and self._links(heir):
                self.owner = heir
                self._go_on(heir)
                return
            if heir is not None:
                self._start_over(heir, row.cause, row.detail)
                return
            self.owner = None
            if not self._follows:
                row = msgspec.structs.replace(row, ts_from=min(self.ts_last, row.ts_from))
        if not self.live:
            self._tell(row)

    def _go_on(self, member: BookMember) -> None:
        """The chain goes on with what the new owner holds; if it holds nothing, it may still be behind."""
        self._follows = False
        held, member.held = member.held, deque()
        for update in held:
            self._own(member, update)
        self._deepen()

    def _start_over(self, member: BookMember, cause: str, detail: str) -> None:
        """Nothing links: a gap row, and the member's book as a snapshot."""
        book = member.book()
        self.owner = None if book is None else member
        is_placed = member.is_placed
        member.begin(None, is_placed=True)
        if book is None:
            # It has just lost its own sync; its rows follow.
            member.state = "syncing"
            self._tell(Coverage(self._key, "L2", "gap", cause, self.ts_last, None, detail))
            return
        ts = max(member.ts_last, self.ts_last)
        if not is_placed:
            self._count_anew(None)
        self._hole(cause, ts, detail, depth=member.depth)
        self._store(_snapshot(self._key, book, ts))


def _snapshot(key: str, book: Book, ts: int) -> BookUpdate:
    return BookUpdate(key, True, book.bids.levels(), book.asks.levels(), book.sequence, None, None, ts)
