"""Books whose REST budget is too small for deep snapshots of all at once: shallow ones say so, and are deepened by themselves."""

from __future__ import annotations

from itertools import pairwise

from tests.faults.oracle import judge, timeline
from tests.faults.world import Plan, record
from xtrader.model.market import Coverage
from xtrader.venues import rules


def test_shallow_books_of_a_large_start_become_deep_without_a_gap() -> None:
    outcome = record(Plan(venues=["BINANCE_SPOT"], instruments=25, at_least=180))
    said = rules("BINANCE_SPOT")
    assert said is not None
    assert judge(outcome) == []
    assert sum(outcome.counts["BINANCE_SPOT"][f"HTTP {code}"] for code in (429, 418)) == 0
    first = {}
    for subscription in outcome.subscriptions:
        if subscription.stream != "L2":
            continue
        told = [row for row in outcome.records if isinstance(row, Coverage) and row.instrument == subscription.key]
        lives = [row for row in told if (row.stream, row.state, row.ts_to) == ("L2", "live", None)]
        first[subscription] = lives[0].depth
        assert lives[-1].depth == said.depth
        intervals = [one for one in timeline(outcome, subscription) if one.state == "live"]
        assert len(intervals) == len(lives)
        assert all(before.end == after.start for before, after in pairwise(intervals))
    assert said.depth in first.values()
    assert any(depth is not None and depth < said.depth for depth in first.values() if said.depth)
