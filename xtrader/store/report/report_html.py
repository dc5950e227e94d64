"""The report of a day as a page that stands alone: no script, no font and no picture from elsewhere.

The rule: it shows what the JSON holds and nothing else; every text that came from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from xtrader.clock import SECOND
from xtrader.store.report.coverage_svg import document, legend, percent, svg
from xtrader.store.report.day_report import DayReport, SubscriptionDay
from xtrader.store.report.timeline import Timeline
from xtrader.store.report.timescale import length, moment

HEADINGS = (
    "covered", "of 24 h", "gaps", "missing", "resyncs", "lag p50", "p90", "p99", "max", "messages", "rows", "MB", "files"
)  # fmt: skip

NOTES = (
    "Covered: live share of the time between the first and the last thing known of the day. Lag: receive time less the venue's own "
    "time, in milliseconds; both clocks are in it. A gap of no length is a loss between two messages."
)


def report_page(report: DayReport, timeline: Timeline) -> str:
    """The page."""
    title = f"{report.recording}: {report.date}"
    found = report.subscriptions
    live = sum(one.live_seconds for one in found)
    known = sum(one.live_seconds / one.covered for one in found if one.covered)
    gaps = sum(len(one.gaps) for one in found)
    damaged = sum(one.damaged for one in found)
    sums = [
        f"{len(found)} subscriptions",
        f"{percent(live / known) if known else '0 %'} of the recorded time live",
        f"{gaps:,} gaps",
        f"{sum(one.messages for one in found):,} messages",
        f"{sum(one.rows for one in found):,} rows",
        f"{sum(one.bytes for one in found) / 1e6:,.1f} MB",
    ]
    if damaged:
        sums.append(f"<span class=bad>{damaged} damaged files</span>")
    body = [
        f"<h1>Completeness of {escape(report.recording)}, {escape(report.date)} (UTC)</h1>",
        f"<p>{' · '.join(sums)}</p>",
        legend(),
        f"<div class=wide>{svg(timeline)}</div>",
        "<h2>Subscriptions</h2>",
        f"<div class=wide>{_table(found)}</div>",
        f"<p class=dim>{NOTES}</p>",
        "<h2>Gaps</h2>",
        f"<div class=wide>{_gaps(found)}</div>" if gaps else "<p>None.</p>",
        f"<p class=dim>Made by xtrader {escape(report.software)} from the files; <code>xtrader verify</code> proves them.</p>",
    ]
    return document(title, "\n".join(body))


def _table(found: Sequence[SubscriptionDay]) -> str:
    with_collector = len({one.collector for one in found}) > 1
    heads = ["<th class=text>subscription</th>", *(f"<th>{heading}</th>" for heading in HEADINGS)]
    lines = [f"<tr>{''.join(heads)}</tr>"]
    for one in found:
        name = f"{one.subscription} ({one.collector})" if with_collector else one.subscription
        cells = "".join(f"<td>{cell}</td>" for cell in _cells(one))
        lines.append(f"<tr><td class=text>{escape(name)}</td>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _cells(one: SubscriptionDay) -> Iterator[str]:
    yield "" if one.covered is None else percent(one.covered)
    yield percent(one.covered_day)
    yield f"<span class=bad>{len(one.gaps):,}</span>" if one.gaps else "0"
    yield length(round(one.gap_seconds * SECOND)) if one.gaps else ""
    yield f"{one.resyncs:,}"
    lag = one.lag_ms
    yield from ("",) * 4 if lag is None else (f"{value:,.1f}" for value in (lag.p50, lag.p90, lag.p99, lag.max))
    yield f"{one.messages:,}"
    yield f"{one.rows:,}"
    yield f"{one.bytes / 1e6:,.2f}"
    yield f"{one.parts:,}" + (f" <span class=bad>({one.damaged} damaged)</span>" if one.damaged else "")


def _gaps(found: Sequence[SubscriptionDay]) -> str:
    heads = "".join(f"<th class=text>{heading}</th>" for heading in ("subscription", "from (UTC)", "to (UTC)"))
    lines = [f"<tr>{heads}<th>length</th><th class=text>cause</th><th class=text>detail</th></tr>"]
    for one in found:
        for gap in one.gaps:
            texts = (one.subscription, moment(gap.ts_from), moment(gap.ts_to))
            cells = "".join(f"<td class=text>{escape(text)}</td>" for text in texts)
            words = f"<td class=text>{escape(gap.cause)}</td><td class='text fold'>{escape(gap.detail)}</td>"
            lines.append(f"<tr>{cells}<td>{length(gap.ts_to - gap.ts_from)}</td>{words}</tr>")
    return f"<table>{''.join(lines)}</table>"
