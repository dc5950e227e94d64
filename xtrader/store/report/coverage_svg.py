"""A timeline as SVG: a strip for each subscription, every interval a rectangle that says what it is when it is pointed at.

The rule: a gap is at least two pixels wide, however short; nothing that is missing is too small to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from xtrader.store.report.timeline import Timeline
from xtrader.store.report.timescale import length, moment, ticks

COLOURS: Final = {"live": "#3a9d5d", "syncing": "#e0b400", "gap": "#c8322b"}
WIDTH: Final = 1100
ROW: Final = 22
BAR: Final = 14
SHARE: Final = 74
AXIS: Final = 26
CHARACTER: Final = 7.9
"""Pixels that a character of the labels takes."""
SMALLEST_GAP: Final = 2.0

STYLE: Final = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1c2430; background: #fff }
body { margin: 2rem auto; max-width: 1140px; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } p { margin: .4rem 0 } .dim { color: #68727f }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
table { font-size: 13px } th, td { padding: .25rem .4rem; text-align: right; border-bottom: 1px solid #e6e9ee; white-space: nowrap }
th { font-weight: 600; color: #4a5563 } td.text, th.text { text-align: left } td.fold { white-space: normal }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; border-radius: 2px } .bad { color: #c8322b }
svg text { font: 12px system-ui, sans-serif; fill: #1c2430 } svg .dim { fill: #68727f }
"""


def svg(timeline: Timeline) -> str:
    """The picture, as an element that can stand in a page."""
    names = timeline.labels
    left = round(max(map(len, names), default=0) * CHARACTER) + 12
    scale = (WIDTH - left - SHARE) / (timeline.ts_to - timeline.ts_from)
    height = AXIS + ROW * len(names) + 4
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
    ]
    for ts, text in ticks(timeline.ts_from, timeline.ts_to, 10):
        x = left + (ts - timeline.ts_from) * scale
        lines.append(f'<path d="M{x:.1f} {AXIS - 6}V{height}" stroke="#e6e9ee"/>')
        lines.append(f'<text class="dim" x="{x:.1f}" y="{AXIS - 11}" text-anchor="middle">{text}</text>')
    for row, strip in enumerate(timeline.strips):
        y = AXIS + row * ROW
        lines.append(f'<text x="0" y="{y + BAR - 2}">{escape(names[row])}</text>')
        lines.append(f'<rect x="{left}" y="{y}" width="{WIDTH - left - SHARE}" height="{BAR}" fill="#eef0f3"/>')
        lines += _bars(timeline, row, left, y, scale)
        part = strip.live(timeline.ts_from, timeline.ts_to)
        lines.append(
            f'<text x="{WIDTH}" y="{y + BAR - 2}" text-anchor="end">{"" if part is None else escape(percent(part))}</text>'
        )
    return "\n".join([*lines, "</svg>"])


def page(timeline: Timeline, title: str) -> str:
    """A whole HTML page that needs nothing else."""
    span = f"{moment(timeline.ts_from)} to {moment(timeline.ts_to)} UTC"
    return document(title, f"<h1>{escape(title)}</h1>\n<p class=dim>{span}</p>\n{legend()}\n<div class=wide>{svg(timeline)}</div>")


def document(title: str, body: str) -> str:
    """An HTML document with the style of all our pages."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'


def legend() -> str:
    """What the colours mean."""
    keys = "".join(f'<span class=key style="background:{colour}"></span>{state}' for state, colour in COLOURS.items())
    return f'<p>{keys}<span class=key style="background:#eef0f3"></span>nothing known</p>'


def percent(part: float) -> str:
    """A share that says 100 % only where nothing is missing."""
    return "100 %" if part >= 1 else f"{min(part, 0.99999):.3%}".replace("%", " %")


def _bars(timeline: Timeline, row: int, left: int, y: int, scale: float) -> Iterator[str]:
    """The rectangles of a strip; gaps last, so that nothing hides them."""
    shown = timeline.strips[row].shown(timeline.ts_from, timeline.ts_to)
    for one in sorted(shown, key=lambda one: one.state == "gap"):
        end = one.end(timeline.ts_to)
        width = max((end - one.ts_from) * scale, SMALLEST_GAP if one.state == "gap" else 0.3)
        x = min(left + (one.ts_from - timeline.ts_from) * scale, WIDTH - SHARE - width)
        words = f"{one.state} ({one.cause}), {moment(one.ts_from)} UTC, {length(end - one.ts_from)}"
        words += f": {one.detail}" if one.detail else ""
        yield (
            f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{BAR}" fill="{COLOURS[one.state]}"><title>{escape(words)}'
            "</title></rect>"
        )
