"""Neither sends, nor connects, nor REST weight ever go above the stated limits."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.feed.clocks import HandClock
from xtrader.feed.budget import Budget
from xtrader.feed.pace import Pace


@given(
    weights=st.lists(st.integers(1, 5), min_size=1, max_size=40),
    limits=st.lists(st.tuples(st.integers(5, 20), st.sampled_from([1.0, 2.0, 10.0])), min_size=1, max_size=3),
)
def test_no_window_ever_holds_more_than_its_limit(weights: list[int], limits: list[tuple[int, float]]) -> None:
    clock = HandClock()
    done: list[tuple[int, int]] = []

    async def main() -> None:
        pace = Pace(limits, clock)
        for weight in weights:
            while (delay := pace.delay(weight)) > 0:
                clock.move(delay + 1e-6)
            await pace.wait(weight)
            done.append((clock.steady, weight))

    asyncio.run(main())
    for count, seconds in limits:
        for at, _ in done:
            assert sum(w for t, w in done if at <= t < at + seconds * 1e9) <= count


def test_a_pace_that_is_free_does_not_wait() -> None:
    pace = Pace([(2, 1.0)], HandClock())
    asyncio.run(pace.wait())
    assert pace.delay(1) == 0.0


@given(count=st.integers(4, 300), wishes=st.lists(st.floats(0.1, 3.0), min_size=50, max_size=400))
def test_what_is_left_of_a_long_limit_is_spread_so_that_nobody_is_shut_out_for_the_rest_of_it(
    count: int, wishes: list[float]
) -> None:
    seconds = 300.0
    clock = HandClock()
    pace = Pace([(count, seconds)], clock)
    pauses = []
    for number, wish in enumerate(wishes):
        clock.move(wish)
        began = clock.steady
        while (delay := max(pace.delay(1), pace.spread())) > 0:
            clock.move(delay + 1e-6)
        if number < count // 2:
            assert clock.steady == began
        pauses.append((clock.steady - began) / 1e9)
        pace.done(1)
    assert max(pauses) <= 2.5 * (seconds + 1) / count


def test_a_few_books_get_the_deepest_snapshot_and_hundreds_a_shallower_one_that_all_can_have() -> None:
    depths = ((1000, 20), (500, 10), (100, 5), (50, 2))
    budget = Budget(2400, 60.0, HandClock())
    budget.waiting = 4
    assert budget.choose(depths) == (1000, 20)
    budget.waiting = 300
    assert budget.choose(depths) == (100, 5)
    budget.waiting = 5000
    assert budget.choose(depths) == (50, 2)


def test_weight_comes_back_when_the_window_has_passed() -> None:
    clock = HandClock()
    budget = Budget(100, 60.0, clock)
    budget.spend(50)
    clock.move(30)
    budget.spend(30)
    assert budget.left() == 0
    assert 29 < budget.delay(20) <= 30.1
    clock.move(31)
    assert budget.left() == 50
    assert budget.delay(20) == 0.0


def test_weight_that_others_behind_the_same_address_used_is_not_there_for_us() -> None:
    clock = HandClock()
    budget = Budget(1000, 60.0, clock)
    budget.spend(100)
    budget.observe(600)
    assert budget.left() == 200
    clock.move(61)
    assert budget.left() == 800


def test_a_request_to_stay_away_is_obeyed_to_its_end() -> None:
    clock = HandClock()
    budget = Budget(1000, 60.0, clock)
    budget.block(120)
    assert budget.delay(1) == 120.0
    clock.move(121)
    assert budget.delay(1) == 0.0
