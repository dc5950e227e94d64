"""Facts as a value: merged, counted, and told as JSON and back."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.made import NOW, facts, subscription
from xtrader.ops.facts import ExchangeFacts, Facts, Histogram, add, gone, merge, of_worker
from xtrader.ops.measure import MANY, NULL, Arrivals, Durations

NS = st.lists(st.integers(-(2**40), 2**40), max_size=40)


def counted(ns: list[int]) -> Durations:
    durations = Durations()
    for one in ns:
        durations.add(one)
    return durations


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-(2**40), 2**40)), max_size=40))
def test_many_at_once_are_counted_as_one_by_one(rows: list[tuple[int, int]]) -> None:
    columns = np.zeros(len(rows), [("instrument", "<i4"), ("ts_event", "<i8"), ("ts_recv", "<i8")])
    columns["instrument"] = [which for which, _ in rows]
    columns["ts_recv"] = [lag for _, lag in rows]
    arrivals = Arrivals()
    arrivals.take(["A@X", "B@X", "A@Y"], columns, 0)
    for exchange, own in {"A": (0, 2), "B": (1,)}.items():
        lags = [lag for which, lag in rows if which in own]
        assert arrivals.lag(exchange) == counted(lags).facts()
        assert arrivals.journaled(exchange) == counted([-lag for lag in lags]).facts()


@given(NS, NS)
def test_histograms_add_up_to_that_of_all(first: list[int], second: list[int]) -> None:
    both, whole = add([counted(first).facts(), counted(second).facts()]), counted(first + second).facts()
    assert (both.counts, both.longest) == (whole.counts, whole.longest)
    assert both.count == len(first) + len(second)


@given(st.lists(st.integers(1, 2**40), min_size=1, max_size=40), st.floats(0.01, 1))
def test_a_quantile_is_right_within_a_bucket(ns: list[int], share: float) -> None:
    found = counted(ns).facts().quantile(share)
    assert found is not None
    assert sum(one <= found * 1e9 * (1 + 1e-9) for one in ns) >= share * len(ns) - 1e-6


def test_what_came_since_an_earlier_state_is_the_difference_and_all_of_it_after_a_restart() -> None:
    before, after = counted([5, 9]).facts(), counted([5, 9, 9]).facts()
    assert after.since(before).count == 1
    assert before.since(after) == before
    assert Histogram().quantile(0.5) is None


def test_rows_are_counted_by_their_exchange_and_without_a_venues_time_only_where_they_can_be() -> None:
    columns = np.zeros(3, [("instrument", "<i4"), ("ts_event", "<i8"), ("ts_recv", "<i8")])
    columns["instrument"] = [0, 1, 1]
    columns["ts_event"] = [NOW, NULL, NOW + 5]
    columns["ts_recv"] = [NOW + 100, NOW, NOW]
    arrivals = Arrivals()
    arrivals.take(["A@X", "B@Y"], columns, NOW + 200)
    arrivals.take(["B@Y"], columns[:1], NOW + 200)
    assert (arrivals.lag("A").count, arrivals.lag("B").count) == (1, 2)
    assert (arrivals.journaled("A").count, arrivals.journaled("B").count) == (1, 3)
    assert (arrivals.least_lag("A"), arrivals.least_lag("B"), arrivals.least_lag("B")) == (100, -5, None)


def test_nothing_is_kept_of_rows_that_were_counted() -> None:
    columns = np.zeros(1000, [("instrument", "<i4"), ("ts_event", "<i8"), ("ts_recv", "<i8")])
    arrivals = Arrivals()
    for _ in range(100):
        arrivals.take(["A@X"], columns, NOW)
        assert arrivals._rows < MANY
    assert arrivals.journaled("A").count == 100_000


def test_workers_are_merged_into_one_recorder_and_stay_told_apart() -> None:
    lag = counted([5]).facts()
    exchange = ExchangeFacts("A", "production", lag, lag, lag)
    first = facts(subscription("L2:A@X"), exchanges=(exchange,))
    second = facts(subscription("L2:A@Y"), exchanges=(exchange,), ts=NOW - 5)
    whole = merge(facts(ts=NOW + 9, wanted=2), [of_worker(first, 0), of_worker(second, 1)])
    assert [(one.name, one.worker) for one in whole.subscriptions] == [("L2:A@X", 0), ("L2:A@Y", 1)]
    assert [(one.exchange, one.lag.count) for one in whole.exchanges] == [("A", 2)]
    assert (whole.ts, whole.wanted, whole.live) == (NOW - 5, 2, 2)


def test_of_a_worker_that_is_gone_nothing_is_live() -> None:
    told = gone(facts(subscription("L2:A@X")), "it does not run", NOW + 5)
    assert [(one.state, one.detail, one.since) for one in told.subscriptions] == [("gap", "it does not run", NOW)]


def test_facts_are_told_as_json_and_what_a_newer_version_adds_is_passed_over() -> None:
    told = facts(subscription(gaps={"silent": 2}))
    as_json = msgspec.json.encode(told)
    assert msgspec.json.decode(as_json, type=Facts) == told
    newer = msgspec.json.decode(as_json) | {"weather": "fine"}
    assert msgspec.json.decode(msgspec.json.encode(newer), type=Facts) == told
