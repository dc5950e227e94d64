"""A report in lines for people."""

from __future__ import annotations

from xtrader.trading.stats.run_report import RunReport, printed


def report_lines(found: RunReport) -> list[str]:
    """What a run came to, line by line; what is not known says so."""
    records = sum(found.records.values())
    money = (
        f"net {printed(found.net)} USD = gross {printed(found.gross)} - fees {printed(found.fees)}",
        f"+ rebates {printed(found.rebates)} + funding {printed(found.funding)}",
    )
    lines = [
        f"{found.run}: {records} records, {found.decisions} decisions, {found.orders} orders, {found.fills} fills",
        " ".join(money),
        *(f"  {one.strategy} {one.instrument}: net {printed(one.net)}, has {printed(one.quantity)}" for one in found.holdings),
        f"account {printed(found.begun_with)} -> {printed(found.ended_with)} USD, "
        f"largest drawdown {number(found.max_drawdown_pct)} %",
        "  ".join(f"{name} {number(value)}" for name, value in found.ratios.items()),
        f"filled {found.filled} of {found.acknowledged} acknowledged orders, {number(found.seconds_in_queue)} s in the queue; "
        f"slippage {number(found.arrival_slippage_bps)} bps against the mid at arrival",
        "markouts  " + "  ".join(f"{name} {number(value)} bps" for name, value in found.markouts_bps.items()),
    ]
    lines += [f"rejected {count} x {code}" for code, count in found.rejections.items()]
    lines += [f"! {what}" for what in (*found.breaker, *found.warnings)]
    return [*lines, f"digest {found.digest}"]


def number(value: float | None) -> str:
    """A figure with four digits; `unknown` for None."""
    return "unknown" if value is None else f"{value:.4g}"
