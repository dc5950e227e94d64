"""The emulated Bybit as a client sees it: answers by category, books of so many levels, pages."""

from __future__ import annotations

import asyncio

import pytest

from tests.emulator.talk import alone, apply, ask, get, receive, receive_until_closed
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import Timers


@pytest.mark.parametrize(("exchange", "words"), [("BYBIT_SPOT", "subscribe"), ("BYBIT_LINEAR", ""), ("BYBIT_INVERSE", "")])
def test_a_subscription_is_confirmed_in_the_words_of_its_category(exchange: str, words: str) -> None:
    async def run() -> None:
        category = exchange.removeprefix("BYBIT_").lower()
        async with alone(exchange, f"/v5/public/{category}") as (emulator, socket):
            (symbol,) = emulator.venues[exchange].boards
            request = {"req_id": "7", "op": "subscribe", "args": [f"publicTrade.{symbol}"]}
            reply = await ask(socket, request)
            assert (reply["success"], reply["ret_msg"], reply["req_id"], reply["op"]) == (True, words, "7", "subscribe")
            assert (await ask(socket, {"req_id": "8", "op": "ping"}))["ret_msg"] == "pong"
            refused = await ask(socket, {"op": "subscribe", "args": ["publicTrade.NOPE"]})
            assert not refused["success"]

    asyncio.run(run())


@pytest.mark.parametrize("depth", [50, 200])
def test_a_book_shows_so_many_levels_a_side_and_counts_its_messages_by_one(depth: int) -> None:
    async def run() -> None:
        async with alone("BYBIT_LINEAR", "/v5/public/linear", rate=400) as (_, socket):
            await ask(socket, {"op": "subscribe", "args": [f"orderbook.{depth}.BTCUSDT"]})
            bids: dict[str, str] = {}
            asks: dict[str, str] = {}
            last = 0
            for number in range(60):
                message = await receive(socket)
                assert message["type"] == ("delta" if number else "snapshot")
                data = message["data"]
                apply(bids, data["b"])
                apply(asks, data["a"])
                assert len(bids) == len(asks) == depth
                assert not number or data["u"] == last + 1
                last = data["u"]

    asyncio.run(run())


def test_the_catalogue_comes_in_pages() -> None:
    async def run() -> None:
        async with Emulator(["BYBIT_LINEAR"], instruments=5, rate=0) as emulator:
            names, cursor = [], ""
            while True:
                path = f"/v5/market/instruments-info?category=linear&limit=1000&cursor={cursor}"
                _, _, body = await get(emulator, "BYBIT_LINEAR", path)
                names += [row["symbol"] for row in body["result"]["list"]]
                cursor = body["result"]["nextPageCursor"]
                if not cursor:
                    break
            assert names == list(emulator.venues["BYBIT_LINEAR"].boards)
            _, _, body = await get(emulator, "BYBIT_LINEAR", "/v5/market/orderbook?category=linear&symbol=NOPE")
            assert body["retCode"] == 10001

    asyncio.run(run())


def test_who_never_says_anything_is_cut() -> None:
    async def run() -> None:
        async with alone("BYBIT_LINEAR", "/v5/public/linear", timers=Timers(bybit_silence=0.2)) as (_, socket):
            assert await receive_until_closed(socket) == []

    asyncio.run(run())
