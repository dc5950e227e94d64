"""Catalogues that are read again while recording: what changed is told, what cannot be read changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.faults.time_loop import BEGIN, LoopClock, run
from xtrader.clock import SECOND
from xtrader.emulator.faults import parse
from xtrader.emulator.server import Emulator
from xtrader.errors import VenueError
from xtrader.feed.catalogue import TRADING, Catalogue, body_of
from xtrader.feed.feed import Feed
from xtrader.feed.refresh import SOON, Refresh
from xtrader.feed.rest import Rest
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Market

HOUR = 3600.0
CATALOGUES = {
    "BINANCE_FUTURES": "GET /fapi/v1/exchangeInfo",
    "BINANCE_COINM": "GET /dapi/v1/exchangeInfo",
    "OKX_SWAP": "GET /api/v5/public/instruments",
    "DERIBIT": "GET /api/v2/public/get_instruments",
}
BTC = {
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "ctType": "linear",
    "ctVal": "0.01",
    "ctMult": "1",
    "ctValCcy": "BTC",
    "settleCcy": "USDT",
    "lotSz": "1",
    "minSz": "1",
    "tickSz": "0.1",
    "expTime": "",
    "state": "live",
    "uly": "BTC-USDT",
}
ETH = BTC | {"instId": "ETH-USDT-SWAP", "ctValCcy": "ETH", "uly": "ETH-USDT", "tickSz": "0.01"}
KEY = "OKX_SWAP@BTC-USDT-SWAP"


class Run:
    """A recorder's catalogue, and a venue whose answer the test changes while time goes on."""

    def __init__(self, cache: Path, rows: object = (BTC, ETH), seconds: float = HOUR) -> None:
        self.rows = rows
        self.asked: list[float] = []
        """Seconds since the start at which the venue was asked."""
        self.told: list[tuple[float, Instrument]] = []
        self.instruments: dict[str, Instrument] = {}
        self.refresh: Refresh
        self._cache = cache
        self._seconds = seconds

    async def fetch(self, market: Market, request: Fetch) -> bytes:
        self.asked.append(asyncio.get_running_loop().time())
        if isinstance(self.rows, Exception):
            raise self.rows
        return json.dumps({"code": "0", "data": self.rows}).encode() if not isinstance(self.rows, bytes) else self.rows

    async def go(self, *steps: tuple[float, Callable[[], object]]) -> None:
        """Look up, then read again; at each step's time (seconds since the start) do what it says."""
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop)
        markets = {"OKX_SWAP": market("OKX_SWAP", {})}
        catalogue = Catalogue(self._cache, self.fetch, clock, guesses=True)
        wanted = [Subscription("L2", "OKX_SWAP", "btcusdt"), Subscription("TRADES", "OKX_SWAP", "ETH-USDT-SWAP")]
        self.instruments = (await catalogue.look_up(markets, wanted)).instruments
        self.refresh = Refresh(
            catalogue,
            markets,
            self.instruments,
            tell=lambda row: self.told.append((loop.time(), row)),
            clock=clock,
            seconds=self._seconds,
        )
        reading = asyncio.create_task(self.refresh.run())
        for at, step in steps:
            await asyncio.sleep(at - loop.time())
            assert not reading.done()
            step()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    def becomes(self, rows: object) -> Callable[[], None]:
        return lambda: setattr(self, "rows", rows)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def nothing() -> None:
    """A step that only lets time pass."""


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"tickSz": "0.01"}, {"tick_size": 0.01}),
        ({"lotSz": "0.1", "minSz": "0.1"}, {"lot_size": 0.1, "min_size": 0.1}),
        ({"ctVal": "0.001"}, {"contract_size": 0.001}),
        ({"state": "suspend"}, {"status": "suspend"}),
        ({"expTime": "1800000000000"}, {"expiry": 1_800_000_000 * SECOND}),
    ],
)
def test_what_changed_is_told_within_the_hour_with_the_time_at_which_the_venue_said_so(
    cache: Path, change: dict[str, str], facts: dict[str, Any]
) -> None:
    one = Run(cache)
    run(one.go((100, one.becomes((BTC | change, ETH))), (3 * HOUR, nothing)))
    ((at, row),) = one.told
    assert at == pytest.approx(HOUR, abs=1)
    assert (row.key, row.source, row.ts) == (KEY, "venue", BEGIN + round(at * SECOND))
    assert {name: getattr(row, name) for name in facts} == facts
    assert one.instruments[KEY] == row
    assert one.asked == pytest.approx([0, HOUR, 2 * HOUR], abs=1)


def test_what_did_not_change_is_not_told_again(cache: Path) -> None:
    one = Run(cache)
    run(one.go((5.5 * HOUR, nothing)))
    assert one.told == []
    assert len(one.asked) == 6


