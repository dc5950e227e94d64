"""What the PNG and the HTML have in common: captions, and the colours of the light one."""

from __future__ import annotations

from typing import Final

from xtrader.clock import MILLISECOND, SECOND
from xtrader.look.lines import stamp
from xtrader.look.series import Series, SeriesStretch

LONGEST: Final = 48
"""Characters of a caption."""
INK: Final = "#1f2933"
MUTED: Final = "#5b6770"
BID: Final = "#1b7f55"
ASK: Final = "#b5364a"
STATES: Final = {"live": "#2f8a50", "syncing": "#a87b00", "gap": "#c8322b", "absent": "#7b8794"}


def caption(one: SeriesStretch) -> str:
    """What a stretch that is not live is called, in few words."""
    why = one.detail or one.cause
    words = f"{one.state}: {why}" if one.cause and why else why or one.state
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def subtitle(series: Series) -> str:
    """How much is covered, how many holes there are, how far apart the points are."""
    gaps = sum(one.state == "gap" for one in series.stretches)
    live = series.covered
    share = "100 %" if live == 1 else f"{min(live, 0.9999):.2%}".replace("%", " %")
    holes = "no gap" if not gaps else f"{gaps} gap" if gaps == 1 else f"{gaps} gaps"
    return f"book live for {share} of the time, {holes}; a point every {duration(series.every)}"


def times(series: Series) -> str:
    """The range in words."""
    return f"{stamp(series.start, 3)} to {stamp(series.end, 3)}"


def duration(ns: int) -> str:
    """A length of time: 250 ms, 5 s, 15 min, 2 h."""
    for unit, name in ((3600 * SECOND, "h"), (60 * SECOND, "min"), (SECOND, "s"), (MILLISECOND, "ms")):
        if ns >= unit:
            return f"{ns / unit:.4g} {name}"
    return f"{ns} ns"
