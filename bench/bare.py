"""Floor and ceiling, each as a process: `python -m bench.bare TASK`. Nothing is kept, checked or handed on.

| mode | what runs |
|---|---|
| socket | the floor: a TLS socket under uvloop, bytes counted |
| decode | the ceiling: xtrader's own websocket reader and its typed decode of every frame |
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
import uvloop

from bench import task
from bench.task import Answer, Task
from xtrader.feed import link
from xtrader.venues.binance.wire import decode_envelope
from xtrader.venues.deribit.wire import DeribitFrame
from xtrader.venues.okx.wire import OkxFrame

DERIBIT_BOOK = "book.BTC-PERPETUAL.100ms"
HELLO = {
    "BINANCE_FUTURES": (
        ("/public/stream", {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1}),
        ("/market/stream", {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}),
    ),
    "OKX_SWAP": (("/ws/v5/public", {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT-SWAP"}]}),),
    "DERIBIT": (("/ws/api/v2", {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": {"channels": [DERIBIT_BOOK]}}),),
}
"""Routes and what is said on each."""
SNAPSHOT = {"BINANCE_FUTURES": "/fapi/v1/depth?symbol=BTCUSDT&limit=1000"}
"""The REST request that a venue's stream has to be joined with: the server waits for it."""
DECODE: dict[str, Callable[[memoryview], object]] = {
    "BINANCE_FUTURES": decode_envelope,
    "OKX_SWAP": msgspec.json.Decoder(OkxFrame, strict=False).decode,
    "DERIBIT": msgspec.json.Decoder(DeribitFrame).decode,
}
UPGRADE = (
    "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def ask_for_snapshot(asked: Task) -> None:
    """What every other contender asks by REST, so that the frames begin to flow."""
    if asked.exchange in SNAPSHOT:
        await asyncio.to_thread(lambda: urllib.request.urlopen(asked.rest + SNAPSHOT[asked.exchange]).read())


async def decoded(asked: Task) -> None:
    """Decode every frame."""
    decode = DECODE[asked.exchange]
    routes = HELLO[asked.exchange]
    # Every request is acknowledged by a frame of its own; what comes by REST is no frame.
    left = asked.books + asked.trades - (asked.exchange in SNAPSHOT) + len(routes)
    done = asyncio.Event()

    def take(payload: memoryview, ts_recv: int) -> None:
        nonlocal left
        try:
            decode(payload)
        except ValueError:
            # An acknowledgement is of another shape than the data.
            assert len(payload) < 200
        left -= 1
        if not left:
            done.set()

    connections = [await link.connect(asked.ws + path, take) for path, _ in routes]
    for connection, (_, hello) in zip(connections, routes, strict=True):
        await link.send(connection, json.dumps(hello))
    await ask_for_snapshot(asked)
    await done.wait()


class Counter(asyncio.BufferedProtocol):
    """Counts the bytes that come after the handshake."""

    def __init__(self, on_bytes: Callable[[int], None], upgraded: asyncio.Future[None]) -> None:
        self.buffer = bytearray(256 * 1024)
        self.on_bytes = on_bytes
        self.upgraded = upgraded

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.upgraded.done():
            self.on_bytes(nbytes)
        else:
            self.upgraded.set_result(None)


async def counted(asked: Task) -> None:
    """Read every byte."""
    left = asked.frame_bytes
    done = asyncio.Event()

    def count(nbytes: int) -> None:
        nonlocal left
        left -= nbytes
        if left <= 0:
            done.set()

    loop = asyncio.get_running_loop()
    url = urlsplit(asked.ws)
    assert url.hostname
    assert url.port
    writers = []
    for path, hello in HELLO[asked.exchange]:
        upgraded = loop.create_future()
        transport, _ = await loop.create_connection(
            lambda upgraded=upgraded: Counter(count, upgraded),  # type: ignore[misc]
            url.hostname,
            url.port,
            ssl=ssl.create_default_context(),
        )
        transport.write(UPGRADE.format(path, url.netloc, base64.b64encode(os.urandom(16)).decode()).encode())
        await upgraded
        writers.append((transport, json.dumps(hello).encode()))
    for transport, hello in writers:
        # A client's frame: a mask of zeros leaves the payload as it is.
        body = hello.ljust(126)
        transport.write(bytes([0x81, 0xFE]) + len(body).to_bytes(2, "big") + bytes(4) + body)
    await ask_for_snapshot(asked)
    await done.wait()


if __name__ == "__main__":
    told = task.read()
    uvloop.run({"socket": counted, "decode": decoded}[told.mode](told))
    task.say(Answer())
