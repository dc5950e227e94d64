"""Ratios of an equity curve: Sharpe, Sortino, Calmar and the largest drawdown.

The rule: a ratio that divides by nothing is None. Returns are those from one point of the curve to the next; a year has 365 days,
and no rate without risk is taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import sqrt
from typing import Final, TypeAlias

Point: TypeAlias = tuple[int, float]
"""(ts in ns, equity in USD)."""
YEAR: Final = 365 * 86_400 * 10**9
RATIOS: Final[Mapping[str, str]] = {
    "sharpe": "mean(r) / std(r, n - 1) x sqrt(points a year)",
    "sortino": "mean(r) / sqrt(mean(min(r, 0)^2)) x sqrt(points a year)",
    "calmar": "mean(r) x points a year / largest drawdown",
}
"""By which formula; r are the returns from one point of the equity curve to the next."""


def ratios(points: Sequence[Point]) -> tuple[dict[str, float | None], float | None]:
    """The ratios by name, and the largest drawdown in per cent of the peak before it."""
    found: dict[str, float | None] = dict.fromkeys(RATIOS)
    drawdown = largest_drawdown([worth for _, worth in points])
    returns = [after / before - 1 for (_, before), (_, after) in pairwise(points) if before > 0]
    length = points[-1][0] - points[0][0] if points else 0
    if len(returns) < 2 or length <= 0:
        return found, drawdown
    a_year = len(returns) * YEAR / length
    mean = sum(returns) / len(returns)
    spread = sqrt(sum((one - mean) ** 2 for one in returns) / (len(returns) - 1))
    down = sqrt(sum(min(one, 0.0) ** 2 for one in returns) / len(returns))
    if spread:
        found["sharpe"] = mean / spread * sqrt(a_year)
    if down:
        found["sortino"] = mean / down * sqrt(a_year)
    if drawdown:
        found["calmar"] = mean * a_year / (drawdown / 100)
    return found, drawdown


def largest_drawdown(worths: Sequence[float]) -> float | None:
    """In per cent; None without points."""
    peak = largest = 0.0
    for worth in worths:
        peak = max(peak, worth)
        if peak > 0:
            largest = max(largest, (peak - worth) / peak * 100)
    return largest if worths else None
