"""A common cut of many instruments is no storm: what is asked of the venue afterwards stays inside its limits.

The venues' minute lasts six seconds on both sides here, so that it passes more than once; XTRADER_STORM=1 takes the real one.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping

import msgspec
import pytest

from tests.feed.feeding import feeding
from tests.waiting import LIMIT, until
from xtrader.clock import SystemClock
from xtrader.emulator import binance_rest
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import HttpAnswer
from xtrader.feed.rest import Rest
from xtrader.model.subscription import Subscription
from xtrader.venues import market

INSTRUMENTS = 200
MINUTE = 60.0 if os.environ.get("XTRADER_STORM") else 6.0


@pytest.mark.parametrize(("exchange", "connections"), [("BINANCE_FUTURES", 2), ("BINANCE_SPOT", 1)])
def test_two_hundred_instruments_are_in_sync_again_within_the_venues_limits(
    exchange: str, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binance_rest, "MINUTE", int(MINUTE * 1000))
    statuses: Counter[int] = Counter()
    used = 0

    async def main() -> None:
        async with Emulator([exchange], instruments=INSTRUMENTS, rate=100) as emulator:
            made = emulator.venues[exchange]
            answer = made.answer

            def counted(path: str, query: Mapping[str, str]) -> HttpAnswer:
                nonlocal used
                given = answer(path, query)
                statuses[given.status] += 1
                used = max(used, int(dict(given.headers)["X-MBX-USED-WEIGHT-1M"]))
                return given

            made.answer = counted  # type: ignore[method-assign]
            wanted = [Subscription(stream, exchange, symbol) for symbol in made.boards for stream in ("L2", "TRADES")]
            asked = market(exchange, emulator.variables)
            asked.limits = msgspec.structs.replace(asked.limits, rest_seconds=MINUTE)
            links = connections * len(asked.links(wanted))
            async with feeding({exchange: asked}, wanted, connections) as (feed, _):

                def whole() -> bool:
                    seen = list(feed.subscription_facts())
                    return len(seen) == len(wanted) and all(one.connections_live == connections for one in seen)

                await until(whole, limit=max(LIMIT, 4 * MINUTE))
                for client in list(made.clients):
                    client.socket.transport.abort()
                await until(lambda: not feed.ready())
                await until(whole, limit=max(LIMIT, 4 * MINUTE))
            assert made.counts["connect"] == 2 * links
            assert made.counts["connect"] <= asked.limits.connects
            assert not made.counts["too many messages"]

    asyncio.run(main())
    assert set(statuses) == {200}
    assert statuses[200] < 2.5 * INSTRUMENTS * connections
    assert used <= binance_rest.WEIGHT_LIMITS[exchange]


def test_markets_at_one_address_share_a_budget_and_the_smaller_limit() -> None:
    at = {
        f"XTRADER_{exchange}_REST_URL": "https://one.example" for exchange in ("BINANCE_FUTURES", "BINANCE_COINM", "BINANCE_SPOT")
    }

    async def main() -> None:
        async with Rest(SystemClock()) as rest:
            spot, futures, inverse = (market(exchange, at) for exchange in ("BINANCE_SPOT", "BINANCE_FUTURES", "BINANCE_COINM"))
            assert rest.budget(spot) is rest.budget(futures) is rest.budget(inverse)
            assert rest.budget(spot).limit <= 0.8 * 2400
            apart = market("BINANCE_COINM", {})
            assert rest.budget(apart) is not rest.budget(futures)

    asyncio.run(main())
