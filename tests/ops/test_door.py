"""The door of a running recorder, knocked at by everybody who may and may not."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from tests.running import in_sync, recorder, stop
from xtrader.emulator.server import Emulator
from xtrader.ops.ask import Asking, NobodyThere, Refused
from xtrader.ops.facts import Facts

LIST = "L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP,L2:BINANCE_FUTURES@BTCUSDT"


def is_under_way(facts: Facts) -> bool:
    """All is recorded and delivered, for long enough to know rates."""
    lags = [one.lag.count and one.journaled.count for one in facts.exchanges]
    return facts.live == 3 and any(one.rate for one in facts.subscriptions) and all(one.alive for one in facts.sinks) and all(lags)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_running_recorder_tells_its_facts(tmp_path: Path, workers: int) -> None:
    journal = tmp_path / "data" / ".journal"

    async def main() -> None:
        async with Emulator(["OKX_SWAP", "BINANCE_FUTURES"], instruments=1, rate=200) as emulator:
            variables = {**emulator.variables, "XTRADER_WORKERS": str(workers), "DERIBIT_CLIENT_SECRET": "canary-of-a-secret"}
            async with recorder(tmp_path, LIST, {**variables, "DERIBIT_CLIENT_ID": "me"}) as process:
                await in_sync(tmp_path, workers)
                assert stat.S_IMODE((journal / "door").lstat().st_mode) == 0o600
                with Asking(journal) as asking:
                    while not is_under_way(facts := await asyncio.to_thread(asking.facts)):
                        await asyncio.sleep(0.2)
                    text = asking.ask("facts")
                    with pytest.raises(Refused, match="there is no such command; there are "):
                        asking.ask("sing")
                assert await stop(process) == 0
            assert "canary" not in text.decode()
        assert {one.name for one in facts.subscriptions} == set(LIST.split(","))
        assert all(
            one.connections_live == 1 and one.worker in (range(2) if workers > 1 else (None,)) for one in facts.subscriptions
        )
        assert all(one.state == "open" and one.host.startswith("127.0.0.1:") for one in facts.connections)
        assert {exchange for one in facts.rest for exchange in one.exchanges} >= {"BINANCE_FUTURES"}
        assert len(facts.journals) == workers
        assert all(one.room and one.commits.count for one in facts.journals)
        assert len(facts.sinks) == workers
        assert all(one.alive for one in facts.sinks)
        assert {one.exchange: one.environment for one in facts.exchanges} == {"OKX_SWAP": "override", "BINANCE_FUTURES": "override"}
        assert all(one.lag.count and one.journaled.count for one in facts.exchanges)
        # The emulated venues run on this machine's clock.
        assert all(one.clock_offset is not None and abs(one.clock_offset) < 5 for one in facts.exchanges)
        assert facts.wanted == 3
        assert {"xtrader", "python", "msgspec"} <= set(facts.versions)
        assert facts.processes[0].memory

    asyncio.run(main())
    assert not (journal / "door").exists()
    with pytest.raises(NobodyThere, match="no recorder"):
        Asking(journal)
