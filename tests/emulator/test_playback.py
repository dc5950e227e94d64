"""Recordings over real sockets: the venues' words, the recorded frames in order, the recorded REST answers, and the figures."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.captures import captures
from tests.waiting import LIMIT, within
from xtrader.clock import SystemClock
from xtrader.emulator.playback import Playback
from xtrader.errors import ConfigError
from xtrader.feed.conversation import Conversation
from xtrader.feed.rest import Rest
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.recordings.detect import open_recordings
from xtrader.recordings.events import Received
from xtrader.venues import market


def recorded(name: str) -> list[Path]:
    return sorted((captures() / "recorded-1").glob(f"{name}.*"))


def frames(name: str, word: bytes) -> list[str]:
    """The recorded data frames that hold `word`, in their order."""
    (recording,) = open_recordings(recorded(name))
    received = [event.payload for event in recording.events() if isinstance(event, Received)]
    return [
        payload.decode()
        for payload in received
        if word in payload and not payload.startswith((b'{"event"', b'{"jsonrpc":"2.0","id"'))
    ]


def play(
    name: str, exchange: str, client: Callable[[Playback, ClientConnection], Awaitable[None]], path: str = "", **how: float
) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(LIMIT),
            Playback({exchange: recorded(name)}, settle=0.05, **how) as playback,
            connect(playback.variables[f"XTRADER_{exchange}_WS_URL"] + path) as socket,
        ):
            await client(playback, socket)

    asyncio.run(run())


async def say(socket: ClientConnection, message: object) -> None:
    await socket.send(message if isinstance(message, str) else json.dumps(message))


async def heard(socket: ClientConnection, count: int) -> list[str]:
    return [str(await socket.recv()) for _ in range(count)]


async def nothing_more(socket: ClientConnection) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await socket.recv()


async def get(playback: Playback, exchange: str, path: str) -> tuple[int, Any]:
    def ask() -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(playback.variables[f"XTRADER_{exchange}_REST_URL"] + path) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return await asyncio.to_thread(ask)


def test_a_combined_subscription_is_acknowledged_and_played_byte_for_byte() -> None:
    expected = frames("BINANCE_FUTURES", b'"stream":"ctkusdt@aggTrade"')
    assert len(expected) == 38

    async def client(playback: Playback, socket: ClientConnection) -> None:
        await say(socket, {"method": "SUBSCRIBE", "params": ["ctkusdt@aggTrade", "nopeusdt@aggTrade"], "id": 7})
        assert json.loads(await socket.recv()) == {"result": None, "id": 7}
        assert await heard(socket, 38) == expected
        await playback.done.wait()
        await nothing_more(socket)
        await say(socket, {"method": "UNSUBSCRIBE", "params": ["ctkusdt@aggTrade"], "id": 8})
        assert json.loads(await socket.recv()) == {"result": None, "id": 8}
        await within(await socket.ping())
        assert playback.venues["BINANCE_FUTURES"].delivered == Counter({"ctkusdt@aggTrade": 38})

    play("BINANCE_FUTURES", "BINANCE_FUTURES", client)


def test_streams_in_the_url_are_played_without_a_request() -> None:
    async def client(playback: Playback, socket: ClientConnection) -> None:
        assert await heard(socket, 5) == frames("BINANCE_FUTURES", b'"stream":"keepusdt@aggTrade"')

    play("BINANCE_FUTURES", "BINANCE_FUTURES", client, "/market/stream?streams=keepusdt@aggTrade")


def test_another_speed_of_a_recorded_stream_is_the_recorded_one() -> None:
    async def client(playback: Playback, socket: ClientConnection) -> None:
        await say(socket, {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1})
        await socket.recv()
        assert json.loads(await socket.recv())["stream"] == "btcusdt@depth@0ms"

    async def run() -> None:
        files = [captures() / "recorded-2" / "usdm_btcusdt_20240808.gz"]
        async with (
            asyncio.timeout(LIMIT),
            Playback({"BINANCE_FUTURES": files}, settle=0.05) as playback,
            connect(playback.variables["XTRADER_BINANCE_FUTURES_WS_URL"]) as socket,
        ):
            await client(playback, socket)

    asyncio.run(run())


def test_arguments_are_acknowledged_one_by_one_and_a_text_ping_is_answered() -> None:
    expected = frames("OKX", b'"channel":"trades","instId":"BTC-USD-220527"')

    async def client(playback: Playback, socket: ClientConnection) -> None:
        arguments = [{"channel": "trades", "instId": "BTC-USD-220527"}, {"channel": "trades", "instId": "NO-SUCH"}]
        await say(socket, {"id": "a1", "op": "subscribe", "args": arguments})
        acks = [json.loads(text) for text in await heard(socket, 2)]
        assert [(ack["id"], ack["event"], ack["arg"]) for ack in acks] == [("a1", "subscribe", argument) for argument in arguments]
        assert await heard(socket, len(expected)) == expected
        await say(socket, "ping")
        assert await socket.recv() == "pong"

    play("OKX", "OKX_FUTURES", client)


def test_json_rpc_requests_are_answered_and_the_channels_played() -> None:
    expected = frames("DERIBIT", b'"channel":"book.BTC-24SEP21-8000-P.raw"')

    async def client(playback: Playback, socket: ClientConnection) -> None:
        for number, (method, field) in enumerate([("set_heartbeat", None), ("auth", "access_token"), ("test", "version")]):
            await say(socket, {"jsonrpc": "2.0", "id": number, "method": f"public/{method}", "params": {}})
            reply = json.loads(await socket.recv())
            assert reply["id"] == number
            assert reply["result"] == "ok" if field is None else field in reply["result"]
        channels = ["book.BTC-24SEP21-8000-P.100ms"]
        await say(socket, {"jsonrpc": "2.0", "id": "s", "method": "public/subscribe", "params": {"channels": channels}})
        assert json.loads(await socket.recv())["result"] == channels
        assert await heard(socket, 31) == expected

    play("DERIBIT", "DERIBIT", client)


def test_rest_answers_come_from_the_recording_and_what_is_not_there_is_404() -> None:
    async def client(playback: Playback, socket: ClientConnection) -> None:
        place = "BINANCE_FUTURES"
        status, book = await get(playback, place, "/fapi/v1/depth?symbol=SUSHIUSDT&limit=500")
        assert (status, book["lastUpdateId"]) == (200, 600859605926)
        assert (await get(playback, place, "/fapi/v1/depth?symbol=SUSHIUSDT&limit=1000"))[0] == 404, "each book is served once"
        assert (await get(playback, place, "/fapi/v1/depth?symbol=BTCUSDT"))[0] == 404
        for _ in range(2):
            status, listed = await get(playback, place, "/fapi/v1/exchangeInfo")
            assert (status, listed["futuresType"]) == (200, "U_MARGINED")

    play("BINANCE_FUTURES", "BINANCE_FUTURES", client)


def test_the_frames_after_a_book_snapshot_wait_until_it_was_asked_for() -> None:
    async def client(playback: Playback, socket: ClientConnection) -> None:
        await say(socket, {"method": "SUBSCRIBE", "params": ["ctkusdt@depth@100ms"], "id": 1})
        await socket.recv()
        before = len(await heard(socket, 1))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while True:
                    await socket.recv()
                    before += 1
        assert before < 10, "the snapshot was recorded after the first of them"
        assert (await get(playback, "BINANCE_FUTURES", "/fapi/v1/depth?symbol=CTKUSDT"))[0] == 200
        await heard(socket, 185 - before)

    play("BINANCE_FUTURES", "BINANCE_FUTURES", client)


def test_frames_keep_their_distance_at_a_speed() -> None:
    async def client(playback: Playback, socket: ClientConnection) -> None:
        await say(socket, {"method": "SUBSCRIBE", "params": ["sushiusdt@bookTicker"], "id": 1})
        await heard(socket, 2)
        await nothing_more(socket)
        assert playback.venues["BINANCE_FUTURES"].delivered.total() == 1
        assert not playback.done.is_set()

    play("BINANCE_FUTURES", "BINANCE_FUTURES", client, speed=0.001)


def test_what_is_no_recording_or_no_speed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no recording in"):
        Playback({"DERIBIT": [tmp_path]})
    with pytest.raises(ConfigError, match="the speed of a playback is 0 or more"):
        Playback({}, speed=-1)


async def record(
    exchange: str, files: list[Path], symbols: list[str], more: dict[str, str]
) -> tuple[list[Trade | BookUpdate | Coverage], Counter[str], list[Conversation]]:
    """Record a playback as a live run would: every connection of the market, its REST, its sessions."""
    clock = SystemClock()
    records: list[Trade | BookUpdate | Coverage] = []
    async with asyncio.timeout(LIMIT), Playback({exchange: files}) as playback, Rest(clock) as rest:
        place = market(exchange, {**playback.variables, **more})
        links = place.links([Subscription(stream, exchange, symbol) for symbol in symbols for stream in ("L2", "TRADES")])
        talks = [
            Conversation(place, link, place.session(link, "start", {}), rest=rest, clock=clock, emit=records.append)
            for link in links
        ]
        tasks = [asyncio.create_task(talk.run()) for talk in talks]
        while any(talk.received == 0 for talk in talks) or not playback.done.is_set():
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return records, sum((talk.session.counts for talk in talks), Counter()), talks


SUSHI = ["SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"]
OPTIONS = [
    *("BTC-24SEP21-8000-P", "BTC-30JUL21-24000-P", "ETH-30JUL21-2800-C", "BTC-31DEC21-34000-P", "BTC-24SEP21-34000-P"),
    *("BTC-24JUN22-15000-C", "BTC-31DEC21-300000-C", "ETH-27AUG21-4000-P", "BTC-25MAR22-30000-C", "ETH-23JUL21-2300-C"),
]


@pytest.mark.parametrize(
    ("exchange", "files", "symbols", "more", "books", "trades", "counts"),
    [
        ("BINANCE_FUTURES", "recorded-1/BINANCE_FUTURES.*", SUSHI, {}, 756, 91, {"applied": 752, "skipped": 12}),
        ("BINANCE_SPOT", "recorded-2/spot_*", ["BTCUSDT"], {}, 3450, 9757, {"applied": 3449, "skipped": 2}),
        (
            "BINANCE_FUTURES",
            "recorded-2/usdm_*",
            ["BTCUSDT"],
            {"XTRADER_BINANCE_FUTURES_TRADES": "trade"},
            *(6548, 21313, {"applied": 6547, "skipped": 4}),
        ),
        ("OKX_SPOT", "recorded-1/OKX.*", ["BTC-USDT"], {}, 98, 69, {"checksums": 98}),
        ("OKX_SWAP", "recorded-1/OKX.*", ["UNI-USD-SWAP"], {}, 93, 1, {"checksums": 93}),
        ("OKX_FUTURES", "recorded-1/OKX.*", ["BTC-USD-220527"], {}, 99, 4, {"checksums": 99}),
        ("DERIBIT", "recorded-1/DERIBIT.*", OPTIONS, {}, 46, 0, {"snapshots": 10}),
        (
            "DERIBIT",
            "recorded-1/DERIBIT.*",
            OPTIONS,
            {"DERIBIT_CLIENT_ID": "id", "DERIBIT_CLIENT_SECRET": "secret"},
            *(46, 0, {"snapshots": 10}),
        ),
    ],
)
def test_the_figures_of_the_recordings_come_out_over_real_sockets(
    exchange: str, files: str, symbols: list[str], more: dict[str, str], books: int, trades: int, counts: dict[str, int]
) -> None:
    found = sorted(captures().glob(files))
    records, counted, talks = asyncio.run(record(exchange, found, symbols, more))
    assert Counter(type(record) for record in records if not isinstance(record, Coverage)) == Counter(
        {BookUpdate: books, Trade: trades}
    )
    assert {name: counted[name] for name in counts} == counts
    assert [record for record in records if isinstance(record, Coverage) and record.state == "gap"] == []
    assert counted["breaks"] == counted["crossed"] == 0
    for talk in talks:
        for subscription in talk.link.subscriptions:
            if subscription.stream == "L2":
                assert talk.session.book(subscription.key) is not None
