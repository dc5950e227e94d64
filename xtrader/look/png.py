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
TRADE = "#3b5bdb"
HATCHES = {"live": None, "syncing": "....", "gap": "//////", "absent": "xxxx"}
"""What tells the states apart without their colours."""
NAMED = 12
"""Holes that are named below the picture."""
APART = 0.02
"""Share of the width between two of their numbers."""


def write_png(path: Path, series: Series) -> None:
    """Draw into a file. Raises OSError."""
    figure = matplotlib.figure.Figure(figsize=(13, 8.6), dpi=120, facecolor="white", layout="constrained")
    has_trades = len(series.trades.ts) > 0
    heights = (4, 1.8, 2.2, 1.8, 0.35) if has_trades else (4, 2, 2.4, 0.35)
    mid, spread, depth, *rest, cover = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    ts = (series.ts - series.start) / 1e9
    mid.step(ts, series.mid, where="post", color=INK, linewidth=1.1)
    spread.step(ts, series.spread, where="post", color=INK, linewidth=0.9)
    spread.fill_between(ts, series.spread, 0, step="post", color=INK, alpha=0.12, linewidth=0)
    for sizes, sign, colour in ((series.bids, 1, BID), (series.asks, -1, ASK)):
        depth.fill_between(ts, sign * sizes, 0, step="post", color=colour, alpha=0.85, linewidth=0)
    depth.axhline(0, color=INK, linewidth=0.6)
    most = max(np.nanmax(series.bids, initial=0.0), np.nanmax(series.asks, initial=0.0)) * 1.05 or 1.0
    depth.set_ylim(-most, most)
    unit = series.size_unit
    labels = [f"mid and trades,\n{series.instrument.quote or 'quote'}", "spread,\nbasis points"]
    labels.append(f"within {DEPTH_BPS:g} bps, {unit}\nasks        bids")
    if has_trades:
        _trades(mid, rest[0], series)
        labels.append(f"traded, {unit}\nsold        bought")
    plots = [mid, spread, depth, *rest]
    for panel, label in zip(plots, labels, strict=True):
        _dress(panel, label)
    spread.set_ylim(bottom=min(0.0, float(np.nanmin(series.spread, initial=0.0))))
    for panel in plots[2:]:
        panel.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.6g}")
    mid.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    _cover(cover, plots, series)
    places = axis.time_marks(series.start, series.end, 9)
    cover.set_xticks([(place - series.start) / 1e9 for place, _ in places], [text for _, text in places])
    cover.set_xlim(0, (series.end - series.start) / 1e9)
    cover.set_xlabel(f"UTC, {times(series)}", color=MUTED, fontsize=9)
    mid.set_title(series.instrument.key, loc="left", fontsize=14, fontweight="bold", color=INK, pad=22)
    mid.text(0, 1.025, subtitle(series), transform=mid.transAxes, fontsize=9, color=MUTED)
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)


def _trades(price: Any, volume: Any, series: Series) -> None:
    """From the lowest to the highest trade of each bar in the price's panel; what was bought and sold in one of its own."""
    trades, every = series.trades, series.every / 1e9
    ts = (trades.ts - series.start) / 1e9
    price.vlines(ts + every / 2, trades.low, trades.high, color=TRADE, linewidth=1.6, alpha=0.7)
    price.plot(ts + every / 2, trades.high, linestyle="none", marker="_", markersize=2.5, color=TRADE, alpha=0.7)
    for sizes, colour in ((trades.bought, BID), (-trades.sold, ASK)):
        volume.bar(ts, sizes, every * 0.8, align="edge", color=colour, linewidth=0)
    volume.axhline(0, color=INK, linewidth=0.6)
    most = max(trades.bought.max(), trades.sold.max()) * 1.05 or 1.0
    volume.set_ylim(-most, most)


def _dress(panel: Any, label: str) -> None:
    panel.set_ylabel(label, color=MUTED, fontsize=9)
    panel.grid(True, color=RULES, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(colors=MUTED, labelsize=9, length=0)
    for side in panel.spines.values():
        side.set_visible(False)


def _cover(strip: Any, panels: list[Any], series: Series) -> None:
    """The strip of coverage, and each hole shaded through all panels; they are numbered, and named below."""
    strip.set_yticks([])
    strip.set_ylabel("coverage", color=MUTED, fontsize=9, rotation=0, ha="right", va="center")
    strip.tick_params(colors=MUTED, labelsize=9, length=0)
    for side in strip.spines.values():
        side.set_visible(False)
    number, last = 0, -float("inf")
    for one in series.stretches:
        start, end = ((ts - series.start) / 1e9 for ts in (one.start, one.end))
        strip.axvspan(start, end, facecolor=STATES[one.state], edgecolor="white", hatch=HATCHES[one.state], linewidth=0)
        if one.state == "live":
            continue
        number += 1
        for panel in panels:
            panel.axvspan(
                start, end, facecolor=STATES[one.state], edgecolor="white", hatch=HATCHES[one.state], alpha=0.25, linewidth=0
            )
        middle = (start + end) / 2 / ((series.end - series.start) / 1e9)
        if middle - last > APART and number <= NAMED:
            strip.text(middle, 1.25, str(number), transform=strip.transAxes, ha="center", va="bottom", fontsize=7, color=MUTED)
            last = middle
    missing = [one for one in series.stretches if one.state != "live"]
    words = [f"{n} {caption(one)}" for n, one in enumerate(missing[:NAMED], 1)]
    if len(missing) > NAMED:
        words.append(f"and {len(missing) - NAMED:,} more")
    if words:
        lines = ["   ".join(words[n : n + 3]) for n in range(0, len(words), 3)]
        strip.figure.text(0.01, -0.01, "\n".join(lines), ha="left", va="top", fontsize=8, color=MUTED)
