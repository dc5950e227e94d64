"""Merged: one subscription that several connections carry, told as one. What books and trades have in common: the coverage.

Rule: a gap row is written only where no connection covers the interval, and always where none does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

import msgspec

from xtrader.clock import SECOND
from xtrader.model.market import Coverage, MarketRecord

Put: TypeAlias = Callable[[MarketRecord | Coverage], None]

HELD = 10_000
"""Records that one connection may hold back for one subscription."""
PATIENCE = 5 * SECOND
"""A connection that has promised what another one lacks has this long to bring it (by the messages of either)."""


class Member:
    """One connection's part in one subscription. `state` is down, syncing or live; `begun` is when it last became live."""

    __slots__ = ("begun", "state")

    def __init__(self) -> None:
        self.state = "down"
        self.begun = 0


MemberT = TypeVar("MemberT", bound=Member)


class Merged(ABC, Generic[MemberT]):
    """Takes the rows of every member, hands on what is true of all together."""

    def __init__(self, key: str, stream: str, members: list[MemberT], put: Put) -> None:
        self.members = members
        self.messages = 0
        """Records handed on."""
        self.ts_last = 0
        """`ts_recv` of the last of them; 0 before."""
        self._key = key
        self._stream = stream
        self._put = put
        self._state = ""
        self._depth: int | None = None
        """Depth of the snapshot behind what is live, as it was last told."""
        self._since = 0
        """Begin of the interval that was last told."""
        self._good = 0
        """Until when the connections that are gone are known to have recorded."""

    @property
    def live(self) -> int:
        """Connections on which it is live."""
        return sum(member.state == "live" for member in self.members)

    def cover(self, number: int, row: Coverage) -> None:
        """Take a Coverage row of the connection `number`."""
        member = self.members[number]
        if row.ts_to is not None:
            self._broken(member, row)
        elif row.state == "live":
            if member.state != "live":
                member.begun = row.ts_from
            member.state = "live"
            if self._state != "live":
                self._tell(row)
        else:
            if row.state == "gap" and member.state == "live" and row.ts_from > member.begun:
                self._good = max(self._good, row.ts_from)
            member.state = "down" if row.state == "gap" else "syncing"
            self._interrupted(member, row)

    def resume(self, number: int, state: str, since: int) -> None:
        """The connection `number` was the only one until now, and stands like this (an Activity's state) since `since` (ns)."""
        self._state = "gap" if state == "rejected" else state
        self._since = since
        self.members[number].state = "down" if state == "rejected" else state
        self.members[number].begun = since

    def covered(self, *, without: int) -> bool:
        """True if it is live on another connection than `without`."""
        return any(member.state == "live" for number, member in enumerate(self.members) if number != without)

    @abstractmethod
    def linked(self, number: int) -> bool:
        """True if the connection `number` alone could go on where the recording stands, as far as is known."""

    @abstractmethod
    def _broken(self, member: MemberT, row: Coverage) -> None:
        """The member missed something: a closed gap."""

    @abstractmethod
    def _interrupted(self, member: MemberT, row: Coverage) -> None:
        """The member delivers nothing from now on: an open row that is not live."""

    def _tell(self, row: Coverage) -> None:
        """Hand a row on, unless it says nothing new, or another connection is already on its way back."""
        if row.ts_to is not None:
            self._state = ""
        elif row.state == self._state or (row.state == "gap" and self._is_coming_back()):
            return
        else:
            self._state = row.state
            self._since = row.ts_from
            self._depth = row.depth
        if row.state == "gap" and row.ts_from < self.ts_last and (row.ts_to is None or self.ts_last < row.ts_to):
            # Its connection fell silent, another one recorded on for a while.
            row = msgspec.structs.replace(row, ts_from=self.ts_last)
        self._put(row)

    def _is_coming_back(self) -> bool:
        return self._state == "syncing" and any(member.state == "syncing" for member in self.members)

    def _hole(
        self,
        cause: str,
        ts_to: int,
        detail: str,
        ids: tuple[int | None, int | None] = (None, None),
        depth: int | None = None,
    ) -> tuple[int, int]:
        """Declare what no connection has (`ids`: first and last missing number), from the last record on, and live from `ts_to`
        on, a book with `depth`. Returns begin and end of the gap."""
        ts_from = max(self.ts_last, self._since)
        self._since = ts_to = max(ts_to, ts_from)
        self._put(Coverage(self._key, self._stream, "gap", cause, ts_from, ts_to, detail, *ids))
        self._state = "live"
        self._depth = depth
        self._put(Coverage(self._key, self._stream, "live", cause, ts_to, None, depth=depth))
        return ts_from, ts_to
