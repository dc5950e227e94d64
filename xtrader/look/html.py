"""A series as one HTML page: an inline SVG that scales, a reading under the pointer, a table of what is missing.

The rule: the page needs nothing but itself, and everything but the reading is there without its script.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

import msgspec
import numpy as np

from xtrader.look import axis
from xtrader.look.lines import stamp
from xtrader.look.picture import DEPTH_BPS
from xtrader.look.series import Floats, Series
from xtrader.look.style import ASK, BID, INK, STATES, caption, duration, subtitle, times

WIDTH: Final = 1200
LEFT: Final = 86
RIGHT: Final = 16
TOP: Final = 12
BETWEEN: Final = 26
HEIGHTS: Final = (260, 120, 150)
STRIP: Final = 14
MOST_ROWS: Final = 200


class Panel(NamedTuple):
    """One plot: its place from `top` on, and the values at its lower and upper end."""

    label: str
    top: float
    height: float
    low: float
    high: float

    def y(self, value: float) -> float:
        return self.top + self.height * (1 - (value - self.low) / (self.high - self.low))


def write_html(path: Path, series: Series) -> None:
    """Write the page. Raises OSError."""
    page = Template(files("xtrader.look").joinpath("page.html").read_text(encoding="utf-8"))
    text = page.substitute(
        title=escape(series.instrument.key),
        subtitle=escape(subtitle(series)),
        range=escape(times(series)),
        svg=_svg(series),
        gaps=_table(series),
        data=_data(series),
        depth=f"{DEPTH_BPS:g}",
        **{f"{state}_colour": colour for state, colour in STATES.items()},
    )
    path.write_text(text, encoding="utf-8")


def panels(series: Series) -> list[Panel]:
    """The three plots with their ranges: mid with a little air, spread from 0, depth the same up and down."""
    most = max(_reach(series.bids)[1], _reach(series.asks)[1], 1e-12) * 1.05
    low, high = _reach(series.mid)
    air = (high - low) * 0.06 or abs(high) * 1e-4 or 1.0
    thin, wide = _reach(series.spread)
    ranges = [(low - air, high + air), (min(0.0, thin * 1.08), wide * 1.08 or 1.0), (-most, most)]
    labels = [f"mid, {series.instrument.quote or 'quote'}", "spread, bps", f"size within {DEPTH_BPS:g} bps"]
    found = []
    top = float(TOP)
    for label, height, (lower, upper) in zip(labels, HEIGHTS, ranges, strict=True):
        found.append(Panel(label, top, height, lower, upper))
        top += height + BETWEEN
    return found


def _svg(series: Series) -> str:
    mid, spread, depth = found = panels(series)
    strip = depth.top + depth.height + BETWEEN
    height = strip + STRIP + 26
    x = LEFT + (series.ts - series.start) / (series.end - series.start) * (WIDTH - LEFT - RIGHT)
    parts = [f'<svg id="chart" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="mid, spread, depth and coverage">']
    parts += _shades(series, strip)
    for panel in found:
        parts += _frame(panel)
    for ts, text in axis.time_marks(series.start, series.end, 9):
        place = _x(series, ts)
        parts.append(f'<line class="rule" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{strip}"/>')
        parts.append(f'<text class="mark" x="{place:.1f}" y="{strip + STRIP + 18:.1f}" text-anchor="middle">{text}</text>')
    for places in runs(series.mid):
        parts.append(f'<path d="{_line(x, series.mid, mid, places)}" fill="none" stroke="{INK}" stroke-width="1.3"/>')
        area = _area(x, series.spread, spread, places)
        parts.append(f'<path d="{area}" fill="{INK}" fill-opacity="0.12"/>')
        parts.append(f'<path d="{_line(x, series.spread, spread, places)}" fill="none" stroke="{INK}" stroke-width="1"/>')
        for sizes, colour in ((series.bids, BID), (-series.asks, ASK)):
            parts.append(f'<path d="{_area(x, sizes, depth, places)}" fill="{colour}" fill-opacity="0.75"/>')
    for name, sign in (("bids", 1), ("asks", -1)):
        parts.append(f'<text class="name" x="{LEFT + 8}" y="{depth.y(0) - sign * 12 + 4:.1f}">{name}</text>')
    parts.append(f'<line id="hair" y1="{TOP}" y2="{strip + STRIP}"/></svg>')
    return "\n".join(parts)


def _frame(panel: Panel) -> list[str]:
    places = axis.marks(panel.low, panel.high, max(3, int(panel.height // 30)))
    parts = []
    for value, text in zip(places, axis.labels(places, mirrored=panel.low == -panel.high), strict=True):
        y = panel.y(value)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="mark" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    parts.append(
        f'<text class="label" x="{LEFT}" y="{panel.top - 4 if panel.top > TOP else panel.top:.1f}">{escape(panel.label)}</text>'
    )
    return parts


def _shades(series: Series, strip: float) -> list[str]:
    """The strip of coverage, and each hole through all panels."""
    parts = []
    for one in series.stretches:
        left, right = _x(series, one.start), _x(series, one.end)
        width = max(right - left, 0.8)
        words = caption(one) if one.state != "live" else "live"
        told = f"<title>{escape(words)}, {stamp(one.start, 3)} to {stamp(one.end, 3)}</title>"
        place = f'x="{left:.2f}" width="{width:.2f}" fill="{STATES[one.state]}"'
        parts.append(f'<rect {place} y="{strip}" height="{STRIP}">{told}</rect>')
        if one.state != "live":
            parts.append(f'<rect {place} y="{TOP}" height="{strip - TOP}" fill-opacity="0.18">{told}</rect>')
        if right - left > 26 and one.state != "live":
            middle = (left + right) / 2 + 4
            at = TOP + HEIGHTS[0] / 2
            text = escape(caption(one))
            parts.append(f'<text class="cause" transform="translate({middle:.1f} {at}) rotate(-90)">{text}</text>')
    return parts


def runs(values: Floats) -> list[Sequence[int]]:
    """The places of values that follow one another without a NaN between them."""
    known = np.flatnonzero(~np.isnan(values))
    return [run.tolist() for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(run)]


def _line(x: Floats, values: Floats, panel: Panel, places: Sequence[int]) -> str:
    points = [f"{x[place]:.1f} {panel.y(values[place]):.1f}" for place in places]
    # A run of one point is drawn as a dash, or it would not be seen.
    return "M" + "L".join(points) + ("h1.5" if len(points) == 1 else "")


def _area(x: Floats, values: Floats, panel: Panel, places: Sequence[int]) -> str:
    zero = panel.y(min(max(0.0, panel.low), panel.high))
    return f"M{x[places[0]]:.1f} {zero:.1f}L{_line(x, values, panel, places)[1:]}V{zero:.1f}Z"


def _table(series: Series) -> str:
    missing = [one for one in series.stretches if one.state != "live"]
    if not missing:
        return "<p>Nothing is missing.</p>"
    rows = []
    for one in missing[:MOST_ROWS]:
        words = (one.cause, stamp(one.start, 3), stamp(one.end, 3), duration(one.end - one.start), one.detail)
        cells = "".join(f"<td>{escape(word)}</td>" for word in words)
        rows.append(f'<tr><td><i style="background:{STATES[one.state]}"></i>{one.state}</td>{cells}</tr>')
    more = f"<p>and {len(missing) - MOST_ROWS} more</p>" if len(missing) > MOST_ROWS else ""
    head = "<tr><th>state</th><th>cause</th><th>from (UTC)</th><th>to</th><th>length</th><th>detail</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _data(series: Series) -> str:
    """What the reading under the pointer needs, as JSON that cannot end the script that it stands in."""
    columns = {name: [None if np.isnan(value) else float(f"{value:.10g}") for value in getattr(series, name)] for name in _COLUMNS}
    place = {"left": LEFT, "right": WIDTH - RIGHT, "width": WIDTH, "start": series.start // 10**6, "end": series.end // 10**6}
    found = {"ts": [int(ts) // 10**6 for ts in series.ts], **columns, **place}
    return msgspec.json.encode(found).decode().replace("<", "\\u003c")


_COLUMNS: Final = ("mid", "spread", "bids", "asks")


def _x(series: Series, ts: int) -> float:
    return LEFT + (ts - series.start) / (series.end - series.start) * (WIDTH - LEFT - RIGHT)


def _reach(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
