"""The page of a report: well-formed, and nothing of a name is markup."""

from __future__ import annotations

import re
from decimal import Decimal

from msgspec.structs import replace

from tests.trading.market import START, engine, inputs, instrument, live, snapshot
from xtrader.trading.model.strategy import Strategy
from xtrader.trading.outcome_facts import facts_of
from xtrader.trading.stats.report_page import report_page
from xtrader.trading.stats.run_report import run_report


def test_a_page_has_every_figure_and_takes_no_markup_from_names() -> None:
    found, _ = engine(Strategy)
    found.run(inputs([instrument(), live(), snapshot(START)]))
    report = run_report(facts_of(found, "<b>run</b>", "replay", "d" * 64))
    report = replace(
        report, warnings=["<script>x</script>"], curve=[(0, Decimal(1)), (1, None), (2, Decimal(3))], rejections={"RATE": 7}
    )
    page = report_page(report)
    assert "<script>" not in page
    assert "<b>run" not in page
    assert "&lt;script&gt;" in page
    assert "RATE" in page
    assert "unknown" in page
    assert "The account from 1.00 to 3.00 USD" in page
    opened = re.findall(r"<(\w+)", page.replace("<!doctype", ""))
    closed = re.findall(r"</(\w+)", page)
    assert sorted(one for one in opened if one not in ("meta", "polyline")) == sorted(closed)


def test_nothing_has_a_page_too() -> None:
    found, _ = engine(Strategy)
    found.run([])
    assert "<svg" not in report_page(run_report(facts_of(found, "r", "replay", "d")))
