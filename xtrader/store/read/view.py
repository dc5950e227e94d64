"""A recording at one instant: for each stream of an instrument, who recorded it and what there is of it, files and live end.

The rule: one view answers one question, so that everything in an answer is of the same instant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from xtrader.model.streams import RARE
from xtrader.store.read.part_list import CollectorParts, Part, PartList
from xtrader.store.read.tail import TailRows, pin


class Source(NamedTuple):
    """What one collector recorded of one stream of one instrument, in the order of recording: parts, then the tables of the
    journal. `until` is the time up to which it is known to have recorded; `elsewhere` are times [from, to) of which
    other collectors have the rows instead."""

    part_list: PartList
    collector: str
    stream: str
    key: str
    parts: Sequence[Part]
    tail: Sequence[Any]
    until: int
    elsewhere: Sequence[tuple[int, int]] = ()


class View:
    """The sources of one or more recordings. `streams` are those that are wanted. `choose` is handed the view when it has the rare
    streams of all instruments, and says of which instruments the others are wanted. Without `live_end`, journals are not read."""

    def __init__(
        self,
        part_lists: Sequence[PartList],
        streams: Collection[str],
        choose: Callable[[View], Collection[str]] | None = None,
        *,
        live_end: bool = True,
    ) -> None:
        self.known: set[str] = set()
        """The instrument keys of any stream."""
        self._sources: dict[tuple[str, str], list[Source]] = {}
        with contextlib.ExitStack() as stack:
            opened = [_Opened(one, stack, live_end) for one in part_lists]
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

    def _add(self, opened: _Opened, streams: Collection[str], rests: Mapping[str, TailRows]) -> None:
        for collector in opened.collectors:
            parts, ts_last, _, elsewhere = opened.listed.get(collector, CollectorParts({}, 0, 0, {}))
            start = opened.starts.get(collector)
            tables = rests[collector].tables if collector in rests else {}
            until = max(ts_last, opened.rare[collector].alive) if collector in rests else ts_last
            for stream, key in {*parts, *tables}:
                if stream in streams:
                    where = (stream, key)
                    found = [part for part in parts.get(where, ()) if start is None or part.last_offset <= start]
                    source = Source(
                        opened.part_list, collector, stream, key, found, tables.get(where, []), until, elsewhere.get(where, ())
                    )
                    self._sources.setdefault(where, []).append(source)


class _Opened:
    """A recording with its journals held, then its lists read. Below its offset in `starts`, all of a collector is in the lists."""

    def __init__(self, part_list: PartList, stack: contextlib.ExitStack, live_end: bool) -> None:
        self.part_list = part_list
        journals = part_list.journals() if live_end else []
        tails = [stack.enter_context(tail) for journal in journals if (tail := pin(journal)) is not None]
        self._tails = {tail.collector: tail for tail in tails if tail.collector}
        self.listed = part_list.listed()
        self.collectors = sorted({*self.listed, *self._tails})
        self.starts = {
            collector: max(tail.start, self.listed[collector].merged_to if collector in self.listed else 0)
            for collector, tail in self._tails.items()
        }
        self.rare = self.read(RARE, None)

    def read(self, streams: Collection[str], keys: Collection[str] | None) -> dict[str, TailRows]:
        """The live ends by collector."""
        return {collector: tail.read(self.starts[collector], streams, keys) for collector, tail in self._tails.items()}

    def keys(self) -> set[str]:
        """The instruments of any stream."""
        found = {key for listed in self.listed.values() for _, key in listed.parts}
        return found | {key for rest in self.rare.values() for _, key in rest.tables}