@pytest.mark.parametrize(
    "answer", [VenueError("OKX_SWAP", "HTTP 503"), OSError("no network"), b"<html>", b'{"code":"50011","data":[]}', ()]
)
def test_a_reading_that_fails_keeps_the_old_facts_and_is_made_again_after_a_minute(cache: Path, answer: object) -> None:
    one = Run(cache)
    with capture_logs() as logs:
        run(
            one.go(
                (100, one.becomes(answer)),
                (HOUR + 2.6 * SOON, one.becomes((BTC | {"tickSz": "1"}, ETH))),
                (HOUR + 4 * SOON, nothing),
            )
        )
    assert one.asked == pytest.approx([0, HOUR, HOUR + SOON, HOUR + 2 * SOON, HOUR + 3 * SOON], abs=1)
    assert [(round(at), row.tick_size) for at, row in one.told] == [(round(HOUR + 3 * SOON), 1.0)]
    assert [entry["event"] for entry in logs].count("catalogue_not_read_again") == 3


def test_an_instrument_that_two_readings_do_not_list_is_told_as_unlisted_and_told_again_when_it_is_back(cache: Path) -> None:
    one = Run(cache)
    run(one.go((100, one.becomes((ETH,))), (HOUR + 2 * SOON, one.becomes((BTC, ETH))), (3 * HOUR, nothing)))
    assert [(round(at), row.status, row.tick_size) for at, row in one.told] == [
        (round(HOUR + SOON), "unlisted", 0.1),
        (round(2 * HOUR + SOON), "live", 0.1),
    ]


def test_an_instrument_that_one_reading_does_not_list_goes_on_as_it_was(cache: Path) -> None:
    one = Run(cache)
    run(one.go((100, one.becomes((ETH,))), (HOUR + 1, one.becomes((BTC, ETH))), (4 * HOUR, nothing)))
    assert one.told == []


def test_an_instrument_whose_row_cannot_be_read_is_not_taken_for_unlisted(cache: Path) -> None:
    one = Run(cache)
    run(one.go((100, one.becomes(({"instId": "BTC-USDT-SWAP", "state": 7}, ETH))), (3 * HOUR, nothing)))
    assert one.told == []
    assert one.instruments[KEY].status == "live"
    assert one.asked == pytest.approx([0, HOUR, 2 * HOUR], abs=1)


@pytest.mark.parametrize("source", ["rule", "cache"])
def test_what_stood_in_for_the_venue_at_the_start_is_replaced_a_minute_later(cache: Path, source: str) -> None:
    if source == "cache":
        run(Run(cache).go())
    one = Run(cache, OSError("no network"))
    run(one.go((1, one.becomes((BTC, ETH))), (2 * SOON, nothing)))
    assert sorted((round(at), row.symbol, row.source, row.tick_size) for at, row in one.told) == [
        (SOON, "BTC-USDT-SWAP", "venue", 0.1),
        (SOON, "ETH-USDT-SWAP", "venue", 0.01),
    ]


def test_a_guess_that_the_catalogue_lists_as_another_instrument_is_named_once(cache: Path) -> None:
    one = Run(cache, OSError("no network"))
    other = BTC | {"instId": "BTC-USDT-SWAP-2"}
    with capture_logs() as logs:
        run(one.go((1, one.becomes((other, ETH))), (4 * SOON, nothing)))
    told = [(entry["asked"], entry["recorded"], entry["reason"]) for entry in logs if entry["event"] == "instrument_guessed_wrong"]
    assert told == [("BTCUSDT", KEY, "it is not listed; did you mean BTCUSDTSWAP2 (BTC-USDT-SWAP-2), ETHUSDT (ETH-USDT-SWAP)?")]
    assert one.instruments[KEY].status == "unlisted"


def test_an_instrument_whose_row_cannot_be_read_at_the_start_is_guessed_not_refused(cache: Path) -> None:
    one = Run(cache, ({"instId": "BTC-USDT-SWAP", "state": 7}, ETH))
    run(one.go((1, one.becomes((BTC, ETH))), (2 * SOON, nothing)))
    assert [(row.symbol, row.source, row.tick_size) for _, row in one.told] == [("BTC-USDT-SWAP", "venue", 0.1)]


