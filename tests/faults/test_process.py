"""Processes as users run them, `xtrader emulate` with faults and `xtrader` beside it, judged by the files that both leave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import msgspec
import pytest

from tests import reading
from tests.faults.oracle import HARMLESS, LINK, judge, teeth
from tests.faults.raw_books import states
from tests.faults.world import LOGIN, Outcome
from tests.running import in_sync, log_of, recorder, stop
from tests.waiting import LIMIT, until, wait_until
from xtrader.cli.emulate import CHANCES, HORIZON
from xtrader.emulator.faults import KINDS
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import BookEvent, Event, TradeEvent
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription

SYMBOLS = {"BINANCE_SPOT": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}
FAULTS = [
    "lost:L2:BINANCE_SPOT@BTCUSDT:after=120",
    "lost:TRADES:OKX_SWAP@BTC-USDT-SWAP:after=100,times=3,every=50",
    "close_1006:L2:OKX_SWAP@BTC-USDT-SWAP:after=150",
    "malformed:L2:DERIBIT@BTC-PERPETUAL:after=200",
]
SLOW = {
    *("silent", "never_delivers", "no_pong", "half_open", "notice", "freeze", "delisted"),
    *("rest_hang", "slow_snapshot", "refused_snapshot"),
}
"""Faults that take minutes of real time, or as good as."""
BLURRING = {"venue_clock", "crossed", "crossings", "undeleted", "seq_reset"}
"""Faults that change the clock by which this test tells the time, or the book that was sent."""
BREAKS = LINK | {"refuse", "abort_connect", "short_life"}
SEEDS_FROM = 7500
"""Few seeds draw nothing slow: one is not far from here."""
LATENCY = 3.0
"""Seconds that a message takes at most on a busy machine."""
UNSTORED = 0.2
"""Seconds between a message that is stored and a later one that only keeps its stream alive, such as a repetition."""


@dataclass(frozen=True)
class Run:
    """What two processes left behind."""

    outcome: Outcome
    raw: Path


def quick_seed() -> int:
    """The first seed whose faults are over within seconds: nothing slow, and each venue's connection is cut twice at the most."""
    emulator = Emulator(list(SYMBOLS), instruments=1)
    for seed in count(SEEDS_FROM):
        drawn = emulator.draw(seed, CHANCES, HORIZON)
        cuts = Counter({fault.exchange: 0 for fault in drawn})
        for fault in drawn:
            cuts[fault.exchange] += fault.times * (fault.kind in BREAKS)
        if not {fault.kind for fault in drawn} & (SLOW | BLURRING) and max(cuts.values()) <= 2:
            return seed
    raise AssertionError


@contextlib.asynccontextmanager
async def emulating(directory: Path, *flags: str) -> AsyncIterator[dict[str, str]]:
    """`xtrader emulate` as a process, its truth in `directory`; the variables that it prints."""
    with (directory / "venues.env").open("wb") as out:
        command = [sys.executable, "-m", "xtrader", "emulate", *SYMBOLS, "--truth", str(directory), *flags]
        process = await asyncio.create_subprocess_exec(*command, stdout=out, cwd=directory)
    try:
        await until(lambda: (directory / "venues.env").read_text().count("\n") == 2 * len(SYMBOLS))
        lines = (directory / "venues.env").read_text().splitlines()
        yield dict(line.removeprefix("export ").split("=", 1) for line in lines)
        assert await stop(process) == 0
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()


