"""A timeline as PNG, drawn by matplotlib without a display.

The rule: matplotlib is imported only here and only when a picture is wanted; xtrader works without it.
"""

from __future__ import annotations

from pathlib import Path

from xtrader.errors import ConfigError
from xtrader.store.report.coverage_svg import COLOURS, MOST_WIDENED, percent
from xtrader.store.report.timeline import Timeline
from xtrader.store.report.timescale import moment, ticks

INCHES = 12.0
DOTS = 120
NARROWEST = 1 / 700
"""Share of the width that a gap takes, unless there are very many."""
HATCHES = {"live": None, "syncing": "....", "gap": "//////"}
"""What tells the states apart without their colours."""


def write_png(timeline: Timeline, path: Path, title: str) -> None:
    """Draw the timeline into a file. Raises ConfigError where matplotlib is not installed, OSError."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("pictures need matplotlib: pip install 'xtrader[plot]'") from None
    count = len(timeline.strips)
    span = timeline.ts_to - timeline.ts_from
    figure = Figure(figsize=(INCHES, 1.1 + 0.28 * count), dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for row, strip in enumerate(timeline.strips):
        shown = sorted(strip.shown(timeline.ts_from, timeline.ts_to), key=lambda one: one.state == "gap")
        gaps = sum(one.state == "gap" for one in shown)
        for state, colour in COLOURS.items():
            least = min(NARROWEST, MOST_WIDENED / max(gaps, 1)) if state == "gap" else 0.0
            spans = [
                ((one.ts_from - timeline.ts_from) / span, max((one.end(timeline.ts_to) - one.ts_from) / span, least))
                for one in shown
                if one.state == state
            ]
            axes.broken_barh(
                spans, (row - 0.34, 0.68), facecolors=colour, edgecolor="white", linewidth=0, hatch=HATCHES[state],
                label=state if row == 0 else None,
            )  # fmt: skip
        part = strip.live(timeline.ts_from, timeline.ts_to)
        axes.text(1.01, row, "" if part is None else percent(part), va="center", fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_yticks(range(count), timeline.labels, fontsize=8)
    marks = ticks(timeline.ts_from, timeline.ts_to, 8)
    axes.set_xticks([(ts - timeline.ts_from) / span for ts, _ in marks], [text for _, text in marks], fontsize=8)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_facecolor("#eef0f3")
    figure.suptitle(f"{title}: {moment(timeline.ts_from)} to {moment(timeline.ts_to)} UTC", fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(path)
