"""A series as one HTML page: an inline SVG that scales, a reading under the pointer, a table of what is missing.

The rule: the page needs nothing but itself, and everything but the reading is there without its script.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from xtrader.look.style import caption, duration, subtitle, times

WIDTH: Final = 1200
LEFT: Final = 86
RIGHT: Final = 16
TOP: Final = 24
BETWEEN: Final = 32
HEIGHTS: Final = (260, 110, 140, 110)
STRIP: Final = 14
MOST_ROWS: Final = 200


APART: Final = 18
"""Pixels between two numbers of holes: closer ones are found in the table, and by pointing at them."""


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
        key="".join(f"{_swatch(state)}{words}" for state, words in _STATES),
    )
    path.write_text(text, encoding="utf-8")


def panels(series: Series) -> list[Panel]:
    """The plots with their ranges: price with a little air, spread from 0, depth and volume the same up and down. Without trades
    there is no volume."""
    trades, unit = series.trades, series.size_unit
    most = max(_reach(series.bids)[1], _reach(series.asks)[1], 1e-12) * 1.05
    low, high = _reach(np.concatenate([series.mid, trades.low, trades.high]))
    air = (high - low) * 0.06 or abs(high) * 1e-4 or 1.0
    thin, wide = _reach(series.spread)
    traded = max(_reach(trades.bought)[1], _reach(trades.sold)[1], 1e-12) * 1.05
    ranges = [(low - air, high + air), (min(0.0, thin * 1.08), wide * 1.08 or 1.0), (-most, most), (-traded, traded)]
    labels = [
        f"mid and trades, {series.instrument.quote or 'quote'}",
        "spread, basis points",
        f"book within {DEPTH_BPS:g} bps, {unit}: bids up, asks down",
        f"traded in {duration(series.every)}, {unit}: bought up, sold down",
    ]
    found = []
    top = float(TOP)
    for label, height, (lower, upper) in zip(labels, HEIGHTS[: 4 if len(trades.ts) else 3], ranges, strict=False):
        found.append(Panel(label, top, height, lower, upper))
        top += height + BETWEEN
    return found


def _svg(series: Series) -> str:
    found = panels(series)
    strip = found[-1].top + found[-1].height + BETWEEN
    height = strip + STRIP + 44
    x = LEFT + (series.ts - series.start) / (series.end - series.start) * (WIDTH - LEFT - RIGHT)
    about = "prices, spread, depth, volume and coverage"
    parts = [f'<svg id="chart" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{about}">']
    parts.append(f'<defs><clipPath id="inside"><rect x="{LEFT}" y="0" width="{WIDTH - LEFT - RIGHT}" height="{height}"/>')
    parts.append("</clipPath></defs>")
    for panel in found:
        parts += _frame(panel)
    parts.append('<g id="axis">')
    for number, (ts, text) in enumerate(axis.time_marks(series.start, series.end, 9)):
        place = _x(series, ts)
        dated = text if "-" in text or number else f"{stamp(ts, 0)[:10]} {text}"
        parts.append(f'<line class="rule" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{strip + STRIP}"/>')
        parts.append(f'<text class="mark" x="{place:.1f}" y="{strip + STRIP + 18:.1f}" text-anchor="middle">{dated}</text>')
    parts.append('</g><g clip-path="url(#inside)"><g id="plot">')
    parts += _shades(series, found, strip)
    parts += _curves(series, found, x)
    parts.append(f"</g></g>{_numbers(series, strip)}")
    parts.append(f'<rect id="chosen" y="{TOP}" height="{strip + STRIP - TOP}"/>')
    parts.append(f'<line id="hair" y1="{TOP}" y2="{strip + STRIP}"/></svg>')
    return "\n".join(parts)


def _curves(series: Series, found: Sequence[Panel], x: Floats) -> Iterator[str]:
    price, spread, depth = found[:3]
    trades = series.trades
    width = max(series.every / (series.end - series.start) * (WIDTH - LEFT - RIGHT) * 0.8, 0.4)
    places = [_x(series, int(ts)) + width * 0.6 for ts in trades.ts]
    if places:
        # A bar of one price would have no length.
        lines = (
            f"M{at:.2f} {price.y(low):.1f}V{min(price.y(high), price.y(low) - 1.2):.1f}"
            for at, low, high in zip(places, trades.low, trades.high, strict=True)
        )
        yield f'<path class="trades" d="{"".join(lines)}"/>'
    for run in runs(series.mid):
        yield f'<path class="line" d="{_line(x, series.mid, price, run)}"/>'
        yield f'<path class="under" d="{_area(x, series.spread, spread, run)}"/>'
        yield f'<path class="line" d="{_line(x, series.spread, spread, run)}"/>'
        for sizes, side in ((series.bids, "bid"), (-series.asks, "ask")):
            yield f'<path class="{side}" d="{_area(x, sizes, depth, run)}"/>'
    for sizes, side in ((trades.bought, "bid"), (-trades.sold, "ask")) if places else ():
        zero = found[3].y(0)
        bars = (
            f"M{at - width / 2:.2f} {zero:.1f}V{found[3].y(size):.1f}h{width:.2f}V{zero:.1f}Z"
            for at, size in zip(places, sizes, strict=True)
            if size
        )
        yield f'<path class="{side}" d="{"".join(bars)}"/>'


def _frame(panel: Panel) -> list[str]:
    places = axis.marks(panel.low, panel.high, max(5, int(panel.height // 30)))
    parts = []
    for value, text in zip(places, axis.labels(places, mirrored=panel.low == -panel.high), strict=True):
        y = panel.y(value)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="mark" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    parts.append(f'<text class="label" x="{LEFT}" y="{panel.top - 8:.1f}">{escape(panel.label)}</text>')
    return parts


def _shades(series: Series, found: Sequence[Panel], strip: float) -> list[str]:
    """The strip of coverage, and each hole in every panel."""
    parts = []
    for one in series.stretches:
        left, right = _x(series, one.start), _x(series, one.end)
        words = caption(one) if one.state != "live" else "live"
        told = f"<title>{escape(words)}, {stamp(one.start, 3)} to {stamp(one.end, 3)}</title>"
        place = f'x="{left:.2f}" width="{max(right - left, 0.8):.2f}"'
        parts.append(f'<rect class="{one.state}" {place} y="{strip}" height="{STRIP}">{told}</rect>')
        for panel in found if one.state != "live" else ():
            parts.append(f'<rect class="{one.state} hole" {place} y="{panel.top}" height="{panel.height}">{told}</rect>')
    return parts


def _numbers(series: Series, strip: float) -> str:
    """Below the times: the number of each hole in the table, where there is room."""
    parts = []
    last = -float("inf")
    for number, one in enumerate([one for one in series.stretches if one.state != "live"][:MOST_ROWS], 1):
        middle = (_x(series, one.start) + _x(series, one.end)) / 2
        if middle - last >= APART:
            parts.append(f'<text class="number" x="{middle:.1f}" y="{strip + STRIP + 36:.1f}">{number}</text>')
            last = middle
    return f'<g id="numbers">{"".join(parts)}</g>'


def runs(values: Floats) -> list[Sequence[int]]:
    """The places of values that follow one another without a NaN between them."""
    known = np.flatnonzero(~np.isnan(values))
    return [run.tolist() for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(run)]


def _line(x: Floats, values: Floats, panel: Panel, places: Sequence[int]) -> str:
    """Steps: a quote holds until the next one."""
    points = [f"V{panel.y(values[place]):.1f}" if n else f"{panel.y(values[place]):.1f}" for n, place in enumerate(places)]
    found = f"M{x[places[0]]:.1f} {points[0]}" + "".join(
        f"H{x[place]:.1f}{point}" for place, point in zip(places[1:], points[1:], strict=True)
    )
    # A run of one point is drawn as a dash, or it would not be seen.
    return found + ("h1.5" if len(points) == 1 else "")


def _area(x: Floats, values: Floats, panel: Panel, places: Sequence[int]) -> str:
    zero = panel.y(min(max(0.0, panel.low), panel.high))
    line = _line(x, values, panel, places)
    return f"M{x[places[0]]:.1f} {zero:.1f}V{line.split(' ', 1)[1]}V{zero:.1f}Z"


def _table(series: Series) -> str:
    missing = [one for one in series.stretches if one.state != "live"]
    if not missing:
        return "<p>Nothing is missing.</p>"
    rows = []
    for number, one in enumerate(missing[:MOST_ROWS], 1):
        words = (one.cause, stamp(one.start, 3), stamp(one.end, 3), duration(one.end - one.start), one.detail)
        cells = "".join(f"<td>{escape(word)}</td>" for word in words)
        rows.append(f"<tr><td>{number}</td><td>{one.state}</td>{cells}</tr>")
    more = f"<p>and {len(missing) - MOST_ROWS} more</p>" if len(missing) > MOST_ROWS else ""
    head = "<tr><th></th><th>state</th><th>cause</th><th>from (UTC)</th><th>to</th><th>length</th><th>detail</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _swatch(state: str) -> str:
    return f'<svg width="22" height="12"><rect class="{state}" width="22" height="12"/></svg>'


_STATES: Final = (("live", "live"), ("syncing", "syncing"), ("gap", "gap"), ("absent", "not recorded"))


def _data(series: Series) -> str:
    """What the script needs, as JSON that cannot end the script that it stands in. Times are milliseconds."""
    found = panels(series)
    bottom = found[-1].top + found[-1].height + BETWEEN + STRIP
    columns = {name: _numbers_of(getattr(series, name)) for name in ("mid", "spread", "bids", "asks")}
    trades = {name: _numbers_of(getattr(series.trades, name)) for name in ("low", "high", "bought", "sold")}
    place = {"left": LEFT, "right": WIDTH - RIGHT, "width": WIDTH, "top": TOP, "bottom": bottom}
    times_ = {"start": series.start / 1e6, "end": series.end / 1e6, "every": series.every / 1e6}
    whole = {
        "ts": [int(ts) // 10**6 for ts in series.ts],
        **columns,
        "trades": {"ts": [int(ts) // 10**6 for ts in series.trades.ts], **trades},
        **place,
        **times_,
    }
    return msgspec.json.encode(whole).decode().replace("<", "\\u003c")


def _numbers_of(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.10g}") for value in values]


def _x(series: Series, ts: int) -> float:
    return LEFT + (ts - series.start) / (series.end - series.start) * (WIDTH - LEFT - RIGHT)


def _reach(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
