"""What a running recorder does for whoever comes to its door, and what that leaves behind in the recording."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import reading
from tests.objectstore import free_port
from tests.running import in_sync, log_of, recorder
from tests.waiting import until, within
from xtrader.emulator.server import Emulator
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate
from xtrader.ops.ask import Asking, Refused
from xtrader.pipeline import codec
from xtrader.pipeline.frames import Damaged, read_frames, segments
from xtrader.records.objects import records

SYMBOLS = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
LIST = ",".join(f"{stream}:OKX_SWAP@{symbol}" for symbol in SYMBOLS for stream in ("L2", "TRADES"))


def xtrader(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "xtrader", *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("workers", "times"), [(1, 1000), (2, 100)])
def test_a_thousand_commands_do_what_one_does(tmp_path: Path, workers: int, times: int) -> None:
    journal = tmp_path / "data" / ".journal"

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=200) as emulator:
            async with recorder(tmp_path, LIST, {**emulator.variables, "XTRADER_WORKERS": str(workers)}) as process:
                await in_sync(tmp_path, workers)
                with Asking(journal) as asking:
                    while asking.facts().live < len(SYMBOLS) * 2:
                        await asyncio.sleep(0.2)
                    await asyncio.to_thread(check, asking)
                    await until(lambda: asking.facts().live == len(SYMBOLS) * 2)
                    # Workers tell their facts once a second: those that the door has may be of before.
                    await until(lambda: gaps(asking) == {"L2:OKX_SWAP@BTC-USDT-SWAP": {"operator": 1}})
                    await until(lambda: asking.facts().live == len(SYMBOLS) * 2)
                    asked = asking.result("stop", by="the tester")
                    assert asked == {"stopping": True}
                assert await within(process.wait()) == 0

    def gaps(asking: Asking) -> dict[str, dict[str, int]]:
        return {one.name: dict(one.gaps) for one in asking.facts().subscriptions if one.gaps}

    def check(asking: Asking) -> None:
        answers = Counter(json.dumps(asking.result("resync", subscription="L2:OKX_SWAP@btcusdt"))[:32] for _ in range(times))
        assert len(answers) == 2
        assert min(answers.values()) == 1

    asyncio.run(main())
    rows = reading.gaps(tmp_path / "data", "start", "shutdown")
    assert [(row["covers"], row["cause"]) for row in rows] == [("L2", "operator")]
    ran = xtrader("verify", str(tmp_path / "data"))
    assert "1 declared hole, no damage" in ran.stdout, ran.stdout + ran.stderr
    lines = [json.loads(line) for line in log_of(tmp_path).splitlines() if '_ordered"' in line]
    assert {line["event"] for line in lines} == {"resync_ordered", "stop_ordered"}
    assert all((line["uid"], line["pid"]) == (os.getuid(), os.getpid()) for line in lines if "worker" not in line)
    assert any("for the tester" in line["by"] for line in lines)
    assert len(lines) < 100


def test_what_cannot_be_done_is_said_in_a_sentence_with_what_would_be_right(tmp_path: Path) -> None:
    refusals: list[tuple[str, dict[str, Any], str]] = [
        ("resync", {}, "needs a text 'subscription'"),
        ("resync", {"subscription": 5}, "needs a text 'subscription'"),
        ("resync", {"subscription": "OKX_SWAP"}, "it must be EXCHANGE@INSTRUMENT"),
        ("resync", {"subscription": "L3:OKX_SWAP@BTCUSDT"}, "unknown stream 'L3'"),
        ("resync", {"subscription": "OKX_SWAP@BTCUSTD"}, "did you mean"),
        ("resync", {"subscription": "OKX_SPOT@BTCUSDT"}, "nothing of OKX_SPOT is"),
        ("reconnect", {"connection": "OKX_SWAP/7"}, "did you mean OKX_SWAP/0?"),
        ("log-level", {"module": "fed", "level": "debug"}, "did you mean feed?"),
        ("log-level", {"module": "feed", "level": "loud"}, "no log level"),
        ("book", {"instrument": "OKX_SWAP@DOGEUSDT"}, "not recorded here"),
    ]

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=100) as emulator:
            async with recorder(tmp_path, LIST, emulator.variables):
                await in_sync(tmp_path)
                with Asking(tmp_path / "data" / ".journal") as asking:
                    for command, said, words in refusals:
                        with pytest.raises(Refused, match=words.replace("?", "[?]")):
                            asking.result(command, **said)
                    assert asking.result("log-level", module="feed", level="debug") == {"levels": "info,feed=debug"}
                    assert asking.result("log-level", module="all", level="warn") == {"levels": "warn"}
                    found = asking.result("reconnect", connection="okx_swap/0")
                    assert found == {"reconnected": ["OKX_SWAP/0"], "left": []}
                    again = asking.result("reconnect", connection="OKX_SWAP/0")
                    assert again["reconnected"] == []
                    assert "again in" in again["left"][0]["why"]

    asyncio.run(main())
    assert "Traceback" not in log_of(tmp_path)


@pytest.mark.parametrize("connections", ["1", "2"])
def test_a_book_is_told_with_the_place_in_the_journal_up_to_which_all_its_changes_are(tmp_path: Path, connections: str) -> None:
    journal = tmp_path / "data" / ".journal"
    told: list[dict[str, Any]] = []

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=800) as emulator:
            wanted = "L2:OKX_SWAP@BTC-USDT-SWAP"
            async with recorder(tmp_path, wanted, {**emulator.variables, "XTRADER_CONNECTIONS": connections}) as process:
                await in_sync(tmp_path)
                with Asking(journal) as asking:
                    for _ in range(20):
                        await asyncio.sleep(0.05)
                        with contextlib.suppress(Refused):
                            told.append(asking.result("book", instrument="OKX_SWAP@btcusdt"))
                process.kill()

    asyncio.run(main())
    assert len(told) > 10
    first = segments(journal)[0].base
    for one in told:
        book = Book()
        for item in read_frames(journal, first, one["position"]):
            assert not isinstance(item, Damaged)
            for record in records_of(item.payload):
                book.apply(record)
        assert book.sequence == one["sequence"]
        assert [list(level) for level in book.bids.levels()] == one["bids"]
        assert [list(level) for level in book.asks.levels()] == one["asks"]
    assert len({one["position"] for one in told}) > 5


def records_of(payload: memoryview) -> list[BookUpdate]:
    batch = codec.read_batch(codec.read_payload(payload))
    return [] if batch is None else [record for record in records(batch) if isinstance(record, BookUpdate)]


def test_a_level_reaches_the_processes_of_sinks_and_of_http(tmp_path: Path) -> None:
    """A sink that waits for its server says so from the level `warn` on."""

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=50) as emulator:
            ports = {"QUESTDB_HTTP_PORT": str(free_port()), "QUESTDB_ILP_PORT": str(free_port())}
            variables = {**emulator.variables, **ports, "XTRADER_LOG": "error", "XTRADER_SINK": "questdb"}
            variables |= {"XTRADER_HTTP": f"127.0.0.1:{free_port()}"}
            async with recorder(tmp_path, "L2:OKX_SWAP@BTC-USDT-SWAP", variables):
                journal = tmp_path / "data" / ".journal"
                await until(lambda: any(path.exists() for path in (journal / "door",)))
                with Asking(journal) as asking:
                    await until(lambda: any(one.error for one in asking.facts().sinks))
                    assert '"sink_waits"' not in log_of(tmp_path)
                    asking.result("log-level", module="all", level="info")
                await until(lambda: '"sink_waits"' in log_of(tmp_path))

    asyncio.run(main())
