"""What is wrong at a venue, or between it and this machine, is found by asking it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import pytest

from tests.objectstore import free_port
from xtrader.clock import SystemClock
from xtrader.doctor.venue_check import AskedVenue, ask_venue
from xtrader.emulator.faults import parse
from xtrader.emulator.server import Emulator
from xtrader.feed.rest import Rest
from xtrader.model.subscription import parse_subscriptions
from xtrader.venues import exchanges, market, streams

EXCHANGES = sorted(exchange for exchange in exchanges() if exchange in ("BINANCE_FUTURES", "DERIBIT", "OKX_SWAP"))
SYMBOLS = {"BINANCE_FUTURES": "BTCUSDT", "DERIBIT": "BTC-PERPETUAL", "OKX_SWAP": "BTC-USDT-SWAP"}


async def asked(exchange: str, variables: Mapping[str, str], symbols: Sequence[str]) -> AskedVenue:
    wanted = parse_subscriptions(",".join(f"L2:{exchange}@{symbol}" for symbol in symbols), exchanges(), streams)
    async with Rest(SystemClock()) as rest:
        return await ask_venue(market(exchange, variables), wanted, rest, SystemClock())


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_venue_that_answers_and_knows_the_instrument_is_ok(exchange: str) -> None:
    async def main() -> AskedVenue:
        async with Emulator([exchange], instruments=2, rate=0) as emulator:
            return await asked(exchange, emulator.variables, [SYMBOLS[exchange]])

    found = asyncio.run(main())
    assert [one.level for one in found.findings] == ["ok"] * 3
    assert [str(one) for one in found.subscriptions] == [f"L2:{exchange}@{SYMBOLS[exchange]}"]


def test_a_name_with_a_slip_is_wrong_and_its_neighbours_are_told() -> None:
    async def main() -> AskedVenue:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=0) as emulator:
            return await asked("OKX_SWAP", emulator.variables, ["BTC-USDT-SWPA", "ETHUSDT"])

    found = asyncio.run(main())
    (wrong,) = [one for one in found.findings if one.level == "wrong"]
    assert wrong.about == "subscription L2:OKX_SWAP@BTC-USDT-SWPA"
    assert wrong.remedy.startswith("did you mean BTCUSDT (BTC-USDT-SWAP)")
    assert [one.instrument for one in found.subscriptions] == ["ETH-USDT-SWAP"]


def test_an_instrument_on_a_later_page_of_the_catalogue_is_found() -> None:
    async def main() -> AskedVenue:
        async with Emulator(["BYBIT_LINEAR"], instruments=5, rate=0) as emulator:
            return await asked("BYBIT_LINEAR", emulator.variables, ["BNBUSDT"])

    assert [one.level for one in asyncio.run(main()).findings] == ["ok"] * 3


def test_an_instrument_that_does_not_trade_is_worth_a_word() -> None:
    async def main() -> AskedVenue:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=0) as emulator:
            emulator.venues["OKX_SWAP"].boards["BTC-USDT-SWAP"].is_halted = True
            return await asked("OKX_SWAP", emulator.variables, ["BTC-USDT-SWAP"])

    (found,) = [one for one in asyncio.run(main()).findings if one.level == "warning"]
    assert "does not trade: its status is 'suspend'" in found.words


@pytest.mark.parametrize(("ahead", "level"), [(4.0, "wrong"), (-20.0, "wrong"), (0.0, "ok")])
def test_a_clock_that_differs_from_the_venues_is_seen(ahead: float, level: str) -> None:
    async def main() -> AskedVenue:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=0, wall=lambda: time.time() + ahead) as emulator:
            while not emulator.stage.now:
                await asyncio.sleep(0.01)
            return await asked("OKX_SWAP", emulator.variables, ["BTC-USDT-SWAP"])

    (found,) = [one for one in asyncio.run(main()).findings if one.about == "clock"]
    assert found.level == level
    if ahead:
        assert f"{'behind' if ahead > 0 else 'ahead of'} venue OKX_SWAP" in found.words


@pytest.mark.parametrize("kind", ["rest_5xx", "rest_429", "rest_garbage"])
def test_a_venue_that_does_not_answer_as_it_should_is_wrong(kind: str) -> None:
    async def main() -> AskedVenue:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=0) as emulator:
            emulator.add(parse(f"{kind}:OKX_SWAP:times=9"))
            return await asked("OKX_SWAP", emulator.variables, ["BTC-USDT-SWAP"])

    found = asyncio.run(main())
    assert found.findings[0].level == "wrong"
    assert found.findings[0].remedy


def test_a_venue_where_nobody_listens_is_wrong() -> None:
    variables = {"XTRADER_OKX_SWAP_REST_URL": f"http://127.0.0.1:{free_port()}"}
    found = asyncio.run(asked("OKX_SWAP", variables, ["BTC-USDT-SWAP"]))
    (wrong,) = found.findings
    assert "its catalogue cannot be had" in wrong.words
    assert "is XTRADER_OKX_SWAP_REST_URL right" in wrong.remedy
