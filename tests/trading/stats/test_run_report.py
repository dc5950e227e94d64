"""Reports: ratios by hand, and a report of nothing that divides by nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.trading.market import KEY, SECOND, START, engine, inputs, instrument, live, snapshot, trade
from xtrader.trading.model.intents import new
from xtrader.trading.model.strategy import Strategy
from xtrader.trading.outcome_facts import facts_of
from xtrader.trading.stats.ratios import largest_drawdown, ratios
from xtrader.trading.stats.report_text import report_lines
from xtrader.trading.stats.run_report import RunReport, printed, run_report

D = Decimal
MINUTE = 60 * SECOND


class Buyer(Strategy):
    def __init__(self) -> None:
        self.is_done = False

    def on_quote(self, context: object, book: object) -> list[object]:  # type: ignore[override]
        if self.is_done:
            return []
        self.is_done = True
        return [new("buy", KEY, "1", "100.0"), new("buy", KEY, "1", "99.0"), new("buy", KEY, "1", "10.0")]


def report(*records: object) -> RunReport:
    found, _ = engine(Buyer)
    found.run(inputs(records))  # type: ignore[arg-type]
    return run_report(facts_of(found, "r", "replay", "d"))


def test_nothing_at_all_has_a_report() -> None:
    found = report()
    assert (found.net, found.fill_ratio, found.max_drawdown_pct, found.orders) == (0, None, None, 0)
    assert set(found.ratios.values()) == {None}
    assert any("unknown" in line for line in report_lines(found))


def test_one_price_and_no_trades_have_a_report() -> None:
    found = report(instrument(), live(), snapshot(START))
    assert (found.net, found.fills, found.fill_ratio, found.decision_slippage_bps) == (0, 0, 0.0, None)
    assert found.ratios == {"sharpe": None, "sortino": None, "calmar": None}


def test_what_a_run_came_to_is_in_its_report() -> None:
    later = snapshot(START + 11 * SECOND, 100.2, 100.4)
    found = report(
        instrument(), live(), snapshot(START), trade(START + SECOND, 100.0, 5.6), later, trade(START + 90 * SECOND, 100.3, 0.01)
    )
    assert found.net == D("0.6") * (D("100.3") - 100) - D("0.6") * 100 * D("0.0002")
    assert (found.orders, found.acknowledged, found.filled, found.fill_ratio) == (2, 2, 1, 0.5)
    assert found.rejections == {"FAR_FROM_MID": 1}
    assert found.decision_slippage_bps == pytest.approx(-0.1 / 100.1 * 10_000)
    assert found.markouts_bps == {"1s": pytest.approx(10), "10s": pytest.approx(30), "60s": pytest.approx(30)}
    assert found.seconds_in_queue == 1
    assert found.maker_share == 1
    assert any("5 % of what the market traded" in one for one in found.warnings)
    assert any("nothing is recorded of its funding" in one for one in found.warnings)
    assert found.curve[-1][1] == 10_000 + (found.net or 0)


def test_ratios_by_hand() -> None:
    points = [(n * MINUTE, worth) for n, worth in enumerate((100.0, 110.0, 99.0, 108.9))]
    found, drawdown = ratios(points)
    a_year = 365 * 24 * 60
    assert drawdown == pytest.approx(10)
    mean, spread = 0.1 / 3, (((0.1 - 0.1 / 3) ** 2 * 2 + (-0.1 - 0.1 / 3) ** 2) / 2) ** 0.5
    assert found["sharpe"] == pytest.approx(mean / spread * a_year**0.5)
    assert found["sortino"] == pytest.approx(mean / (0.01 / 3) ** 0.5 * a_year**0.5)
    assert found["calmar"] == pytest.approx(mean * a_year / 0.1)


def test_what_never_falls_has_no_drawdown_and_no_ratio_to_it() -> None:
    found, drawdown = ratios([(n * MINUTE, 100.0 + n) for n in range(5)])
    assert drawdown == 0
    assert found["sortino"] is None
    assert found["calmar"] is None
    assert largest_drawdown([]) is None


def test_money_is_rounded_half_even_where_it_is_printed_alone() -> None:
    assert printed(D("1.000000005")) == "1"
    assert printed(D("1.000000015")) == "1.00000002"
    assert printed(D("-0.10")) == "-0.1"
    assert printed(D("100")) == "100"
    assert printed(None) == "unknown"
