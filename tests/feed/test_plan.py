from xtrader.feed.pace import MARGIN
from xtrader.feed.plan import SnapshotPlan, budgeted, paced
from xtrader.venues.base import Fetch

DEEP = Fetch("OKX_SWAP@X", "snapshot", "/depth", depths=((1000, 20), (500, 10), (100, 5)))


def test_what_fits_under_every_limit_takes_no_time() -> None:
    assert paced([1, 1, 1], [(3, 1.0), (10, 60.0)]) == 0.0
    assert paced([], [(3, 1.0)]) == 0.0
    assert paced([1] * 1000, []) == 0.0


def test_the_tightest_limit_sets_the_time() -> None:
    assert round(paced([1] * 7, [(3, 1.0)]), 3) == 2.0 + 2 * MARGIN
    assert round(paced([20] * 25, [(480, 3600.0), (60, 1.0)]), 0) == 3600


def test_few_snapshots_are_deep_and_many_shallow() -> None:
    assert budgeted([DEEP] * 3, 1000, 60.0) == ((SnapshotPlan(3, 1000, 20),), 800, 0.0, 0.0)
    chosen, limit, seconds, deep = budgeted([DEEP] * 100, 1000, 60.0)
    assert (sum(part.count for part in chosen), limit, seconds) == (100, 800, 0.0)
    assert sum(part.count * part.weight for part in chosen) <= limit
    assert min(part.depth for part in chosen) < 1000
    assert sum(len(part.shallow) for part in chosen) == sum(part.count for part in chosen if part.depth < 1000)
    assert deep > 60.0


def test_what_exceeds_the_budget_waits_for_the_next_interval() -> None:
    chosen, _, seconds, _ = budgeted([DEEP] * 200, 1000, 60.0)
    assert sum(part.count for part in chosen) == 200
    assert 60.0 <= seconds < 61.0
