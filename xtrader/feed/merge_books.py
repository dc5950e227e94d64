"""MergedBook: one chain of book messages out of several connections that may cut the same changes into different messages.

Rule: one connection owns the chain. It changes hands only where the other one's message follows the last stored state, or its range
covers the next one: sizes are absolute, so a message that begins earlier and reaches further leads to the same book. Where none
does, there is a gap row, and the book begins anew from a snapshot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from xtrader.clock import SECOND
from xtrader.feed.merge import HELD, PATIENCE, Member, Merged, Put
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage

AHEAD = SECOND
"""A connection that is ahead of the owner by this much takes over: the owner hangs, and what waits in memory is not yet safe."""


class BookMember(Member):
    """A connection's book. `held` are its messages beyond the stored state, `base` the state that the first of them follows
    (its newest state if there are none); None if that is not known. `resets` counts how often its numbers began anew: those of
    before and after cannot be compared. `depth` is that of its snapshot."""

    __slots__ = ("base", "book", "depth", "held", "resets", "ts_last")

    def __init__(self, book: Callable[[], Book | None]) -> None:
        super().__init__()
        self.book = book
        self.base: int | None = None
        self.depth: int | None = None
        self.held: deque[BookUpdate] = deque()
        self.resets = 0
        self.ts_last = 0

    def begin(self, base: int | None) -> None:
        """Nothing is held, the newest state is `base`."""
        self.held.clear()
        self.base = base

    def passed(self, sequence: int) -> None:
        """Forget what is held of states up to `sequence`."""
        held = self.held
        while held and (reached := held[0].sequence) is not None and reached <= sequence:
            self.base = reached
            held.popleft()


class MergedBook(Merged[BookMember]):
    """`books` give the live book of each connection."""

    def __init__(self, key: str, books: Sequence[Callable[[], Book | None]], put: Put) -> None:
        super().__init__(key, "L2", [BookMember(book) for book in books], put)
        self.owner: BookMember | None = None
        self.last: int | None = None
        """The venue's number of the last stored state."""
        self._resets = 0
        """How often the numbers of what is stored began anew."""
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
        super().cover(number, row)

    def own(self, number: int, sequence: int | None, ts_last: int, depth: int | None) -> None:
        """The connection `number` owns the chain; what it said up to the state `sequence` is stored, its snapshot has `depth`."""
        self.owner = self.members[number]
        self.owner.depth = self._depth = depth
        self.last = sequence
        self.ts_last = ts_last

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
            member.resets = self._resets
            self._store(update)
        else:
            self._stand_by(member, update)

    def _own(self, member: BookMember, update: BookUpdate) -> None:
        last, sequence, previous = self.last, update.sequence, update.prev_sequence
        if update.is_snapshot or previous == last:
            if sequence is not None and last is not None and sequence < last:
                self._resets += 1
                member.resets = self._resets
            self._store(update)
        elif sequence is None or last is None or previous is None:
            self._start_over(member, "disconnect", "messages without numbers")
        elif sequence < previous:
            member.resets += 1
            self._start_over(member, "venue_gap", "numbers restarted")
        elif previous < last < sequence:
            self._store(msgspec.structs.replace(update, prev_sequence=last))
        elif sequence > last:
            self._start_over(member, "disconnect", f"nothing links {last} to {previous}")
        elif update.ts_recv - self.ts_last > PATIENCE:
            self._start_over(member, "venue_gap", f"{last} was not reached, the venue is at {sequence}")

    def _store(self, update: BookUpdate) -> None:
        self._follows = True
        self.last = last = update.sequence
        self.messages += 1
        self.ts_last = max(update.ts_recv, self.ts_last)
        self._put(update)
        if last is not None:
            for member in self.members:
                if member.held:
                    member.passed(last)
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
            member.begin(sequence)
            member.resets = self._resets
            return
        if sequence is None or previous is None or sequence < previous:
            member.begin(sequence)
            member.resets += 1
            return
        if self.last is not None and sequence <= self.last and not member.held:
            member.base = sequence
            return
        held = member.held
        held.append(update)
        ahead = update.ts_recv - held[0].ts_recv
        if len(held) <= HELD and ahead <= AHEAD:
            return
        if self._links(member):
            old, self.owner = self.owner, member
            if old is not None:
                old.begin(self.last)
            self._go_on(member)
        elif len(held) > HELD or ahead > PATIENCE:
            # What the owner owes does not come any more.
            member.begin(sequence)
            if member.state == "live" and self.owner is not None:
                self.owner.begin(None)
                self._start_over(member, "silent", f"nothing follows {self.last}, the venue is at {sequence}")

    def _links(self, member: BookMember) -> bool:
        if member.state != "live" or member.base is None or self.last is None:
            return False
        return member.resets == self._resets and member.base <= self.last

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
        self._resets = member.resets
        member.begin(None)
        if book is None:
            # It has just lost its own sync; its rows follow.
            member.state = "syncing"
            self._tell(Coverage(self._key, "L2", "gap", cause, self.ts_last, None, detail))
            return
        ts = max(member.ts_last, self.ts_last)
        self._hole(cause, ts, detail, depth=member.depth)
        self._store(_snapshot(self._key, book, ts))


def _snapshot(key: str, book: Book, ts: int) -> BookUpdate:
    return BookUpdate(key, True, book.bids.levels(), book.asks.levels(), book.sequence, None, None, ts)
