"""Records in a program's own loop are those that the venue published, and who is too slow is told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

import xtrader
from tests.waiting import within
from xtrader.emulator.server import Emulator
from xtrader.model.market import Record

NAMES = ["L2:OKX_SWAP@BTCUSDT", "TRADES:OKX_SWAP@BTCUSDT"]


def test_a_loop_gets_instruments_coverage_books_and_trades_as_the_venue_has_them() -> None:
    records: list[Record] = []

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=500, keep_truth=True) as emulator:

            async def take() -> None:
                async with aclosing(xtrader.live(NAMES, variables=emulator.variables)) as found:
                    async for record in found:
                        records.append(record)
                        if sum(isinstance(one, xtrader.Trade) for one in records) >= 50:
                            return

            await within(take())
            assert emulator.truth is not None
            true = [trade.id for trade in emulator.truth.trades("OKX_SWAP", "BTC-USDT-SWAP")]
            seen = [one.trade_id for one in records if isinstance(one, xtrader.Trade)]
            assert seen == true[true.index(seen[0]) :][: len(seen)]

    asyncio.run(main())
    assert isinstance(records[0], xtrader.Instrument)
    assert {type(one) for one in records} == {xtrader.Instrument, xtrader.Coverage, xtrader.BookUpdate, xtrader.Trade}
    book = xtrader.Book()
    for one in records:
        if isinstance(one, xtrader.BookUpdate):
            book.apply(one)
    assert not book.crossed()
    assert "levels, sequence" in repr(book)


def test_callbacks_get_their_kind_plain_or_awaited_and_their_errors_end_it() -> None:
    heard: list[str] = []

    def on_trade(trade: xtrader.Trade) -> None:
        heard.append("trade")
        if len(heard) > 20 and "book" in heard:
            raise LookupError("enough")

    async def on_book(update: xtrader.BookUpdate) -> None:
        await asyncio.sleep(0)
        heard.append("book")

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=500) as emulator:
            callbacks = {xtrader.Trade: on_trade, xtrader.BookUpdate: on_book}
            with pytest.raises(LookupError):
                await within(xtrader.listen(",".join(NAMES), callbacks, variables=emulator.variables))

    asyncio.run(main())
    assert set(heard) == {"trade", "book"}


def test_what_cannot_be_given_is_one_error() -> None:
    async def first(names: object, **options: object) -> None:
        async for _ in xtrader.live(names, **options):  # type: ignore[arg-type]
            return

    async def slow() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=2000) as emulator:
            async for _ in xtrader.live(NAMES, variables=emulator.variables, most_waiting=20):
                await asyncio.sleep(0.5)

    nowhere = {"XTRADER_OKX_SWAP_REST_URL": "http://127.0.0.1:1", "XTRADER_CACHE_DIRECTORY": "/nonexistent"}
    with pytest.raises(xtrader.ConfigError, match="unknown stream"):
        asyncio.run(first("TRADE:OKX_SWAP@BTCUSDT", variables={}))
    with pytest.raises(xtrader.VenueError, match="the catalogue, which says what BTCUSDT is, cannot be had"):
        asyncio.run(first(NAMES, variables=nowhere))
    with pytest.raises(xtrader.ConfigError, match="callbacks are functions by the type"):
        asyncio.run(xtrader.listen(NAMES, {"TRADES": print}, variables={}))  # type: ignore[dict-item]
    with pytest.raises(xtrader.XTraderError, match="20 records wait"):
        asyncio.run(within(slow()))
