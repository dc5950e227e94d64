"""Draws what was added up of a live book: a panel of metrics and a chart of the spread over time.

The rule: pure functions of a summary and a size. The chart is empty where the book was not known; nothing is drawn across.
"""

from __future__ import annotations

from itertools import groupby
from math import floor
from operator import itemgetter
from typing import Final

from rich.text import Text

from xtrader.clock import MILLISECOND, SECOND
from xtrader.look import axis
from xtrader.look.cells import named, rule, table
from xtrader.look.lines import ASK, BID, price_decimals, short, stamp
from xtrader.look.picture import Picture
from xtrader.look.statistics import KEPT, Slot, Summary, joined

METRICS_HEIGHT: Final = 4
"""Lines of the panel of metrics."""
PERIODS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, KEPT)
"""Seconds that a column of the chart may stand for."""
LEAST_ROOM: Final = 9
"""Columns that the chart keeps before it gets labels."""
MEAN, HIGHEST, CROSSED = "cyan", "blue", "red"
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"


def metrics(picture: Picture, summary: Summary, width: int) -> list[Text]:
    """METRICS_HEIGHT lines: since when; flow of messages, losses, spread, trades."""
    title = [
        named("since", f"{stamp(summary.since, 0)[11:-1]} ({seconds_words((summary.ts - summary.since) // SECOND)})"),
        named("messages", f"{summary.updates + summary.trades:,}"),
        named("sequence", "-" if picture.sequence is None else f"{picture.sequence}"),
    ]
    last = max(picture.ts_recv or 0, picture.trades[0].ts_recv if picture.trades else 0)
    lag = None if picture.ts_recv is None or picture.ts_event is None else picture.ts_recv - picture.ts_event
    digits = price_decimals(picture.instrument, []) + 1
    bad = "bold red" if summary.gaps or summary.resyncs else ""
    columns = [
        [
            ("updates/s", f"{summary.update_rate:.1f}", ""),
            ("trades/s", f"{summary.trade_rate:.1f}", ""),
            ("age", "-" if not last else seconds_words(max(0, picture.ts - last) / SECOND), ""),
        ],
        [
            ("gaps", f"{summary.gaps}", bad),
            ("resyncs", f"{summary.resyncs}", bad),
            ("lag", "-" if lag is None else f"{lag / MILLISECOND:,.1f} ms", ""),
        ],
        [
            ("spread min", _bps(summary.spread_low), ""),
            (" (bps) avg", _bps(summary.spread_mean), ""),
            ("       max", _bps(summary.spread_high), ""),
        ],
        [
            ("VWAP", "-" if summary.vwap is None else f"{summary.vwap:,.{digits}f}", ""),
            ("volume", short(summary.volume), ""),
            ("bought", "-" if summary.bought is None else f"{100 * summary.bought:.0f} %", _side(summary.bought)),
        ],
        [
            ("book messages", f"{summary.updates:,}", ""),
            ("trades", f"{summary.trades:,}", ""),
            ("last gap", summary.cause or "-", bad),
        ],
    ]
    lines = [rule(title, width), *table(columns, width)]
    return lines + [Text(no_wrap=True) for _ in range(METRICS_HEIGHT - len(lines))]


