"""Two connections recorded as one, over sockets: cut in turn they leave no gap, and the venue's truth is stored once."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from random import Random

from tests import reading
from tests.feed.feeding import check_against_truth, feeding, of
from tests.running import log_of, recorder, stop
from tests.waiting import until
from xtrader.emulator.binance import Binance
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage
from xtrader.venues import market

EXCHANGES = {"BINANCE_FUTURES": "BTCUSDT", "BINANCE_SPOT": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}


def uneven(emulator: Emulator) -> Emulator:
    """The Binance venues cut the same changes into other messages on each connection."""
    for made in emulator.venues.values():
        if isinstance(made, Binance):
            made.uneven = True
    return emulator


def test_connections_cut_in_turn_leave_no_gap_and_the_venues_truth() -> None:
    async def main() -> None:
        random = Random(11)
        wanted = [one for exchange, symbol in EXCHANGES.items() for one in of(exchange, symbol)]
        async with uneven(Emulator(list(EXCHANGES), instruments=1, rate=800, keep_truth=True)) as emulator:
            markets = {exchange: market(exchange, emulator.variables) for exchange in EXCHANGES}
            async with feeding(markets, wanted, connections=2) as (feed, records):

                def whole() -> bool:
                    seen = list(feed.subscription_facts())
                    return len(seen) == 8 and all(one.connections_live == 2 for one in seen)

                for _ in range(4):
                    await until(whole)
                    await asyncio.sleep(0.3)
                    for made in emulator.venues.values():
                        random.choice(sorted(made.clients, key=id)).socket.transport.abort()
                    await until(lambda: not whole())
                    assert feed.ready()
                await until(whole)
                await asyncio.sleep(0.3)
                assert sum(keeper.reconnects for keeper in feed.keepers) >= 4 * len(EXCHANGES)
                told = [(r.stream, r.state, r.ts_to) for r in records if isinstance(r, Coverage) and r.state == "gap"]
                assert not told
        for exchange, symbol in EXCHANGES.items():
            key = f"{exchange}@{symbol}"
            own = [r for r in records if not isinstance(r, Instrument) and r.instrument == key]
            check_against_truth(emulator, own, exchange, symbol)
            assert sum(isinstance(r, BookUpdate) and r.is_snapshot for r in own) == 1

    asyncio.run(main())


def test_a_recorder_with_two_connections_stores_everything_once_while_they_are_cut(tmp_path: Path) -> None:
    sockets = {"BINANCE_FUTURES": 4, "OKX_SWAP": 2}
    exchanges = list(sockets)

    async def main() -> Truth:
        random = Random(5)
        async with uneven(Emulator(exchanges, instruments=1, rate=600, keep_truth=True)) as emulator:
            assert emulator.truth is not None
            wanted = ",".join(f"{stream}:{name}@BTCUSDT" for name in exchanges for stream in ("L2", "TRADES"))
            variables = emulator.variables | {"XTRADER_CONNECTIONS": "2"}
            async with recorder(tmp_path, wanted, variables) as process:
                for _ in range(3):
                    await until(lambda: {name: len(made.clients) for name, made in emulator.venues.items()} == sockets)
                    # Long enough to be in sync again: nothing outside the process tells.
                    await asyncio.sleep(2)
                    for made in emulator.venues.values():
                        random.choice(sorted(made.clients, key=id)).socket.transport.abort()
                    await until(lambda: all(len(made.clients) < sockets[name] for name, made in emulator.venues.items()))
                await asyncio.sleep(1)
                assert await stop(process) == 0, log_of(tmp_path)
            return emulator.truth

    truth = asyncio.run(main())
    for exchange in exchanges:
        symbol = EXCHANGES[exchange]
        ids = [row["trade_id"] for row in reading.rows(tmp_path / "data", "TRADES", exchange, symbol).to_pylist()]
        true = [trade.id for trade in truth.trades(exchange, symbol)]
        assert len(ids) > 100
        assert ids == true[true.index(ids[0]) :][: len(ids)]
        stored = list(reading.messages(tmp_path / "data", exchange, symbol))
        assert [message.is_snapshot for message in stored] == [True, *[False] * (len(stored) - 1)]
        assert all(after.prev_sequence == before.sequence for before, after in pairwise(stored[1:]))
    assert reading.gaps(tmp_path / "data", "shutdown") == []
