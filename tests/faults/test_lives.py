"""A venue that cuts every connection: how much of the time is recorded all the same, and how often it is called."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.faults import time_loop
from tests.faults.cases import SNAPSHOTS_BY_REST, SYMBOLS
from tests.faults.oracle import judge, timeline
from tests.faults.world import VENUES, Outcome, Plan, record
from xtrader.emulator.faults import parse
from xtrader.feed.feed import Feed
from xtrader.feed.rest import Rest
from xtrader.model.market import Coverage
from xtrader.model.subscription import Subscription
from xtrader.venues import market

SECONDS = 120
LIVES = {1: (0.45, 48), 3: (0.75, 20), 9: (0.9, 7), 30: (0.96, 3)}
"""Seconds that each connection lives -> the share of the time that is recorded at least, and connections a minute at the most."""


def cut_after(life: float, exchange: str, links: int) -> Outcome:
    target = f"{exchange}@{SYMBOLS[exchange]}"
    cuts = [f"close_1006:{stream}:{target}:after=1" for stream in ("L2", "TRADES")]
    lives = f"short_life:{exchange}:times={round(SECONDS / life) * links},seconds={life}"
    return record(Plan([parse(text) for text in (*cuts, lives)], venues=[exchange], instruments=1))


def live(outcome: Outcome, subscription: Subscription, began: int, ended: int) -> float:
    """The share of the time from `began` to `ended` that is recorded as live."""
    spans = [(max(one.start, began), min(one.end, ended)) for one in timeline(outcome, subscription) if one.state == "live"]
    return sum(max(end - begin, 0) for begin, end in spans) / (ended - began)


@pytest.mark.parametrize("exchange", VENUES)
@pytest.mark.parametrize("life", LIVES)
def test_a_venue_that_cuts_every_connection_is_recorded_but_for_the_moments_between_them(life: int, exchange: str) -> None:
    made = market(exchange, {})
    links = len(made.links([Subscription(stream, exchange, SYMBOLS[exchange]) for stream in ("L2", "TRADES")]))
    outcome = cut_after(life, exchange, links)
    began, ended = outcome.began, max(at for at, _ in outcome.faults)
    least, most = LIVES[life]
    least = min(least, 0.4 * life * made.limits.connects / made.limits.connect_seconds / links)
    for one in outcome.subscriptions:
        # A book that starts from REST comes as often as the venue's weight allows.
        if not (one.stream == "L2" and exchange in SNAPSHOTS_BY_REST and life < 9):
            assert live(outcome, one, began, ended) >= least, one
    assert outcome.counts[exchange]["attempt"] / links <= most * (ended - began) / 60e9 + 3
    # The weight also decides how deep such a book is.
    assert [found for found in judge(outcome) if "is not the true one" not in found] == []


async def hang_up(connection: ServerConnection, after: float, *, acknowledge: bool) -> None:
    """A polite goodbye without data, so many seconds `after` what was asked for was acknowledged."""
    if acknowledge:
        (channel,) = json.loads(await connection.recv())["args"]
        await connection.send(json.dumps({"event": "subscribe", "arg": channel, "connId": "1"}))
        await asyncio.sleep(after)
    await connection.close(1000, "bye")


@pytest.mark.parametrize(
    ("after", "acknowledge", "least", "most"),
    [(0.0, False, 10, 30), (0.1, True, 10, 30), (1.0, True, 10, 30), (3.0, True, 80, 100), (9.0, True, 29, 34)],
)
def test_a_goodbye_without_data_is_met_with_growing_pauses_unless_it_came_after_a_quiet_time(
    after: float, acknowledge: bool, least: int, most: int
) -> None:
    calls = 0

    async def goodbye(connection: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        await hang_up(connection, after, acknowledge=acknowledge)

    async def main() -> None:
        clock = time_loop.LoopClock(asyncio.get_running_loop())
        async with serve(goodbye, "127.0.0.1", 0) as server, Rest(clock) as rest:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            made = market("OKX_SWAP", {"XTRADER_OKX_SWAP_WS_URL": url, "XTRADER_OKX_SWAP_REST_URL": "http://127.0.0.1:1"})
            wanted = [Subscription("TRADES", "OKX_SWAP", "BTC-USDT-SWAP")]
            rows: list[object] = []
            task = asyncio.create_task(Feed({"OKX_SWAP": made}, wanted, rest=rest, clock=clock, put=rows.append).run())
            await asyncio.sleep(300)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert ("live" in {row.state for row in rows if isinstance(row, Coverage)}) == acknowledge

    time_loop.run(main())
    assert least <= calls <= most