def spread_chart(summary: Summary, width: int, height: int) -> list[Text]:
    """`height` lines: a title with the lowest and the highest value shown, the mean spread of every period as a column with a
    shade up to its highest, and the times where there are 6 lines or more. What is shown goes back to `since`, at most KEPT
    seconds."""
    rows = height - 1 if height < 6 else height - 2
    # How wide the labels are is known only once the values are: first those of the longest period that there could be.
    labels_width = 0
    for _ in range(2):
        room = width - labels_width - 1
        back = min((summary.ts - summary.since) // SECOND + 1, KEPT)
        period = next(one for one in PERIODS if one * (room - 1) >= back or one == KEPT)
        slots = joined(summary.slots, period)
        last = summary.ts // SECOND // period
        first = last - room + 1
        shown = {number: slot for number, slot in slots.items() if number >= first}
        top, bottom = _range(list(shown.values()))
        labels = _labels(bottom, top, rows)
        labels_width = max((len(label) for label in labels.values()), default=0)
        if width - labels_width < LEAST_ROOM:
            labels, labels_width = {}, 0
    title = [Text("spread, bps", "bold")]
    if shown:
        title.append(named("min", _bps(min(slot.low for slot in shown.values()))))
        title.append(named("max", _bps(max(slot.high for slot in shown.values()))))
    title.append(named("a column is", seconds_words(period)))
    lines = [rule(title, width)]
    for row in range(rows):
        line = Text(f"{labels.get(row, ''):>{labels_width}}", "dim", no_wrap=True)
        line = Text.assemble(line, ("┤" if row in labels else "│", "dim"), no_wrap=True)
        low = bottom + (top - bottom) * (rows - 1 - row) / rows
        step = (top - bottom) / rows
        cells = (_cell(shown.get(column), low, step, bottom) for column in range(first, last + 1))
        for style, run in groupby(cells, key=itemgetter(1)):
            line.append("".join(character for character, _ in run), style)
        lines.append(line)
    if height >= 6:
        lines.append(_times(first, last, period, labels_width + 1))
    return lines


def seconds_words(seconds: float) -> str:
    """A length of time in a few characters: 0.3 s, 75 s, 12 min 3 s, 3 h 20 min."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 100:
        return f"{whole} s"
    first, unit, second, smaller = (whole // 60, "min", whole % 60, "s") if whole < 6000 else (
        whole // 3600, "h", whole % 3600 // 60, "min"
    )  # fmt: skip
    return f"{first} {unit} {second} {smaller}" if second else f"{first} {unit}"


def _cell(slot: Slot | None, low: float, step: float, bottom: float) -> tuple[str, str]:
    """The piece of a column between `low` and `low` + `step`, and its style."""
    if slot is None:
        return " ", ""
    mean = slot.area / slot.held
    style = CROSSED if slot.low < 0 else MEAN
    eighths = round((mean - low) / step * 8)
    if low == bottom:
        # What is known is seen, however small it is.
        eighths = max(1, eighths)
    if eighths > 0:
        return _EIGHTHS[min(8, eighths)], style
    return ("░", HIGHEST) if round((slot.high - low) / step * 8) > 0 else (" ", "")


def _range(slots: list[Slot]) -> tuple[float, float]:
    """The highest and the lowest value of the axis: it begins at 0, or below for a crossed book."""
    top = max((slot.high for slot in slots), default=0.0)
    bottom = min((slot.low for slot in slots), default=0.0)
    bottom = min(0.0, bottom)
    return (top, bottom) if top > bottom else (bottom + 1.0, bottom)


def _labels(bottom: float, top: float, rows: int) -> dict[int, str]:
    """The label of each row that has one. A row's label is the value at its upper edge; the lowest row has that of its lower."""
    if rows < 8:
        return {0: _bps(top), rows - 1: _bps(bottom)} if rows > 1 else {0: _bps(top)}
    marks = axis.marks(bottom, top, rows // 3)
    found = {}
    for mark, label in zip(marks, axis.labels(marks), strict=True):
        found[min(rows - 1, rows - round((mark - bottom) / (top - bottom) * rows))] = label
    return found


def _times(first: int, last: int, period: int, indent: int) -> Text:
    """Round times below the columns that they belong to, whole ones only."""
    line = " " * indent
    width = last - first + 1
    for ts, label in axis.time_marks(first * period * SECOND, (last + 1) * period * SECOND, max(2, width // 14)):
        column = indent + floor(ts / SECOND / period) - first
        if column >= len(line) and column + len(label) <= indent + width:
            line = f"{line:<{column}}{label} "
    return Text(line.rstrip(), "dim", no_wrap=True)


def _bps(value: float | None) -> str:
    if not value:
        return "-" if value is None else "0"
    return f"{value:,.{4 if abs(value) < 1 else 2}f}"


def _side(share: float | None) -> str:
    return "" if share is None else BID if share >= 0.5 else ASK
