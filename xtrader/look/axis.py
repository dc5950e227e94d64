"""Where an axis has its marks and what stands at them: round numbers, and times at round moments."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil, floor, log10

from xtrader.clock import DAY, MILLISECOND, SECOND

TIME_STEPS = [
    *(MILLISECOND * number for number in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(SECOND * number for number in (1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)),
    *(DAY * number for number in (1, 2, 7, 14, 30, 90, 365)),
]


def marks(low: float, high: float, most: int) -> list[float]:
    """At most `most` (2 or more) round numbers of [low, high], evenly apart."""
    if not high > low:
        return [low]
    least = (high - low) / max(1, most - 1)
    power = 10.0 ** floor(log10(least))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= least * 0.999999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def labels(found: list[float], mirrored: bool = False) -> list[str]:
    """The numbers with as many decimals as tell them apart; without their signs where both directions count up."""
    step = found[1] - found[0] if len(found) > 1 else abs(found[0]) or 1.0
    digits = max(0, -floor(log10(step) + 1e-9))
    if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
        digits += 1
    return [f"{abs(number) if mirrored else number:,.{digits}f}" for number in found]


def time_marks(start: int, end: int, most: int) -> list[tuple[int, str]]:
    """At most `most` round moments of [start, end], int nanoseconds UTC, and what to write there."""
    step = next((step for step in TIME_STEPS if (end - start) / step <= most - 1), TIME_STEPS[-1])
    shape = "%Y-%m-%d" if step >= DAY else "%m-%d %H:%M" if end - start > DAY else "%H:%M" if step >= 60 * SECOND else "%H:%M:%S"
    found = []
    for ts in range(-(-start // step) * step, end + 1, step):
        text = datetime.fromtimestamp(ts // SECOND, UTC).strftime(shape)
        found.append((ts, text if step >= SECOND else f"{text}.{ts % SECOND // MILLISECOND:03d}"))
    return found
