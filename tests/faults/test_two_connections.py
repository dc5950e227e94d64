"""Each subscription over two connections, one of which breaks by chance, again and again: nothing is missing and no row says so.
`XTRADER_MIXES` scales how many runs there are, `XTRADER_MIX` replays the one of a seed."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from tests.faults.oracle import judge
from tests.faults.world import VENUES, Plan, record
from xtrader.emulator.client import Client, text_frame
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import FaultEvent
from xtrader.model.market import Coverage

RUNS = int(os.environ.get("XTRADER_MIXES", "40")) // 10
SEEDS = [int(os.environ["XTRADER_MIX"])] if "XTRADER_MIX" in os.environ else list(range(1, RUNS + 1))
ROUNDS = 6
SEEN = 3
"""Seconds within which the other side has noticed what is missing."""
RECOVERY = 300
"""Seconds within which both connections are well again."""


def cut(client: Client, random: Random) -> float:
    client.cut()
    return 0


def close(client: Client, random: Random) -> float:
    client.close(random.choice((1001, 1012)), "going away")
    return 0


def deafen(client: Client, random: Random) -> float:
    client.socket.mute = "pongs"
    return 0


def die(client: Client, random: Random) -> float:
    client.freeze("dead")
    return 0


def stand_still(client: Client, random: Random) -> float:
    client.freeze("frozen")
    # Not so long that it is asked to subscribe anew: it would read all those requests at once, which is more than it allows.
    seconds = random.uniform(1, 9)
    asyncio.get_running_loop().call_later(seconds, client.thaw)
    return seconds


def garble(client: Client, random: Random) -> float:
    client.outbox.append(text_frame(b'{"half'))
    return 0


def lose(client: Client, random: Random) -> float:
    return leave_out(client, random, random.uniform(0.2, 2), 0.3)


def fall_silent(client: Client, random: Random) -> float:
    return leave_out(client, random, random.uniform(5, 25), 1.0)


def leave_out(client: Client, random: Random, seconds: float, share: float) -> float:
    """A share of the frames never goes out."""
    flush = client.flush

    def lossy() -> None:
        client.outbox = [frame for frame in client.outbox if random.random() >= share]
        flush()

    client.flush = lossy  # type: ignore[method-assign]
    asyncio.get_running_loop().call_later(seconds, client.__dict__.pop, "flush", None)
    return seconds


TROUBLES: dict[str, Callable[[Client, Random], float]] = {
    "cut": cut,
    "close": close,
    "deafen": deafen,
    "die": die,
    "stand still": stand_still,
    "garble": garble,
    "lose": lose,
    "fall silent": fall_silent,
}
"""What befalls one connection, and for how many seconds."""


@pytest.mark.parametrize("seed", SEEDS)
def test_trouble_on_one_of_two_connections_at_a_time_is_not_seen_in_the_data(seed: int) -> None:
    random = Random(f"two/{seed}")
    exchange = VENUES[seed % len(VENUES)]
    happened: Counter[str] = Counter()

    async def meddle(emulator: Emulator, well: Callable[[], bool]) -> None:
        made = emulator.venues[exchange]
        for _ in range(ROUNDS):
            trouble = random.choice(sorted(TROUBLES))
            client = random.choice(sorted(made.clients, key=lambda client: client.number))
            happened[trouble] += 1
            made.stage.truth.add(FaultEvent(fault=trouble, exchange=exchange, ts=made.stage.ms()))
            await asyncio.sleep(TROUBLES[trouble](client, random) + SEEN)
            async with asyncio.timeout(RECOVERY):
                while not well():
                    await asyncio.sleep(0.25)
            # A snapshot may be ahead of what the other connection has recorded until the next messages.
            await asyncio.sleep(1)

    outcome = record(Plan(venues=[exchange], seed=seed, connections=2, meddle=meddle))
    assert judge(outcome) == [], f"replay with XTRADER_MIX={seed}; {happened}"
    told = [row for row in outcome.records if type(row) is Coverage and row.state != "live" and row.ts_from >= outcome.began]
    assert told == [], f"replay with XTRADER_MIX={seed}; {happened}"
    assert happened.total() == ROUNDS
    assert outcome.reconnects or set(happened) <= {"stand still", "lose", "fall silent"}
