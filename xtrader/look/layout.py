"""Lays the full-screen view out: head, ladder, metrics, chart and trades within any size.

The rule: a pure function of what is known, the choices and the size; what has no room goes whole, the chart first.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.text import Text

from xtrader.look import draw, panels
from xtrader.look.cells import beside, fit
from xtrader.look.picture import Picture
from xtrader.look.statistics import Summary

TRADES_WIDTH: Final = 30
LEAST_BESIDE: Final = 70
"""Columns from which on there are trades beside the ladder."""
WIDE: Final = 120
"""Columns from which on the trades have half as many again, and all the height."""
LEAST_LADDER: Final = 5
"""Lines that the ladder keeps before metrics and chart get any."""
LEAST_CHART: Final = 4


KEYS: Final = (
    ("?", "these keys, or the book again"),
    ("q, Ctrl-C", "quit"),
    ("p", "hold the picture, or go on"),
    ("m, s", "metrics, and the chart of the spread: shown or hidden"),
    ("r", "metrics and chart begin anew"),
    ("b", "bars: sizes, totals up to each level, or sizes in price steps"),
    ("n", "the next instrument of this recorder"),
    ("+ -", "more or fewer levels a side; at first as many as fit"),
    ("arrows", "scroll by a level; Page keys by ten; Home is back in the middle"),
    ("B S", "bids (buyers), asks (sellers); of a trade: what its taker did"),
)


class Choices(NamedTuple):
    """What the user has chosen: `levels` of each side (0: as many as there is room for), what the bars show, scroll (see
    draw.ladder), panels, a held picture, what the keys do."""

    levels: int = 0
    mode: str = draw.MODES[0]
    scroll: int = 0
    metrics: bool = True
    chart: bool = True
    paused: bool = False
    keys: bool = False


def screen(picture: Picture, summary: Summary, choices: Choices, width: int, height: int) -> Text:
    """At most `height` lines of at most `width` columns."""
    head = draw.head(picture, width, choices.paused, choices.mode)
    rows = max(0, height - draw.HEAD_HEIGHT)
    if choices.keys:
        return Text("\n").join([*head, *(fit([Text(f" {key:<10}"), Text(about)], width, 1) for key, about in KEYS)][:height])
    ladder, metrics, chart = heights(rows, choices)
    trades = 0 if width < LEAST_BESIDE else TRADES_WIDTH if width < WIDE else TRADES_WIDTH * 3 // 2
    left = width - trades
    panel_width = left - 1 if width >= WIDE else width
    headed = ladder >= draw.HEADED and (not choices.levels or ladder > 2 * choices.levels + 1)
    lines = draw.ladder(picture, left, ladder, choices.mode, choices.scroll, headed)
    lines += [Text() for _ in range(ladder - len(lines))]
    below = panels.metrics(picture, summary, panel_width) if metrics else []
    below += panels.spread_chart(summary, panel_width, chart) if chart else []
    if not picture.standing.live:
        for line in below:
            line.stylize(draw.STALE)
    if trades and width >= WIDE:
        lines += below + [Text() for _ in range(rows - len(lines) - len(below))]
        lines = beside(lines, draw.trades(picture, trades - 2, rows), left)
    elif trades:
        lines = beside(lines, draw.trades(picture, trades - 2, ladder), left) + below
    else:
        lines += below
    return Text("\n").join([*head, *lines][:height])


def heights(rows: int, choices: Choices) -> tuple[int, int, int]:
    """Lines of ladder, metrics and chart: the ladder has its levels if there is room, the chart what is left over; where the
    levels are not chosen, the chart has a fifth, and the ladder the rest."""
    metrics = panels.METRICS_HEIGHT if choices.metrics and rows >= LEAST_LADDER + panels.METRICS_HEIGHT else 0
    chart = LEAST_CHART if choices.chart and rows >= LEAST_LADDER + metrics + LEAST_CHART else 0
    if not choices.levels:
        chart = max(chart, rows // 5) if chart else 0
        return rows - metrics - chart, metrics, chart
    # The columns' names come on top of the levels, where there is room.
    ladder = min(2 * choices.levels + 2, rows - metrics - chart)
    return ladder, metrics, rows - metrics - ladder if chart else 0
