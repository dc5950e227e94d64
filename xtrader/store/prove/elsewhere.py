"""Whether rows that were left out of one collector's parts, because another one has them, can be another one's.

The rule: what is said to be elsewhere is believed only where some other collector was live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from xtrader.clock import FOREVER
from xtrader.store.prove.coverage_map import CoverageMap
from xtrader.store.prove.verify_lists import Finding
from xtrader.store.read.merge_rows import MEMORY
from xtrader.store.read.times import stamp

if TYPE_CHECKING:
    from xtrader.store.prove.verify import Unit


def nowhere(units: Sequence[Unit], coverage: Callable[[Unit], Mapping[str, CoverageMap] | None]) -> Iterator[Finding]:
    """The rows that are said to be another collector's, where no other one was live. `coverage` reads that of a unit: stream ->
    map, None if it is damaged."""
    for unit in units:
        if not unit.elsewhere:
            continue
        others = [one for one in units if (one.stream, one.key) == (unit.stream, unit.key) and one.collector != unit.collector]
        maps = [found for one in others if (found := coverage(one)) is not None]
        known = [found[unit.stream] for found in maps if unit.stream in found]
        live = [one for found in known for one in found.intervals if one.counts == "live"]
        for start, end in unit.elsewhere if len(maps) == len(others) else ():
            if not any(one.ts_from <= end + MEMORY and one.end(FOREVER) >= start - MEMORY for one in live):
                what = f"says that another collector has the rows from {stamp(start)} to {stamp(end)}, and none was live then"
                yield Finding("damage", unit.parts[0].line.path, what)
