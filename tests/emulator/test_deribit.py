from __future__ import annotations

import asyncio
import hmac
import json
import time
from hashlib import sha256
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from tests.emulator.talk import alone, ask, get, receive, receive_until_closed, talk
from xtrader.emulator.deribit import CLIENT_ID, CLIENT_SECRET
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import Timers

SOCKET = "/ws/api/v2"
PERPETUAL = "BTC-PERPETUAL"


async def call(socket: ClientConnection, method: str, **params: Any) -> Any:
    """The reply to one request; pushes that come before it are passed over."""
    await socket.send(json.dumps({"jsonrpc": "2.0", "id": 42, "method": method, "params": params}))
    while True:
        message = await receive(socket)
        if message.get("id") == 42:
            return message


def signed(secret: str = CLIENT_SECRET, age: int = 0) -> dict[str, Any]:
    stamp, nonce = int(time.time() * 1000) - age, "abcd"
    signature = hmac.new(secret.encode(), f"{stamp}\n{nonce}\n".encode(), sha256).hexdigest()
    return {
        "grant_type": "client_signature",
        "client_id": CLIENT_ID,
        "timestamp": stamp,
        "nonce": nonce,
        "data": "",
        "signature": signature,
    }


@pytest.mark.parametrize("interval", ["100ms", "raw"])
def test_a_book_obeys_new_change_delete_and_equals_the_truth(interval: str) -> None:
    async def main() -> None:
        async with Emulator(["DERIBIT"], instruments=4, rate=800, operations=20, keep_truth=True) as emulator:
            async with talk(emulator, "DERIBIT", SOCKET) as socket:
                if interval == "raw":
                    assert "access_token" in (await call(socket, "public/auth", **signed()))["result"]
                channel = f"book.{PERPETUAL}.{interval}"
                reply = await call(socket, "public/subscribe", channels=[channel])
                assert reply["result"] == [channel]
                pushes = [(await receive(socket))["params"] for _ in range(60)]
            sides: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
            last: Any = None
            for push in pushes:
                assert push["channel"] == channel
                data = push["data"]
                assert data["type"] == ("snapshot" if last is None else "change")
                assert data.get("prev_change_id") == last
                last = data["change_id"]
                for name, side in sides.items():
                    for action, price, amount in data[name]:
                        assert (price in side) is (action != "new")
                        if action == "delete":
                            assert amount == 0
                            del side[price]
                        else:
                            side[price] = amount
                assert max(sides["bids"]) < min(sides["asks"])
            assert emulator.truth is not None
            truth = emulator.truth.book("DERIBIT", PERPETUAL, last)
            assert [{float(p): float(s) for p, s in side.items()} for side in truth] == [sides["bids"], sides["asks"]]

    asyncio.run(main())


def test_trades_are_numbered_per_instrument_and_true() -> None:
    async def main() -> None:
        async with Emulator(["DERIBIT"], instruments=4, rate=800, keep_truth=True) as emulator:
            async with talk(emulator, "DERIBIT", SOCKET) as socket:
                channels = [f"trades.{PERPETUAL}.100ms", "trades.ETH-PERPETUAL.100ms"]
                await call(socket, "public/subscribe", channels=channels)
                rows = [row for _ in range(40) for row in (await receive(socket))["params"]["data"]]
            assert emulator.truth is not None
            for name, prefix in ((PERPETUAL, ""), ("ETH-PERPETUAL", "ETH-")):
                known = {trade.id: trade for trade in emulator.truth.trades("DERIBIT", name)}
                own = [row for row in rows if row["instrument_name"] == name]
                assert [row["trade_seq"] for row in own] == list(range(own[0]["trade_seq"], own[0]["trade_seq"] + len(own)))
                for row in own:
                    assert row["trade_id"].startswith(prefix)
                    trade = known[row["trade_id"]]
                    assert (float(trade.price), float(trade.size), trade.side) == (row["price"], row["amount"], row["direction"])
            _, _, reply = await get(
                emulator,
                "DERIBIT",
                f"/api/v2/public/get_last_trades_by_instrument?instrument_name={PERPETUAL}&start_seq={own[0]['trade_seq']}&count=1",
            )
            assert reply["result"]["trades"] == [] or reply["result"]["trades"][0]["trade_seq"] >= own[0]["trade_seq"]

    asyncio.run(main())


def test_unknown_channels_are_left_out_and_a_raw_one_refuses_the_whole_call() -> None:
    async def main() -> None:
        async with alone("DERIBIT", SOCKET) as (_, socket):
            known = f"trades.{PERPETUAL}.100ms"
            reply = await call(socket, "public/subscribe", channels=["book.NOPE.100ms", known, "nonsense", f"book.{PERPETUAL}.5ms"])
            assert reply["result"] == [known]
            assert {"usIn", "usOut", "usDiff", "testnet"} < set(reply)
            reply = await call(socket, "public/subscribe", channels=[f"book.{PERPETUAL}.100ms", f"book.{PERPETUAL}.raw"])
            assert reply["error"] == {"message": "raw_subscriptions_not_available_for_unauthorized", "code": 13778}
            assert (await call(socket, "public/unsubscribe", channels=[known, f"book.{PERPETUAL}.100ms"]))["result"] == [known]

    asyncio.run(main())