def waiting(url: str) -> set[str]:
    """The kinds of faults that have yet to come and do not wait for a request that may never be made."""
    with urllib.request.urlopen(f"{url}/_fault", timeout=LIMIT) as answer:
        kinds = {text.partition(":")[0] for text in json.load(answer)["pending"]}
    return {kind for kind in kinds if KINDS[kind].place not in ("connect", "rest", "subscribe")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("run")
    raw = directory / "raw"
    wanted = ",".join(f"{stream}:{exchange}@{symbol}" for exchange, symbol in SYMBOLS.items() for stream in ("L2", "TRADES"))
    flags = ["--instruments", "1", "--rate", "600", "--fault-seed", str(quick_seed())]
    flags += [flag for fault in FAULTS for flag in ("--fault", fault)]

    async def main() -> None:
        async with emulating(directory, *flags) as variables:
            async with recorder(directory, wanted, variables | LOGIN, "--raw-directory", str(raw)) as process:
                await in_sync(directory)
                for exchange in SYMBOLS:
                    url = variables[f"XTRADER_{exchange}_REST_URL"]
                    await asyncio.to_thread(wait_until, lambda url=url: not waiting(url), lambda url=url: waiting(url))
                # What was lost shows at the next message: nothing outside the process tells.
                await asyncio.sleep(1)
                assert await stop(process) == 0, log_of(directory)

    asyncio.run(main())
    return Run(outcome_of(directory), raw)


def outcome_of(directory: Path) -> Outcome:
    """The run as the oracle takes it: rows read with plain pyarrow, events from truth.jsonl."""
    decoder = msgspec.json.Decoder(Event)
    events = [decoder.decode(line) for line in (directory / "truth.jsonl").read_bytes().splitlines()]
    subscriptions = tuple(Subscription(stream, *one) for one in SYMBOLS.items() for stream in ("L2", "TRADES"))
    records: list[Trade | BookUpdate | Coverage] = []
    first = []
    for subscription in subscriptions:
        key, stream = subscription.key, subscription.stream
        rows = [
            Coverage(key, stream, row["state"], row["cause"], row["ts_from"], row["ts_to"], row["detail"] or "")
            for row in reading.coverage(directory / "data", subscription.exchange, subscription.instrument, stream)
        ]
        first.append(rows[0].ts_from)
        # What was sent before recording began.
        records += [Coverage(key, stream, "syncing", "start", 0, first[-1]), *rows]
    for exchange, symbol in SYMBOLS.items():
        records += stored(directory / "data", exchange, symbol)
    return Outcome(
        records=records,
        events=timed(events, records),
        links=[tuple(one for one in subscriptions if one.exchange == exchange) for exchange in SYMBOLS],
        counts={},
        pending=[],
        recovered=True,
        seconds=0,
        calls=0,
        reconnects=0,
        ended=max(event.ts for event in events) * 1_000_000 + round(LATENCY * 1e9),
        began=max(first) + 1,
        latency=UNSTORED,
        subscriptions=subscriptions,
    )


def timed(events: Sequence[Event], records: Sequence[Trade | BookUpdate | Coverage]) -> list[tuple[int, Event]]:
    """Each event with when it was received; one that was not stored with when the one before it was. What follows the last stored
    one was on its way when recording ended, if that was soon."""
    taken: dict[tuple[str, str | int], int] = {}
    newest: dict[tuple[str, bool], int] = {}
    for row in records:
        if not isinstance(row, Coverage):
            name = row.trade_id if isinstance(row, Trade) else row.sequence
            assert name is not None
            taken.setdefault((row.instrument, name), row.ts_recv)
    keys = [
        (f"{event.exchange}@{event.symbol}", number_of(event)) if isinstance(event, BookEvent | TradeEvent) else None
        for event in events
    ]
    last = {(key[0], isinstance(key[1], str)): place for place, key in enumerate(keys) if key in taken and key is not None}
    found: list[tuple[int, Event]] = []
    for place, (key, event) in enumerate(zip(keys, events, strict=True)):
        at = event.ts * 1_000_000
        if key is not None:
            stream = (key[0], isinstance(key[1], str))
            if place > last[stream]:
                at += round(LATENCY * 1e9)
            else:
                at = newest[stream] = taken.get(key, newest.get(stream, 0))
        found.append((at, event))
    return found


def number_of(event: BookEvent | TradeEvent) -> str | int:
    return event.id if isinstance(event, TradeEvent) else event.sequence


def stored(data: Path, exchange: str, symbol: str) -> Iterator[Trade | BookUpdate]:
    key = f"{exchange}@{symbol}"
    for row in reading.rows(data, "TRADES", exchange, symbol).to_pylist():
        yield Trade(key, row["trade_id"], row["side"], row["price"], row["size"], row["ts_event"], row["ts_recv"])
    for one in reading.messages(data, exchange, symbol):
        yield BookUpdate(key, one.is_snapshot, one.bids, one.asks, one.sequence, one.prev_sequence, one.ts_event, one.ts_recv)


def test_the_files_of_a_recorder_hold_what_was_sent_or_say_that_they_do_not(run: Run) -> None:
    happened = teeth([fault for _, fault in run.outcome.faults])
    assert judge(run.outcome) == [], happened
    assert happened.total() >= CHANCES
    assert happened.keys() >= {"lost", "close_1006", "malformed"}
    gaps = [row for row in run.outcome.records if isinstance(row, Coverage) and row.state == "gap" and row.cause != "shutdown"]
    assert {row.cause for row in gaps} >= {"venue_gap", "disconnect", "malformed"}
    assert len(happened.keys() - HARMLESS) >= 5


@pytest.mark.parametrize("exchange", SYMBOLS)
def test_books_rebuilt_from_the_raw_frames_are_the_emulators_own(run: Run, exchange: str) -> None:
    true: dict[int, tuple[dict[float, float], dict[float, float]]] = {}
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for _, event in run.outcome.events:
        if isinstance(event, BookEvent) and event.exchange == exchange:
            for side, levels in ((bids, event.bids), (asks, event.asks)):
                side.update((float(price), float(size)) for price, size in levels)
                for price in [price for price, size in side.items() if not size]:
                    del side[price]
            true[event.sequence] = (dict(bids), dict(asks))
    checked = 0
    for sequence, ours in states(run.raw, exchange):
        if sequence in true:
            assert ours == true[sequence], sequence
            checked += 1
    updates = sum(isinstance(row, BookUpdate) and row.instrument.startswith(exchange) for row in run.outcome.records)
    assert checked >= updates // 2 > 20
