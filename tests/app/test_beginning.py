"""A venue whose catalogue cannot be had when the recorder starts: the others record, it begins when its catalogue comes, and what
the catalogue does not list is named and stops nothing."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests import reading
from tests.running import both, log_of, logged, recorder, stop
from tests.waiting import until, within
from xtrader.emulator.server import Emulator
from xtrader.ops.ask import Asking
from xtrader.ops.facts import Facts, SubscriptionFacts
from xtrader.ops.health import is_ready

SPOT = both("BINANCE_SPOT", "BTCUSDT")
LATE = f"{both('OKX_SWAP', 'BTCUSDT')},L2:OKX_SWAP@BTCUSD"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_venue_that_waits_for_its_catalogue_holds_up_no_other(tmp_path: Path, workers: str) -> None:
    journal = tmp_path / "data" / ".journal"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    addresses = {"XTRADER_OKX_SWAP_REST_URL": f"http://127.0.0.1:{port}", "XTRADER_OKX_SWAP_WS_URL": f"ws://127.0.0.1:{port}"}

    def facts() -> Facts:
        with Asking(journal) as asking:
            return asking.facts()

    def states() -> dict[str, str]:
        return {one.name: one.state for one in facts().subscriptions}

    def of(name: str) -> SubscriptionFacts:
        return next(one for one in facts().subscriptions if one.name == name)

    async def main() -> None:
        async with Emulator(["BINANCE_SPOT"], instruments=2, rate=300) as spot:
            variables = {**spot.variables, **addresses, "XTRADER_WORKERS": workers}
            async with recorder(tmp_path, f"{SPOT},{LATE}", variables) as process:
                await logged(tmp_path, '"waits_for_catalogue"')
                await until(
                    lambda: list(states().values()).count("live") == 2 and len(states()) == 5, lambda: log_of(tmp_path)[-3000:]
                )
                assert of("L2:OKX_SWAP@BTCUSD").detail.startswith("waits for the catalogue of OKX_SWAP: ")
                assert not is_ready(facts(), facts().ts)
                async with Emulator(["OKX_SWAP"], instruments=2, rate=300, port=port):
                    await until(lambda: list(states().values()).count("live") == 4, lambda: log_of(tmp_path)[-3000:])
                    refused = of("L2:OKX_SWAP@BTCUSD")
                    assert refused.state == "rejected"
                    assert "unknown instrument 'BTCUSD' on OKX_SWAP" in refused.detail
                    assert not is_ready(facts(), facts().ts)
                    assert await within(stop(process)) == 0, log_of(tmp_path)

    asyncio.run(main())
    assert log_of(tmp_path).count('"instrument_unknown"') == 1
    for covers in ("L2", "TRADES"):
        rows = reading.coverage(tmp_path / "data", "OKX_SWAP", "BTC-USDT-SWAP", covers)
        opened = [(row["state"], row["cause"]) for row in rows if row["ts_to"] is None]
        assert opened == [("gap", "start"), ("syncing", "start"), ("live", "start"), ("gap", "shutdown")]
        assert rows[0]["detail"].startswith("waits for the catalogue of OKX_SWAP: ")
    assert {path.name for path in (tmp_path / "data").glob("stream=L2/exchange=OKX_SWAP/*")} == {"instrument=BTC-USDT-SWAP"}
