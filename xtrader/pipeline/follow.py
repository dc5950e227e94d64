"""Follows a journal that another process writes, without a lock and without disturbing it.

The rule: frames are handed out in groups, each of which ends with a frame that completes all that was received until then, so
that nobody sees a coverage row without the snapshot that belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from xtrader.errors import ConfigError
from xtrader.model.instrument import Instrument
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Payload
from xtrader.pipeline.frames import Damaged, JournalFrame, Segment, read_frames, segments
from xtrader.pipeline.state import JournalState

T = TypeVar("T")


class FellBehind(Exception):
    """The recorder has deleted frames that were not read yet; begin anew."""


def newest(journal: Path) -> int | None:
    """Where the newest file begins, which says in its head all that held before; None if there is no journal. Raises OSError."""
    try:
        return max((segment.base for segment in segments(journal)), default=None)
    except (FileNotFoundError, NotADirectoryError):
        return None


def journals(directory: Path) -> list[Path]:
    """The journals in a recorder's journal directory: its own, and those of its workers. Raises ConfigError if there is none."""
    found = [path for path in (directory, *sorted(directory.glob("worker-*"))) if newest(path) is not None]
    if not found:
        raise ConfigError(f"there is no journal of a recorder in '{directory}'")
    return found


class Follower:
    """Reads a journal's frames from `position`, the beginning of a segment."""

    def __init__(self, journal: Path, position: int) -> None:
        self._journal = journal
        self._position = position

    def groups(self) -> Iterator[list[Payload] | Damaged]:
        """What was written since the last call: groups of frames, and between them what is damaged; a group that is being
        written waits for the next call. Raises FellBehind, OSError, ConfigError for a newer format."""
        position = self._position
        held: list[Payload] = []
        damaged: Damaged | None = None
        for item in _frames(self._journal, position):
            if item.offset != position:
                if position == self._position:
                    raise FellBehind
                # A file that grew after its size was looked at, and one that began since: the next call sees both whole.
                return
            position = item.end
            if isinstance(item, Damaged):
                damaged = item
                continue
            if damaged is not None:
                # Only now is it known not to be a frame in the making. What it began cannot be completed.
                held.clear()
                self._position = damaged.end
                yield damaged
                damaged = None
            payload = codec.read_payload(item.payload)
            held.append(payload)
            if payload.flags & codec.WHOLE or payload.kind == codec.META:
                self._position = position
                yield held
                held = []


class Track:
    """One journal, read on from the head of its newest file, and what its frames add up to."""

    def __init__(self, journal: Path) -> None:
        self.state = JournalState("", {})
        self.journal = journal
        self._begun = newest(journal) or 0
        self._follower = Follower(journal, self._begun)
        self._kept: list[list[Payload] | Damaged] = []

    def read_on(self) -> bool:
        """Fold one more group, which `payloads` hands out all the same; False if there is none. Raises as Follower.groups."""
        group = next(self._groups(), None)
        if group is not None:
            self._kept.append(group)
        return group is not None

    def payloads(self) -> Iterator[Payload | Damaged]:
        """What was written since; folded already. Raises as Follower.groups."""
        while self._kept:
            yield from _single(self._kept.pop(0))
        for group in self._groups():
            yield from _single(group)

    def earlier(self) -> Iterator[Iterator[Payload | Damaged]]:
        """What is in the files before the one at which it began, the newest file first. Raises FellBehind, OSError."""
        for segment in reversed(segments(self.journal)):
            if segment.base < self._begun:
                yield self._within(segment)

    def _groups(self) -> Iterator[list[Payload] | Damaged]:
        for group in self._follower.groups():
            for payload in group if isinstance(group, list) else ():
                self.state.take(payload)
            yield group

    def _within(self, segment: Segment) -> Iterator[Payload | Damaged]:
        position = segment.base
        for item in _frames(self.journal, segment.base, segment.end):
            if item.offset != position:
                raise FellBehind
            position = item.end
            yield item if isinstance(item, Damaged) else codec.read_payload(item.payload)


def _frames(journal: Path, start: int, limit: int | None = None) -> Iterator[JournalFrame | Damaged]:
    try:
        yield from read_frames(journal, start, limit)
    except FileNotFoundError:
        # A file that was listed and is deleted before it is opened.
        raise FellBehind from None


def _single(group: list[Payload] | Damaged) -> Iterable[Payload | Damaged]:
    return group if isinstance(group, list) else (group,)


def tracks(directory: Path) -> list[Track]:
    """A track of each journal of a recorder. Raises ConfigError if there is none, OSError."""
    return [Track(journal) for journal in journals(directory)]


def instruments(found: Sequence[Track]) -> list[Instrument]:
    """The instruments that a recorder knows, as far as its journals were read."""
    known: dict[str, Instrument] = {}
    for track in found:
        known |= track.state.instruments
    return list(known.values())


def find(found: Sequence[Track], choose: Callable[[list[Instrument]], T | None]) -> T | None:
    """What `choose` makes of the instruments. The journals are read on only until it is something. Raises as Follower.groups."""
    known = -1
    while True:
        more = [track.read_on() for track in found]
        count = sum(len(track.state.instruments) for track in found)
        if count != known:
            known = count
            chosen = choose(instruments(found))
            if chosen is not None:
                return chosen
        if not any(more):
            return None
