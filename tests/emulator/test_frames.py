"""The emulated venues' frames have the fields and the kinds of values of recorded ones."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from typing import Any

import pytest

from tests.captures import captures
from tests.emulator.talk import ask, get, receive, talk
from xtrader.emulator.server import Emulator

NEWER = {"ps", "st", "nq", "seqId", "prevSeqId", "count", "source", "instFamily", "ruleType"}
"""Fields that the venues added after the recordings were made."""


def shape(value: Any) -> Any:
    """What kind of value it is: fields of an object, kinds of a list's elements, texts that are numbers apart from others."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key not in NEWER}
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [shape(value[0])]
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    if isinstance(value, str):
        return "number text" if re.fullmatch(r"-?\d+(\.\d+)?", value) else "text"
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def cryptofeed(name: str, part: str) -> list[Any]:
    """Received payloads of a recording that contain a text."""
    lines = gzip.decompress((captures() / "recorded-1" / name).read_bytes()).decode().splitlines()
    found = [line.partition(": ")[2].partition(" header: ")[0] for line in lines if not re.match(r"\S+ <-", line) and part in line]
    assert found, f"nothing with {part} in {name}"
    return [json.loads(payload) for payload in found]


def hftbacktest(name: str, part: str) -> Any:
    with gzip.open(captures() / "recorded-2" / name, "rt") as lines:
        return next(json.loads(line.partition(" ")[2]) for line in lines if part in line)


def full(messages: list[Any], *, bids: str, asks: str) -> Any:
    """The first book message with levels on both sides."""
    for message in messages:
        data = message.get("data") or message.get("params", {}).get("data")
        data = data[0] if isinstance(data, list) else data
        if data and data.get(bids) and data.get(asks):
            return message
    raise AssertionError("no message with both sides")


async def first(emulator: Emulator, exchange: str, path: str, request: Any, found: Any) -> Any:
    """The first message after subscribing of which `found` is true."""
    async with talk(emulator, exchange, path) as socket:
        await ask(socket, request)
        while True:
            message = await receive(socket)
            if found(message):
                return message


def stream(exchange: str, path: str, name: str) -> Any:
    async def main() -> Any:
        async with Emulator([exchange], instruments=1, rate=400) as emulator:
            request = {"method": "SUBSCRIBE", "params": [name], "id": 1}
            return await first(
                emulator, exchange, path, request, lambda message: message["data"].get("b", 1) and message["data"].get("a", 1)
            )

    return asyncio.run(main())


def test_binance_futures_depth_and_aggregate_trades_look_recorded() -> None:
    recorded = full(cryptofeed("BINANCE_FUTURES.ws.1.0.gz", "@depth"), bids="b", asks="a")
    made = stream("BINANCE_FUTURES", "/public/stream", "btcusdt@depth@100ms")
    assert shape(made) == shape(recorded)
    recorded = cryptofeed("BINANCE_FUTURES.ws.1.0.gz", '"aggTrade"')[0]
    assert shape(stream("BINANCE_FUTURES", "/market/stream", "btcusdt@aggTrade")) == shape(recorded)
    recorded = hftbacktest("usdm_btcusdt_20240808.gz", "@trade")
    made = stream("BINANCE_FUTURES", "/public/stream", "btcusdt@trade")
    assert shape(made) == shape(recorded)
    assert list(made["data"]) == list(recorded["data"])


@pytest.mark.parametrize("name", ["depth@100ms", "trade"])
def test_binance_spot_streams_look_recorded(name: str) -> None:
    recorded = hftbacktest("spot_btcusdt_20240808.gz", f"@{name}")
    made = stream("BINANCE_SPOT", "/stream", f"btcusdt@{name}")
    assert shape(made) == shape(recorded)
    assert list(made["data"]) == list(recorded["data"])


@pytest.mark.parametrize(
    ("exchange", "path", "recording"),
    [
        ("BINANCE_SPOT", "/api/v3/depth?symbol=BTCUSDT", "spot_btcusdt_20240808.gz"),
        ("BINANCE_FUTURES", "/fapi/v1/depth?symbol=BTCUSDT", "usdm_btcusdt_20240808.gz"),
    ],
)
def test_binance_snapshots_look_recorded(exchange: str, path: str, recording: str) -> None:
    async def main() -> Any:
        async with Emulator([exchange], instruments=1) as emulator:
            return (await get(emulator, exchange, path))[2]

    assert shape(asyncio.run(main())) == shape(hftbacktest(recording, "lastUpdateId"))


