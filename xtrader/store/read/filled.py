"""Gaps in trade numbers that were filled later: whether all that was missing came after all.

The rule: a gap counts until every number of it came; a row that fills has the times of its gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

FILLED: Final = "filled"
"""The cause of a row that says so: it is no interval of its own."""

Ids: TypeAlias = tuple[int | None, int | None]
"""First and last of some trade numbers, both included; None where a row names none."""


def is_filled(missing: Ids, came: Iterable[Ids]) -> bool:
    """Whether all of the missing numbers came."""
    first, last = missing
    if first is None or last is None:
        return False
    known = sorted((low, high) for low, high in came if low is not None and high is not None)
    for low, high in known:
        if low > first:
            break
        first = max(first, high + 1)
    return first > last