def test_a_number_that_cannot_be_true_is_told_once_and_not_at_every_reading(cache: Path) -> None:
    beyond = BTC | {"expTime": "9999999999999"}
    one = Run(cache, (beyond, ETH))
    with capture_logs() as logs:
        run(one.go((3.5 * HOUR, one.becomes((beyond, ETH | {"tickSz": "-1"}))), (4.5 * HOUR, nothing)))
    told = [entry for entry in logs if entry["event"] == "catalogue_numbers_unknown"]
    assert [(entry["count"], entry["first"]) for entry in told] == [(1, "BTC-USDT-SWAP: expiry"), (2, "BTC-USDT-SWAP: expiry")]
    assert one.instruments[KEY].expiry is None
    assert [(row.symbol, row.tick_size) for _, row in one.told] == [("ETH-USDT-SWAP", None)]


def test_a_number_that_an_older_version_kept_on_the_disk_is_not_believed_either(cache: Path) -> None:
    run(Run(cache).go())
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"expiry":null', b'"expiry":9999999999999000000', 1))
    one = Run(cache, OSError("no network"))
    run(one.go())
    assert (one.instruments[KEY].expiry, one.instruments[KEY].source) == (None, "cache")


def test_after_an_expiry_the_catalogue_is_read_at_once(cache: Path) -> None:
    expires = BTC | {"expTime": str(BEGIN // 10**6 + 600_000)}
    one = Run(cache, (expires, ETH))
    run(one.go((601, one.becomes((expires | {"state": "expired"}, ETH))), (1000, nothing)))
    assert one.asked == pytest.approx([0, 600 + SOON], abs=1)
    assert [row.status for _, row in one.told] == ["expired"]


def test_the_venues_notice_is_followed_at_once_but_not_more_often_than_once_a_minute(cache: Path) -> None:
    one = Run(cache)
    changed = one.becomes((BTC | {"tickSz": "1"}, ETH))
    notices = [(1000 + n / 2, lambda: one.refresh.notice("OKX_SWAP", ["XRP-USDT-SWAP", "BTC-USDT-SWAP"])) for n in range(400)]
    run(one.go((999, changed), *notices, (1500, nothing)))
    assert one.asked == pytest.approx([0, 1001, 1001 + SOON, 1001 + 2 * SOON, 1001 + 3 * SOON, 1001 + 4 * SOON], abs=2)
    assert [round(at) for at, _ in one.told] == [1001]


def test_what_was_read_again_is_what_the_next_start_finds_on_the_disk(cache: Path) -> None:
    one = Run(cache)
    run(one.go((100, one.becomes((BTC | {"tickSz": "1"}, ETH))), (1.5 * HOUR, nothing)))
    later = Run(cache, OSError("no network"))
    run(later.go())
    assert (later.instruments[KEY].tick_size, later.instruments[KEY].source) == (1.0, "cache")
    assert [path.suffix for path in cache.iterdir()] == [".json"]


SYMBOLS = {"BINANCE_FUTURES": "BTCUSDT", "BINANCE_COINM": "BTCUSD_PERP", "OKX_SWAP": "BTC-USDT-SWAP", "DERIBIT": "BTC-PERPETUAL"}


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("exchange", SYMBOLS)
def test_a_venue_that_tells_of_a_change_is_asked_at_once_and_not_after_an_hour(
    tmp_path: Path, exchange: str, connections: int
) -> None:
    symbol = SYMBOLS[exchange]
    told: list[tuple[float, Instrument]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop)
        async with (
            Emulator([exchange], instruments=2, rate=20, wall=lambda: clock.now() / 1e9, tick=0.05) as emulator,
            Rest(clock) as rest,
        ):
            markets = {exchange: market(exchange, emulator.variables)}
            catalogue = Catalogue(tmp_path, body_of(rest.get), clock)
            found = await catalogue.look_up(markets, [Subscription(stream, exchange, symbol) for stream in ("L2", "TRADES")])
            tell = lambda row: told.append((loop.time(), row))  # noqa: E731
            refresh = Refresh(catalogue, markets, found.instruments, tell=tell, clock=clock, seconds=HOUR)
            feed = Feed(
                markets,
                found.subscriptions,
                rest=rest,
                clock=clock,
                put=lambda record: None,
                connections=connections,
                relisted=refresh.notice,
            )
            tasks = [asyncio.create_task(feed.run()), asyncio.create_task(refresh.run())]
            await asyncio.sleep(100)
            emulator.add(parse(f"status_change:{exchange}@{symbol}:seconds=120"))
            await asyncio.sleep(400)
            assert emulator.venues[exchange].counts[CATALOGUES[exchange]] <= 5
            for task in tasks:
                assert not task.done()
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(main())
    assert [(row.symbol, row.status == told[1][1].status) for _, row in told] == [(symbol, False), (symbol, True)]
    (halted, _), (back, row) = told
    assert 100 < halted < 100 + 5
    assert 100 + 120 < back < 100 + 120 + 5
    assert row.status.lower() in TRADING
