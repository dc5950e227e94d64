"""A series as a PNG, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from xtrader.look import axis
from xtrader.look.picture import DEPTH_BPS
from xtrader.look.series import Series
from xtrader.look.style import ASK, BID, INK, MUTED, STATES, caption, subtitle, times

RULES = "#e3e6ea"


def write_png(path: Path, series: Series) -> None:
    """Draw into a file. Raises OSError."""
    figure = matplotlib.figure.Figure(figsize=(13, 8), dpi=120, facecolor="white", layout="constrained")
    mid, spread, depth, cover = figure.subplots(4, 1, sharex=True, height_ratios=(4, 2, 2.4, 0.35))
    ts = (series.ts - series.start) / 1e9
    mid.plot(ts, series.mid, color=INK, linewidth=1.1)
    spread.plot(ts, series.spread, color=INK, linewidth=0.9)
    spread.fill_between(ts, series.spread, 0, color=INK, alpha=0.12, linewidth=0)
    for sizes, sign, colour in ((series.bids, 1, BID), (series.asks, -1, ASK)):
        depth.fill_between(ts, sign * sizes, 0, color=colour, alpha=0.75, linewidth=0)
    depth.axhline(0, color=INK, linewidth=0.6)
    most = max(np.nanmax(series.bids, initial=0.0), np.nanmax(series.asks, initial=0.0)) * 1.05 or 1.0
    depth.set_ylim(-most, most)
    for name, place in (("bids", 0.56), ("asks", 0.44)):
        depth.text(0.008, place, name, transform=depth.transAxes, color="white", fontweight="bold", fontsize=9, va="center")
    for panel, label in (
        (mid, f"mid, {series.instrument.quote or 'quote'}"),
        (spread, "spread, bps"),
        (depth, f"size within {DEPTH_BPS:g} bps"),
    ):
        _dress(panel, label)
    spread.set_ylim(bottom=min(0.0, float(np.nanmin(series.spread, initial=0.0))))
    depth.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.6g}")
    mid.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    _cover(cover, [mid, spread, depth], series)
    places = axis.time_marks(series.start, series.end, 9)
    cover.set_xticks([(place - series.start) / 1e9 for place, _ in places], [text for _, text in places])
    cover.set_xlim(0, (series.end - series.start) / 1e9)
    cover.set_xlabel(f"UTC, {times(series)}", color=MUTED, fontsize=9)
    mid.set_title(series.instrument.key, loc="left", fontsize=14, fontweight="bold", color=INK, pad=22)
    mid.text(0, 1.025, subtitle(series), transform=mid.transAxes, fontsize=9, color=MUTED)
    figure.savefig(path, format="png")


def _dress(panel: Any, label: str) -> None:
    panel.set_ylabel(label, color=MUTED, fontsize=9)
    panel.grid(True, color=RULES, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(colors=MUTED, labelsize=9, length=0)
    for side in panel.spines.values():
        side.set_visible(False)


def _cover(strip: Any, panels: list[Any], series: Series) -> None:
    """The strip of coverage, and each hole shaded through all panels, with its cause where there is room for it."""
    strip.set_yticks([])
    strip.set_ylabel("coverage", color=MUTED, fontsize=9, rotation=0, ha="right", va="center")
    strip.tick_params(colors=MUTED, labelsize=9, length=0)
    for side in strip.spines.values():
        side.set_visible(False)
    whole = series.end - series.start
    for one in series.stretches:
        start, end = ((ts - series.start) / 1e9 for ts in (one.start, one.end))
        strip.axvspan(start, end, color=STATES[one.state], linewidth=0)
        if one.state == "live":
            continue
        for panel in panels:
            panel.axvspan(start, end, color=STATES[one.state], alpha=0.18, linewidth=0)
        if (one.end - one.start) / whole > 0.02:
            panels[0].text(
                (start + end) / 2, 0.5, caption(one), transform=panels[0].get_xaxis_transform(), rotation=90,
                ha="center", va="center", fontsize=8, color=MUTED,
            )  # fmt: skip