def test_only_the_right_credentials_are_taken_and_tokens_are_refreshed_once() -> None:
    async def main() -> None:
        async with alone("DERIBIT", SOCKET) as (_, socket):
            basic = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
            wrong = [{**basic, "client_secret": "x"}, {**basic, "client_id": "x"}, signed("x"), signed(age=61_000)]
            for params in wrong:
                assert (await call(socket, "public/auth", **params))["error"]["code"] == 13004
            reply = await call(socket, "public/subscribe", channels=[f"book.{PERPETUAL}.raw"])
            assert reply["error"]["code"] == 13778
            granted = (await call(socket, "public/auth", **basic))["result"]
            assert granted["expires_in"] == 900
            renewal = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
            assert "access_token" in (await call(socket, "public/auth", **renewal))["result"]
            assert (await call(socket, "public/auth", **renewal))["error"]["code"] == 13009

    asyncio.run(main())


def test_an_expired_token_opens_no_raw_channel() -> None:
    async def main() -> None:
        async with alone("DERIBIT", SOCKET, timers=Timers(deribit_token=0.2)) as (_, socket):
            channels = [f"trades.{PERPETUAL}.raw"]
            await call(socket, "public/auth", **signed())
            assert (await call(socket, "public/subscribe", channels=channels))["result"] == channels
            await asyncio.sleep(0.3)
            assert (await call(socket, "public/subscribe", channels=channels))["error"]["code"] == 13778

    asyncio.run(main())


def test_an_unanswered_test_request_ends_the_connection() -> None:
    async def main() -> None:
        async with alone("DERIBIT", SOCKET, timers=Timers(deribit_second=0.01)) as (_, socket):
            assert (await call(socket, "public/set_heartbeat", interval=10))["result"] == "ok"
            messages = await receive_until_closed(socket)
            assert messages[-1]["params"]["type"] == "test_request"

    asyncio.run(main())


def test_an_answered_test_request_keeps_the_connection() -> None:
    async def main() -> None:
        async with alone("DERIBIT", SOCKET, timers=Timers(deribit_second=0.01)) as (_, socket):
            await call(socket, "public/set_heartbeat", interval=10)
            tests = 0
            while tests < 4:
                if (await receive(socket))["params"]["type"] == "test_request":
                    tests += 1
                    assert "version" in (await call(socket, "public/test"))["result"]
            assert (await call(socket, "public/disable_heartbeat"))["result"] == "ok"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", -32700),
        ("[]", -32600),
        ('{"jsonrpc":"2.0","method":"public/test"}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"public/test","params":[1]}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"public/dance"}', -32601),
        ('{"jsonrpc":"2.0","id":1,"method":"public/subscribe","params":{"channels":"x"}}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"public/set_heartbeat","params":{"interval":9}}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"public/get_order_book","params":{"instrument_name":"NOPE"}}', -32602),
        ('{"jsonrpc":"2.0","id":1,"method":"public/test","params":{"x":"' + "x" * 33_000 + '"}}', -32600),
    ],
)
def test_bad_requests_get_an_error_and_the_connection_stays(text: str, code: int) -> None:
    async def main() -> None:
        async with alone("DERIBIT", SOCKET) as (_, socket):
            assert (await ask(socket, text))["error"]["code"] == code
            assert "result" in await call(socket, "public/test")

    asyncio.run(main())


def test_too_many_subscribe_calls_are_refused_and_end_the_connection() -> None:
    async def main() -> None:
        async with alone("DERIBIT", SOCKET) as (_, socket):
            request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": {"channels": []}})
            for _ in range(30):
                await socket.send(request)
            replies = await receive_until_closed(socket)
            assert replies[9]["result"] == []
            assert any(reply.get("error", {}).get("code") == 10028 for reply in replies[10:])

    asyncio.run(main())


def test_http_serves_the_same_methods() -> None:
    async def main() -> None:
        async with Emulator(["DERIBIT"], instruments=7, rate=400, keep_truth=True) as emulator:
            _, _, reply = await get(emulator, "DERIBIT", "/api/v2/public/get_instruments?currency=any&expired=false")
            rows = {row["instrument_name"]: row for row in reply["result"]}
            assert list(rows)[:4] == [PERPETUAL, "ETH-PERPETUAL", "BTC_USDC-PERPETUAL", "BTC-28DEC35-60000-C"]
            assert rows["BTC-28DEC35-60000-C"]["option_type"] == "call"
            assert rows["BTC_USDC"]["kind"] == "spot"
            _, _, reply = await get(emulator, "DERIBIT", "/api/v2/public/get_instruments?currency=USDC&kind=future")
            assert [row["instrument_name"] for row in reply["result"]] == ["BTC_USDC-PERPETUAL"]
            _, _, reply = await get(emulator, "DERIBIT", f"/api/v2/public/get_order_book?instrument_name={PERPETUAL}&depth=10000")
            book = reply["result"]
            assert emulator.truth is not None
            truth = emulator.truth.book("DERIBIT", PERPETUAL, book["change_id"])
            assert [{float(p): float(s) for p, s in side.items()} for side in truth] == [dict(book["bids"]), dict(book["asks"])]
            status, _, reply = await get(emulator, "DERIBIT", "/api/v2/public/get_order_book?instrument_name=NOPE")
            assert (status, reply["error"]["code"]) == (400, -32602)
            assert (await get(emulator, "DERIBIT", "/api/v2/public/dance"))[0] == 404

    asyncio.run(main())
