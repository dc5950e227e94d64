"""A book shown as a window of its best levels. One rule: every level that enters or leaves the window is sent."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from xtrader.emulator.matching import OrderSide


def floor(side: OrderSide, size: int) -> int | None:
    """The key of the last level inside a window of `size` levels; None if the window is not full."""
    return side.keys[-size] if len(side.keys) >= size else None


def window_changes(side: OrderSide, size: int, before: int | None, touched: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What to send so that a window of `size` levels whose floor was `before` shows today's best levels: touched ones, ones that
    fell out (size 0) and ones that came in; best first. Levels that came and went within the batch are sent as removed."""
    sign, keys, totals = side.sign, side.keys, side.totals
    after = floor(side, size)
    changes: dict[int, int] = {}
    for price, lots in touched:
        key = sign * price
        if after is None or key >= after:
            changes[key] = lots
        elif before is None or key >= before:
            changes[key] = 0
    if after is not None and (before is None or before < after):
        start = 0 if before is None else bisect_left(keys, before)
        for key in keys[start : bisect_left(keys, after)]:
            changes[key] = 0
    elif before is not None and (after is None or after < before):
        start = 0 if after is None else bisect_left(keys, after)
        for key in keys[start : bisect_left(keys, before)]:
            changes[key] = totals[sign * key]
    return [(sign * key, changes[key]) for key in sorted(changes, reverse=True)]
