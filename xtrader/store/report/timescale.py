"""Round times for the axis of a picture, and how to write them.

The rule: all times are UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from xtrader.clock import DAY, SECOND

_STEPS: Final = tuple(
    step * SECOND for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
)


def ticks(ts_from: int, ts_to: int, most: int) -> Sequence[tuple[int, str]]:
    """At most `most` + 1 round times in [ts_from, ts_to] (int ns) with what to write there."""
    span = max(1, ts_to - ts_from)
    step = next((step for step in _STEPS if span // step <= most), -(-span // (most * DAY)) * DAY)
    shape = "%H:%M" if step >= 60 * SECOND else "%H:%M:%S"
    first = -(-ts_from // step) * step
    found = []
    for ts in range(first, ts_to + 1, step):
        # The first says which day it is, as each midnight does.
        dated = "%Y-%m-%d" if step >= DAY or ts % DAY == 0 else f"%Y-%m-%d {shape}" if ts == first else shape
        found.append((ts, datetime.fromtimestamp(ts // SECOND, UTC).strftime(dated)))
    return found


def moment(ts: int) -> str:
    """A time for people: UTC, to the second."""
    return datetime.fromtimestamp(ts // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def length(ns: int) -> str:
    """A length of time for people: `1.2 s`, `3 min 5 s`, `2 h 4 min`."""
    seconds = ns / SECOND
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
