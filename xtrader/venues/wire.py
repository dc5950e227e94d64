"""Tiny parsers that several venues share."""

from __future__ import annotations

from xtrader.model.market import Level


def ns_from_ms(ms: int) -> int:
    """Milliseconds since the epoch -> nanoseconds."""
    return ms * 1_000_000


def optional_float(text: str | float | None) -> float | None:
    """A number that may be missing: None for None, the empty string and what is no number."""
    if text is None or text == "":
        return None
    try:
        return float(text)
    except ValueError:
        return None


def sorted_levels(levels: dict[float, float], *, descending: bool) -> list[Level]:
    """(price, size) by price."""
    return sorted(levels.items(), reverse=descending)
