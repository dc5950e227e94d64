"""A timeline as SVG: a strip for each subscription, every interval a rectangle that says what it is when it is pointed at.

The rule: a gap is two pixels wide, however short, unless there are so many that the strip would look as if it was never live;
nothing that is missing is too small to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from string import Template
from typing import Final

from xtrader.store.report.timeline import Timeline
from xtrader.store.report.timescale import length, moment, ticks

COLOURS: Final = {"live": "#2f8a50", "syncing": "#a87b00", "gap": "#c8322b"}
"""On white; each stands out from it by three to one at least, and gaps and syncing are told from live by their texture too."""
DARK: Final = {"live": "#4fbf7a", "syncing": "#e0b400", "gap": "#ff7b72"}
WIDTH: Final = 1100
ROW: Final = 22
BAR: Final = 14
SHARE: Final = 74
AXIS: Final = 26
CHARACTER: Final = 7.9
"""Pixels that a character of the labels takes."""
SMALLEST_GAP: Final = 2.0
MOST_WIDENED: Final = 0.2
"""Share of a strip that gaps may take by being widened: many short ones must not look like a strip that was never live."""

STYLE: Final = Template("""
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --dim: #5b6572; --rule: #dfe3e9; --none: #eef0f3; --bad: #b3261e;
  --live: $live; --syncing: $syncing; --gap: $gap; --texture: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181f; --dim: #a3adb8; --rule: #333c48; --none: #262d37;
  --bad: #ff8f87; --live: $dark_live; --syncing: $dark_syncing; --gap: $dark_gap; --texture: #14181f } }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
body { margin: 2rem auto; max-width: 1140px; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } p { margin: .4rem 0 }
.dim { color: var(--dim) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
table { font-size: 13px } th, td { padding: .25rem .4rem; text-align: right; white-space: nowrap }
th, td { border-bottom: 1px solid var(--rule) }
th { font-weight: 600; color: var(--dim) } td.text, th.text { text-align: left } td.fold { white-space: normal; min-width: 16rem }
.bad { color: var(--bad) } .legend svg { vertical-align: -2px; margin: 0 .35em 0 1em }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink) } svg .dim { fill: var(--dim) } svg .tick { stroke: var(--rule) }
svg .none { fill: var(--none) } svg .live { fill: var(--live) } svg .syncing { fill: url(#of-syncing) }
svg .gap { fill: url(#of-gap) }
svg .ink-gap { fill: var(--gap) } svg .ink-syncing { fill: var(--syncing) } svg .texture { fill: var(--texture) }
""").substitute({**COLOURS, **{f"dark_{state}": colour for state, colour in DARK.items()}})
TEXTURES: Final = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="of-gap" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="ink-gap" width="5" height="5"/><rect class="texture" width="1.4" height="5"/></pattern>'
    '<pattern id="of-syncing" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect class="ink-syncing" width="5" height="5"/><circle class="texture" cx="2.5" cy="2.5" r="1"/></pattern></defs></svg>'
)
"""What makes states different without their colours; once in a page."""


def svg(timeline: Timeline) -> str:
    """The picture, as an element that can stand in a `document`."""
    names = timeline.labels
    left = round(max(map(len, names), default=0) * CHARACTER) + 12
    scale = (WIDTH - left - SHARE) / (timeline.ts_to - timeline.ts_from)
    height = AXIS + ROW * len(names) + 4
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
    ]
    for ts, text in ticks(timeline.ts_from, timeline.ts_to, 8):
        x = left + (ts - timeline.ts_from) * scale
        lines.append(f'<path class="tick" d="M{x:.1f} {AXIS - 6}V{height}"/>')
        lines.append(f'<text class="dim" x="{x:.1f}" y="{AXIS - 11}" text-anchor="middle">{text}</text>')
    for row, strip in enumerate(timeline.strips):
        y = AXIS + row * ROW
        lines.append(f'<text x="0" y="{y + BAR - 2}">{escape(names[row])}</text>')
        lines.append(f'<rect class="none" x="{left}" y="{y}" width="{WIDTH - left - SHARE}" height="{BAR}"/>')
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
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>\n{TEXTURES}\n{body}\n</body></html>\n'
    )


def legend() -> str:
    """What the colours and textures mean."""
    keys = "".join(
        f'<svg width="22" height="12"><rect class="{kind}" width="22" height="12"/></svg>{words}'
        for kind, words in (*((state, state) for state in COLOURS), ("none", "nothing known"))
    )
    return f"<p class=legend>{keys}</p>"


def percent(part: float) -> str:
    """A share that says 100 % only where nothing is missing."""
    return "100 %" if part >= 1 else f"{min(part, 0.99999):.3%}".replace("%", " %")


def _bars(timeline: Timeline, row: int, left: int, y: int, scale: float) -> Iterator[str]:
    """The rectangles of a strip; gaps last, so that nothing hides them."""
    shown = timeline.strips[row].shown(timeline.ts_from, timeline.ts_to)
    gaps = sum(one.state == "gap" for one in shown)
    smallest = min(SMALLEST_GAP, MOST_WIDENED * (WIDTH - left - SHARE) / max(gaps, 1))
    for one in sorted(shown, key=lambda one: one.state == "gap"):
        end = one.end(timeline.ts_to)
        width = max((end - one.ts_from) * scale, smallest if one.state == "gap" else 0.3)
        x = min(left + (one.ts_from - timeline.ts_from) * scale, WIDTH - SHARE - width)
        words = f"{one.state} ({one.cause}), {moment(one.ts_from)} UTC, {length(end - one.ts_from)}"
        words += f": {one.detail}" if one.detail else ""
        yield (
            f'<rect class="{one.state}" x="{x:.2f}" y="{y}" width="{width:.2f}" height="{BAR}"><title>{escape(words)}'
            "</title></rect>"
        )
