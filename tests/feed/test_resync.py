"""What an operator's commands do to the records: one subscription begun anew, and one connection made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.feed.feeding import PAIRS, check_against_truth, feeding, of
from tests.waiting import until
from xtrader.emulator.server import Emulator
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.venues import market
from xtrader.venues.base import ORDERED


def gaps_of(records: Sequence[Record]) -> list[Coverage]:
    """Those that began while recording went on, each once."""
    gaps = [row for row in records if isinstance(row, Coverage) and row.state == "gap" and row.cause != "start"]
    return [row for row in gaps if row.ts_to is None or row.detail == ORDERED]


def snapshots(records: Sequence[Record], key: str) -> int:
    return sum(isinstance(one, BookUpdate) and one.instrument == key and one.is_snapshot for one in records)


def trades_of(records: Sequence[Record]) -> list[Record]:
    return [one for one in records if isinstance(one, Trade)]


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize(("exchange", "symbol"), PAIRS)
def test_a_resync_costs_one_subscription_one_gap_row_and_nothing_else(exchange: str, symbol: str, connections: int) -> None:
    async def main() -> None:
        async with Emulator([exchange], instruments=2, rate=200, keep_truth=True) as emulator:
            symbols = [symbol, next(one for one in emulator.venues[exchange].boards if one != symbol)]
            chosen = of(exchange, symbol)
            key = chosen[0].key
            wanted = [*chosen, *of(exchange, symbols[1])]
            async with feeding({exchange: market(exchange, emulator.variables)}, wanted, connections) as (feed, records):
                await until(lambda: feed.ready() and all(one.connections_live == connections for one in feed.subscription_facts()))
                for subscription in chosen:
                    await asyncio.sleep(0.3)
                    assert feed.resync(subscription) == ""
                    await until(feed.ready)
                    seen = len(records)
                    await until(lambda: sum(getattr(one, "instrument", "") == key for one in records[seen:]) > 20)  # noqa: B023
                facts = {one.name: one for one in feed.subscription_facts()}
            found = gaps_of(records)
            assert [(row.instrument, row.stream, row.cause) for row in found] == [
                (key, stream, "operator") for stream in ("L2", "TRADES")
            ]
            assert all(row.ts_to is not None for row in found)
            assert {name: one.gaps for name, one in facts.items() if one.gaps} == {str(one): {"operator": 1} for one in chosen}
            assert {name: one.resyncs for name, one in facts.items() if one.resyncs} == {str(one): 1 for one in chosen}
            assert snapshots(records, key) == 2
            for name in symbols:
                own = [r for r in records if not isinstance(r, Instrument) and r.instrument == f"{exchange}@{name}"]
                # No trade is lost: they are whole over the resyncs. A book begins anew with its own.
                cut = own.index(found[0]) if name == symbol else 0
                for part in ([*own[:cut], *trades_of(own[cut:])], [*trades_of(own[:cut]), *own[cut:]]):
                    check_against_truth(emulator, part, exchange, name)

    asyncio.run(main())


@pytest.mark.parametrize(("exchange", "symbol"), PAIRS)
def test_what_is_not_live_is_left_alone(exchange: str, symbol: str) -> None:
    made = market(exchange, {})
    for link in made.links(of(exchange, symbol)):
        session = made.session(link, "start", {})
        list(session.start(1))
        for subscription in link.subscriptions:
            assert list(session.resync(subscription, 2)) == []


@pytest.mark.parametrize("connections", [1, 2])
def test_a_reconnect_costs_what_one_connection_carries_and_with_two_of_them_nothing(connections: int) -> None:
    exchange, symbol = "OKX_SWAP", "BTC-USDT-SWAP"

    async def main() -> None:
        async with Emulator([exchange], instruments=1, rate=200, keep_truth=True) as emulator:
            wanted = of(exchange, symbol)
            async with feeding({exchange: market(exchange, emulator.variables)}, wanted, connections) as (feed, records):

                def whole() -> bool:
                    return feed.ready() and all(one.connections_live == connections for one in feed.subscription_facts())

                await until(whole)
                await asyncio.sleep(0.3)
                assert feed.keepers[0].reconnect()
                await until(lambda: feed.keepers[0].reconnects == 1 and whole())
                facts = next(feed.connection_facts())
            assert (facts.losses, facts.reconnects, facts.state) == ({"operator": 1}, 1, "open")
            told = [(row.stream, row.cause) for row in gaps_of(records)]
            assert sorted(told) == ([] if connections == 2 else [("L2", "operator"), ("TRADES", "operator")])
            if connections == 2:
                check_against_truth(emulator, [r for r in records if not isinstance(r, Instrument)], exchange, symbol)

    asyncio.run(main())