def test_binance_futures_catalogue_rows_look_recorded() -> None:
    async def main() -> Any:
        async with Emulator(["BINANCE_FUTURES"], instruments=1) as emulator:
            return (await get(emulator, "BINANCE_FUTURES", "/fapi/v1/exchangeInfo"))[2]

    recorded, made = cryptofeed("BINANCE_FUTURES.0.gz", "exchangeInfo")[0], asyncio.run(main())
    assert set(made) == set(recorded)
    old, new = recorded["symbols"][0], made["symbols"][0]
    assert {**shape(old), "underlyingSubType": None} == {**shape(new), "underlyingSubType": None}


@pytest.mark.parametrize("action", ["snapshot", "update"])
def test_okx_books_look_recorded(action: str) -> None:
    async def main() -> Any:
        async with Emulator(["OKX_SPOT"], instruments=1, rate=400, operations=30) as emulator:
            request = {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}]}

            def found(message: Any) -> bool:
                return message.get("action") == action and bool(message["data"][0]["bids"] and message["data"][0]["asks"])

            return await first(emulator, "OKX_SPOT", "/ws/v5/public", request, found)

    recorded = full(cryptofeed("OKX.ws.1.0.gz", f'"action":"{action}"'), bids="bids", asks="asks")
    made = asyncio.run(main())
    assert shape(made) == shape(recorded)
    assert [key for key in made["data"][0] if key not in NEWER] == list(recorded["data"][0])


def test_okx_trades_and_catalogue_rows_look_recorded() -> None:
    async def main() -> tuple[Any, Any]:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=400) as emulator:
            request = {"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT-SWAP"}]}
            trade = await first(emulator, "OKX_SWAP", "/ws/v5/public", request, lambda message: "data" in message)
            return trade, (await get(emulator, "OKX_SWAP", "/api/v5/public/instruments?instType=SWAP"))[2]["data"][0]

    trade, row = asyncio.run(main())
    assert shape(trade) == shape(cryptofeed("OKX.ws.1.0.gz", '"channel":"trades","instId":"BTC-USDT"},"data"')[0])
    rows = cryptofeed("OKX.0.gz", "instType=SWAP")[0]["data"]
    assert shape(row) == shape(next(old for old in rows if old["instId"] == "BTC-USDT-SWAP"))


@pytest.mark.parametrize("kind", ["snapshot", "change"])
def test_deribit_books_look_recorded(kind: str) -> None:
    async def main() -> Any:
        async with Emulator(["DERIBIT"], instruments=1, rate=400, operations=30) as emulator:
            request = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "public/subscribe",
                "params": {"channels": ["book.BTC-PERPETUAL.100ms"]},
            }

            def found(message: Any) -> bool:
                data = message["params"]["data"]
                return data["type"] == kind and bool(data["bids"] and data["asks"])

            return await first(emulator, "DERIBIT", "/ws/api/v2", request, found)

    recorded = cryptofeed("DERIBIT.ws.1.0.gz", f'"type":"{kind}"')
    old, new = (shape(message)["params"]["data"] for message in (recorded[0], asyncio.run(main())))
    assert set(new) == set(old)
    assert new["asks"] == new["bids"] == [["text", "number", "number"]]
    assert {**new, "bids": old["bids"], "asks": old["asks"]} == old
    assert new["asks"] in [shape(message)["params"]["data"]["asks"] for message in recorded]


def test_deribit_catalogue_rows_have_every_recorded_field() -> None:
    async def main() -> Any:
        async with Emulator(["DERIBIT"], instruments=4) as emulator:
            return (await get(emulator, "DERIBIT", "/api/v2/public/get_instruments?currency=BTC"))[2]["result"]

    recorded = {row["instrument_name"]: row for row in cryptofeed("DERIBIT.0.gz", "currency=BTC")[0]["result"]}
    made = {row["instrument_name"]: row for row in asyncio.run(main())}
    option = next(row for row in recorded.values() if row["kind"] == "option")
    for old, new in ((recorded["BTC-PERPETUAL"], made["BTC-PERPETUAL"]), (option, made["BTC-28DEC35-60000-C"])):
        assert shape(old).items() <= shape(new).items()
