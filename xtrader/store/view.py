"""A recording at one instant: for each stream of an instrument, who recorded it and what there is of it, files and live end.

The rule: one view answers one question, so that everything in an answer is of the same instant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from xtrader.store.place import Listed, Part, Place
from xtrader.store.tail import Rest, Tail, pin

RARE = ("COVERAGE", "INSTRUMENTS")
"""The streams that say what there is: few rows, of every instrument."""


class Source(NamedTuple):
    """What one collector recorded of one stream of one instrument, in the order of recording: parts, then the tables of the
    journal. `until` is the time up to which it is known to have recorded, `kept` holds parts of the rare streams, by path."""

    filesystem: Any
    collector: str
    stream: str
    key: str
    parts: Sequence[Part]
    tail: Sequence[Any]
    until: int
    kept: dict[str, Any]


class View:
    """The sources of one or more places. `streams` are those that are wanted. `choose` is handed the view when it has the rare
    streams of all instruments, and says of which instruments the others are wanted."""

    def __init__(
        self, places: Sequence[Place], streams: Collection[str], choose: Callable[[View], Collection[str]] | None = None
    ) -> None:
        self.known: set[str] = set()
        """The instrument keys of any stream."""
        self._sources: dict[tuple[str, str], list[Source]] = {}
        with contextlib.ExitStack() as stack:
            opened = [_Opened(place, stack) for place in places]
            for one in opened:
                self.known |= one.keys()
                self._add(one, RARE, one.rare)
            self.chosen = self.known if choose is None else choose(self)
            """The instrument keys that were chosen."""
            streams = [stream for stream in streams if stream not in RARE]
            for one in opened if streams and self.chosen else ():
                self._add(one, streams, one.read(streams, self.chosen))

    def sources(self, stream: str, key: str) -> list[Source]:
        """One for each collector that has any of it."""
        return self._sources.get((stream, key), [])

    def keys(self, stream: str) -> list[str]:
        """The chosen instruments that have anything of a stream, sorted."""
        return sorted(key for one, key in self._sources if one == stream and key in self.chosen)

    def _add(self, opened: _Opened, streams: Collection[str], rest: Rest) -> None:
        for collector in opened.collectors:
            parts, ts_last, _ = opened.listed.get(collector, Listed({}, 0, 0))
            own = collector == opened.writer
            until = max(ts_last, opened.rare.alive) if own else ts_last
            for stream, key in {*parts, *(rest.tables if own else ())}:
                if stream in streams:
                    where = (stream, key)
                    found = [part for part in parts.get(where, ()) if not own or part.last_offset <= opened.start]
                    tables = rest.tables.get(where, []) if own else []
                    source = Source(opened.place.filesystem, collector, stream, key, found, tables, until, opened.place.kept)
                    self._sources.setdefault(where, []).append(source)


class _Opened:
    """A place with its journal held, then its lists read. Journal offsets below `start` are in the lists."""

    def __init__(self, place: Place, stack: contextlib.ExitStack) -> None:
        self.place = place
        self._tail: Tail | None = None if place.journal is None else pin(place.journal)
        self.writer = ""
        if self._tail is not None:
            stack.enter_context(self._tail)
            self.writer = self._tail.collector
        self.listed = place.listed()
        self.collectors = sorted({*self.listed, *filter(None, [self.writer])})
        self.start = 0
        if self._tail is not None:
            own = self.listed.get(self.writer)
            self.start = max(self._tail.start, own.merged_to if own else 0)
        self.rare = self.read(RARE, None)

    def read(self, streams: Collection[str], keys: Collection[str] | None) -> Rest:
        return Rest({}, 0) if self._tail is None else self._tail.read(self.start, streams, keys)

    def keys(self) -> set[str]:
        return {key for listed in self.listed.values() for _, key in listed.parts} | {key for _, key in self.rare.tables}
