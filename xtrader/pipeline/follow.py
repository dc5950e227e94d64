"""Follows a journal that another process writes, without a lock and without disturbing it.

The rule: frames are handed out in groups, each of which ends with a frame that completes all that was received until then, so
that nobody sees a coverage row without the snapshot that belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xtrader.errors import ConfigError
from xtrader.model.instrument import Instrument
from xtrader.pipeline import codec
from xtrader.pipeline.codec import Payload
from xtrader.pipeline.frames import Damaged, read_frames, segments
from xtrader.pipeline.state import State


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


def instruments_of(directory: Path) -> list[Instrument]:
    """All instruments that a recorder knows. Raises ConfigError if there is no journal, OSError."""
    known: dict[str, Instrument] = {}
    for journal in journals(directory):
        track = Track(journal, newest(journal) or 0)
        for _ in track.payloads():
            pass
        known |= track.state.instruments
    return list(known.values())


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
        for item in read_frames(self._journal, position):
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
                yield damaged
                damaged = None
            payload = codec.read_payload(item.payload)
            held.append(payload)
            if payload.flags & codec.WHOLE or payload.kind == codec.META:
                self._position = position
                yield held
                held = []


class Track:
    """One journal, read on from `position`, and what its frames add up to."""

    def __init__(self, journal: Path, position: int) -> None:
        self.state = State("", {})
        self._follower = Follower(journal, position)

    def payloads(self) -> Iterator[Payload | Damaged]:
        """What was written since; folded already."""
        for group in self._follower.groups():
            if isinstance(group, Damaged):
                yield group
                continue
            for payload in group:
                self.state.take(payload)
                yield payload
