"""A report as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import Final

from xtrader.trading.stats.report_text import number
from xtrader.trading.stats.run_report import RunReport, printed

WIDTH: Final = 900
HEIGHT: Final = 220
STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}code{overflow-wrap:anywhere}svg{width:100%;height:auto}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}}"
)


def report_page(found: RunReport) -> str:
    """The page; what is not known says so."""
    money = [(name, printed(getattr(found, name))) for name in ("net", "gross", "fees", "rebates", "funding")]
    money += [("account at the beginning", printed(found.begun_with)), ("account at the end", printed(found.ended_with))]
    money.append(("largest drawdown, %", number(found.max_drawdown_pct)))
    figures = [(f"{name} = {found.formulas.get(name, '')}", number(value)) for name, value in found.ratios.items()]
    orders = [("decisions", str(found.decisions)), ("approved", str(found.approved)), ("orders", str(found.orders))]
    orders += [("acknowledged", str(found.acknowledged)), ("filled", str(found.filled)), ("fills", str(found.fills))]
    orders += [("fill ratio = filled / acknowledged", number(found.fill_ratio)), ("share of makers", number(found.maker_share))]
    orders += [("slippage against the mid at decision, bps", number(found.decision_slippage_bps))]
    orders += [("slippage against the mid at arrival, bps", number(found.arrival_slippage_bps))]
    orders += [(f"maker's markout after {name}, bps", number(value)) for name, value in found.markouts_bps.items()]
    orders += [("seconds in the queue", number(found.seconds_in_queue))]
    held = [(f"{one.strategy} {one.instrument}", f"net {printed(one.net)}, has {printed(one.quantity)}") for one in found.holdings]
    blind = [
        (key, f"{seconds:.3f} s without a book, lost {found.gaps.get(key, 0)} times")
        for key, seconds in found.blind_seconds.items()
    ]
    parts = [
        f"<h1>{escape(found.run)}</h1><p>{escape(found.mode)}, digest <code>{escape(found.digest)}</code></p>",
        _chart(found.curve),
        _section("USD", money),
        _section("By strategy and instrument", held),
        _section("Ratios", figures),
        _section("Orders", orders),
        _section("Rejections", [(code, str(count)) for code, count in found.rejections.items()]),
        _section("Books", blind),
        _list("Breaker", found.breaker),
        _list("Warnings", found.warnings),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(found.run)}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style></head><body>{"".join(parts)}</body></html>\n'


def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f'<tr><th scope="row">{escape(name)}</th><td class="n">{escape(value)}</td></tr>' for name, value in rows)
    return f"<h2>{escape(title)}</h2><table>{cells}</table>"


def _list(title: str, lines: Iterable[str]) -> str:
    found = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>{escape(title)}</h2><ul>{found}</ul>" if found else ""


def _chart(curve: Sequence[tuple[int, Decimal | None]]) -> str:
    """The worth of the account over time; nothing where fewer than two points are known."""
    points = [(ts, float(worth)) for ts, worth in curve if worth is not None]
    if len(points) < 2:
        return ""
    low, high = min(worth for _, worth in points), max(worth for _, worth in points)
    begin, length, height = points[0][0], max(1, points[-1][0] - points[0][0]), (high - low) or 1.0
    line = " ".join(f"{(ts - begin) / length * WIDTH:.1f},{HEIGHT - (worth - low) / height * HEIGHT:.1f}" for ts, worth in points)
    words = f"The account from {points[0][1]:.2f} to {points[-1][1]:.2f} USD, between {low:.2f} and {high:.2f}."
    shape = f'<polyline fill="none" stroke="#2563eb" stroke-width="2" points="{line}"/>'
    box = f'viewBox="-5 -5 {WIDTH + 10} {HEIGHT + 10}"'
    return f'<svg {box} role="img" aria-label="{escape(words)}">{shape}</svg><p>{escape(words)}</p>'
