"""Faults by chance: many at once, anywhere.

`XTRADER_MIXES` says how many mixes (default: a quick run; `make soak` has 500), `XTRADER_MIX` replays the one of a seed.
"""

from __future__ import annotations

import os

import pytest

from tests.faults.oracle import judge, teeth
from tests.faults.world import Outcome, Plan, record
from xtrader.emulator.faults import parse
from xtrader.model.market import Coverage

MIXES = int(os.environ.get("XTRADER_MIXES", "12"))
SEEDS = [int(os.environ["XTRADER_MIX"])] if "XTRADER_MIX" in os.environ else list(range(1, MIXES + 1))
FAULTS = 12
HORIZON = 40
"""Messages of a subscription within which the faults strike."""


def mix(seed: int) -> Outcome:
    return record(Plan(seed=seed, draw=lambda emulator: emulator.draw(f"mix/{seed}", FAULTS, HORIZON), patience=25))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mix_of_faults_is_recorded_as_it_happened(seed: int) -> None:
    outcome = mix(seed)
    assert judge(outcome) == [], f"replay with XTRADER_MIX={seed}; {teeth([fault for _, fault in outcome.faults])}"
    # Whether a fault of a request or of a connection finds one depends on the others.
    waiting = sum(parse(text).place in ("rest", "connect", "subscribe") for text in outcome.pending)
    assert sum(teeth([fault for _, fault in outcome.faults]).values()) >= (FAULTS - waiting) // 2


def by_subscription(outcome: Outcome) -> dict[tuple[str, str], list[object]]:
    """The records of each subscription in order; between subscriptions the order is the operating system's."""
    found: dict[tuple[str, str], list[object]] = {}
    for row in outcome.records:
        stream = row.stream if isinstance(row, Coverage) else type(row).__name__
        found.setdefault((row.instrument, stream), []).append(row)
    return found


def test_the_same_seed_makes_the_same_run() -> None:
    first, second = mix(3), mix(3)
    assert [event for _, event in first.faults] == [event for _, event in second.faults] != []
    assert by_subscription(first) == by_subscription(second)
