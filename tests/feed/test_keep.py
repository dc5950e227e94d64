"""A link is kept for ever: what its loss, a planned replacement and a venue that hangs up politely do to the records."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.faults import time_loop
from tests.faults.time_loop import LoopClock
from tests.feed.feeding import PAIRS, ShortLived, check_against_truth, feeding, of
from tests.venues.speakers import SPEAKERS
from tests.waiting import until
from xtrader.emulator.client import text_frame
from xtrader.emulator.faults import parse
from xtrader.emulator.server import Emulator
from xtrader.feed.keep import Keeper
from xtrader.model.market import Coverage, Record, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market

PHASES: dict[str, Callable[[Keeper], bool]] = {
    "the new connection is being made": lambda keeper: keeper._both is not None,
    "the new connection talks": lambda keeper: all(seat is not None and seat.received for seat in keeper._seats),
    "the old connection is being closed": lambda keeper: keeper._seats[keeper._seat] not in (None, keeper.current),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_feed_that_is_stopped_during_a_replacement_leaves_no_connection_behind(phase: str) -> None:
    async def main() -> int:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=300) as emulator:
            short = ShortLived(market("OKX_SWAP", emulator.variables), 2.0)
            async with feeding({"OKX_SWAP": short}, of("OKX_SWAP", "BTC-USDT-SWAP")) as (feed, _):
                await until(feed.ready)
                await until(lambda: PHASES[phase](feed.keepers[0]), pause=0)
            clients = emulator.venues["OKX_SWAP"].clients
            await until(lambda: not clients)
            await asyncio.sleep(0.5)
            return len(clients)

    assert asyncio.run(main()) == 0, "a connection was left, or made after the stop"


@pytest.mark.parametrize(("exchange", "symbol"), PAIRS)
def test_a_planned_replacement_leaves_no_gap_and_no_repetition(exchange: str, symbol: str) -> None:
    async def main() -> None:
        async with Emulator([exchange], instruments=1, rate=300, keep_truth=True) as emulator:
            short = ShortLived(market(exchange, emulator.variables), 2.0)
            async with feeding({exchange: short}, of(exchange, symbol)) as (feed, records):
                await until(feed.ready)
                first = [keeper.current for keeper in feed.keepers]
                await until(lambda: all(keeper.current not in first for keeper in feed.keepers))
                second = [keeper.current for keeper in feed.keepers]
                await until(lambda: all(keeper.current not in second for keeper in feed.keepers))
                await asyncio.sleep(0.5)
                assert all(keeper.reconnects == 0 for keeper in feed.keepers)
            check_against_truth(emulator, records, exchange, symbol)
            states = Counter((r.stream, r.state) for r in records if isinstance(r, Coverage) and r.ts_to is None)
            assert states == {(stream, state): 1 for stream in ("L2", "TRADES") for state in ("syncing", "live")}

    asyncio.run(main())


def test_when_the_last_message_came_is_known_after_the_connection_was_lost_and_on_the_next() -> None:
    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=300) as emulator:
            made = market("OKX_SWAP", emulator.variables)
            async with feeding({"OKX_SWAP": made}, of("OKX_SWAP", "BTC-USDT-SWAP")) as (feed, _):
                await until(lambda: feed.ready() and all(one.ts_last for one in feed.subscription_facts()))
                before = {one.name: one.ts_last for one in feed.subscription_facts()}
                emulator.add(parse("abort_connect:OKX_SWAP:times=3"))
                for client in list(emulator.venues["OKX_SWAP"].clients):
                    client.socket.transport.abort()
                seen = set()
                while not (feed.ready() and "waiting" in seen):
                    seen |= {one.state for one in feed.connection_facts()}
                    assert all(one.ts_last >= before[one.name] for one in feed.subscription_facts())
                    assert all(one.ts_last >= min(before.values()) for one in feed.connection_facts())
                    await asyncio.sleep(0.02)

    asyncio.run(main())


@pytest.mark.parametrize(("exchange", "symbol"), PAIRS)
def test_a_lost_connection_is_a_gap_from_its_last_frame_until_the_next_connection_and_then_in_sync_again(
    exchange: str, symbol: str
) -> None:
    async def main() -> None:
        async with Emulator([exchange], instruments=1, rate=300, keep_truth=True) as emulator:
            made = market(exchange, emulator.variables)
            async with feeding({exchange: made}, of(exchange, symbol)) as (feed, records):
                await until(feed.ready)
                await asyncio.sleep(1)
                for client in list(emulator.venues[exchange].clients):
                    client.socket.transport.abort()
                await until(lambda: any(k.reconnects for k in feed.keepers) and not feed.ready())
                await until(feed.ready)
                await asyncio.sleep(1)
            for stream in ("L2", "TRADES"):
                rows = [r for r in records if isinstance(r, Coverage) and r.stream == stream and r.ts_to is not None]
                told = [(r.state, r.cause) for r in rows]
                assert told[:4] == [("syncing", "start"), ("live", "start"), ("gap", "disconnect"), ("syncing", "disconnect")]
                assert all(before.ts_to <= after.ts_from for before, after in pairwise(rows[:4]))  # type: ignore[operator]
            assert emulator.truth is not None
            trades = [r.trade_id for r in records if isinstance(r, Trade)]
            assert len(trades) == len(set(trades))
            true = [t.id for t in emulator.truth.trades(exchange, symbol)]
            lost = [true[i] for i in range(true.index(trades[0]), true.index(trades[-1])) if true[i] not in set(trades)]
            holes = [r for r in records if isinstance(r, Coverage) and "missing ids" in r.detail and r.ts_to is not None]
            assert sum(int(r.detail.rsplit("(", 1)[1].rstrip(")")) for r in holes) >= len(lost)

    asyncio.run(main())


@pytest.mark.parametrize(("exchange", "symbol"), PAIRS)
def test_a_replacement_that_is_behind_and_lost_before_it_caught_up_doubles_no_trade(exchange: str, symbol: str) -> None:
    """The second connection begins 100 trades behind the first one and is cut 90 behind it, the third begins 95 behind it."""
    speaker = SPEAKERS[exchange]
    passages = [range(901, 1001), range(901, 911), range(906, 1021)]
    opened: list[ServerConnection] = []

    async def tell(connection: ServerConnection) -> None:
        place = len(opened)
        opened.append(connection)
        with suppress(ConnectionClosed):
            await connection.recv()
            for text in speaker.hello():
                await connection.send(text.decode())
            for number in passages[place]:
                await connection.send(speaker.trade(number, number, 10 * number).decode())
            if place == 1:
                await opened[0].wait_closed()
            else:
                await connection.wait_closed()

    async def main() -> list[Record]:
        async with serve(tell, "127.0.0.1", 0, ping_interval=None) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            made = market(exchange, {f"XTRADER_{exchange}_WS_URL": url, f"XTRADER_{exchange}_REST_URL": "http://127.0.0.1:1"})
            short, clock = ShortLived(made, 2.0), LoopClock(asyncio.get_running_loop())
            async with feeding({exchange: short}, [Subscription("TRADES", exchange, symbol)], clock=clock) as (_, records):
                await until(lambda: any(isinstance(r, Trade) and r.sequence == 1020 for r in records))
                return list(records)

    records = time_loop.run(main())
    assert [r.sequence for r in records if isinstance(r, Trade)] == list(range(901, 1021))
    gaps = [(r.cause, r.ids_from) for r in records if isinstance(r, Coverage) and r.state == "gap"]
    assert gaps == [("disconnect", None)] * 2, "that of the cut, as it begins and ends"


def test_a_venue_that_hangs_up_politely_again_and_again_is_not_called_in_a_hot_loop() -> None:
    calls = 0

    async def goodbye(connection: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        await connection.close(1000, "bye")

    async def main() -> None:
        async with serve(goodbye, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            made = market("OKX_SWAP", {"XTRADER_OKX_SWAP_WS_URL": url, "XTRADER_OKX_SWAP_REST_URL": "http://127.0.0.1:1"})
            async with feeding({"OKX_SWAP": made}, of("OKX_SWAP", "BTC-USDT-SWAP")):
                await asyncio.sleep(5)

    asyncio.run(main())
    assert 2 <= calls <= 8


def test_a_venue_that_makes_us_speak_without_end_and_never_reads_is_left() -> None:
    """Deribit answers every test_request at once; a socket that takes nothing must not fill the memory."""
    request = '{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}'

    async def demand(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        while not connection.transport.is_closing():
            connection.transport.write(text_frame(request.encode()) * 1000)
            await asyncio.sleep(0.005)

    async def main() -> list[Coverage]:
        async with serve(demand, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            made = market("DERIBIT", {"XTRADER_DERIBIT_WS_URL": url, "XTRADER_DERIBIT_REST_URL": "http://127.0.0.1:1"})
            async with feeding({"DERIBIT": made}, of("DERIBIT", "BTC-PERPETUAL")) as (_, records):
                await until(lambda: any(isinstance(r, Coverage) and "could not be sent" in r.detail for r in records))
            server.close(close_connections=True)
            return [r for r in records if isinstance(r, Coverage) and "could not be sent" in r.detail]

    rows = asyncio.run(main())
    assert {(row.stream, row.state, row.cause) for row in rows} == {("L2", "gap", "silent"), ("TRADES", "gap", "silent")}
