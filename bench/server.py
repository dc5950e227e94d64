"""A server that replays prebuilt frames as fast as the reader takes them: a venue's websocket and REST, TLS and plain.

The rule: frames flow once every channel of the traffic was subscribed to, on whatever connections; each gets its channels.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import trustme
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from bench.frames import BOOK, TRADES, Traffic

BLOCK = 64 * 1024
SETTLE = 0.3
"""Seconds between the answer to the snapshot and the flood: no venue sends a minute's messages while a snapshot is on its way."""
CATCH_UP = 0.0005
"""Seconds that a paced sender may run behind and still catch up."""


@dataclass(frozen=True)
class Pace:
    """Send one frame at a time, `rate` a second, and keep when each was sent."""

    rate: float


def framed(payload: bytes) -> bytes:
    """One websocket frame as a server sends it."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


def blocks(payloads: list[bytes]) -> list[bytes]:
    """The frames of `payloads`, joined into writes of about 64 KiB."""
    made, block = [], bytearray()
    for payload in payloads:
        block += framed(payload)
        if len(block) >= BLOCK:
            made.append(bytes(block))
            block.clear()
    return [*made, bytes(block)] if block else made


def inner(payload: bytes) -> bytes:
    """A frame of a combined stream as the raw stream has it (Binance serves both, by the path)."""
    return payload[payload.index(b'"data":') + 7 : -1] if payload.startswith(b'{"stream"') else payload


class Replay:
    """Serves one Traffic. `delivered` is set once all frames of all connections were read."""

    def __init__(self, traffic: Traffic, pace: Pace | None) -> None:
        self.traffic = traffic
        self.pace = pace
        self.subscribed: dict[ServerConnection, set[str]] = {}
        self.left = set(traffic.channels)
        self.complete = asyncio.Event()
        self.asked = asyncio.Event()
        self.delivered = asyncio.Event()
        self.sent: dict[str, list[int]] = {}
        if not traffic.snapshot_path:
            self.asked.set()

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """REST requests get their prepared body; everything else becomes a websocket."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        url = urlsplit(request.path)
        query = set(parse_qsl(url.query))
        fits = [
            (len(parse_qsl(wanted.query)), body)
            for wanted, body in ((urlsplit(key), body) for key, body in self.traffic.answers.items())
            if wanted.path == url.path and set(parse_qsl(wanted.query)) <= query
        ]
        status = HTTPStatus.OK if fits else HTTPStatus.NOT_FOUND
        body = max(fits, key=lambda one: one[0])[1] if fits else b'{"code":-1,"msg":"not served"}'
        if url.path == self.traffic.snapshot_path:
            self.asked.set()
        headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
        return Response(status, status.phrase, headers, body)

    async def talk(self, connection: ServerConnection) -> None:
        """Acknowledge what is asked, send the frames of what is subscribed to once all of it is, wait until they were read."""
        assert connection.request is not None
        mine: set[str] = self.subscribed.setdefault(connection, set())
        self.subscribe(mine, dict(parse_qsl(urlsplit(connection.request.path).query)).get("streams", ""))
        sending = asyncio.create_task(self.send(connection, mine))
        try:
            async for said in connection:
                for reply in self.reply(mine, said):
                    await connection.send(reply)
        except ConnectionClosed:
            pass
        finally:
            sending.cancel()
            del self.subscribed[connection]

    def subscribe(self, mine: set[str], names: str) -> None:
        """Take note of every channel that is named."""
        words = unquote(names)
        if "@depth" in words or "book" in words:
            mine.add(BOOK)
        if "@aggTrade" in words or "@trade" in words or "trades" in words:
            mine.add(TRADES)
        if set().union(*self.subscribed.values()) >= self.traffic.channels:
            self.complete.set()

    def reply(self, mine: set[str], said: str | bytes) -> list[str]:
        """What the venue would say to a request."""
        if said in ("ping", b"ping"):
            return ["pong"]
        request: dict[str, Any] = json.loads(said)
        if "op" in request:
            self.subscribe(mine, " ".join(arg["channel"] for arg in request["args"]))
            return [json.dumps({"event": request["op"], "arg": arg, "connId": "a4d3ae55"}) for arg in request["args"]]
        params = request.get("params", [])
        if "jsonrpc" in request:
            channels = params.get("channels", [])
            self.subscribe(mine, " ".join(channels))
            return [json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": channels or "ok", "testnet": False})]
        self.subscribe(mine, " ".join(str(param) for param in params))
        return [json.dumps({"result": None, "id": request["id"]})]

    async def send(self, connection: ServerConnection, mine: set[str]) -> None:
        """All frames of the connection's channels, the first before the book's snapshot is served, then the rest."""
        await self.complete.wait()
        payloads = [payload for channel, payload in self.traffic.frames if channel in mine]
        assert connection.request is not None
        if urlsplit(connection.request.path).path.endswith("/ws"):
            payloads = [inner(payload) for payload in payloads]
        if not payloads:
            return
        if not self.asked.is_set():
            connection.transport.write(framed(payloads[0]))
            await self.asked.wait()
            await asyncio.sleep(SETTLE)
            payloads = payloads[1:]
        elif self.traffic.snapshot_path:
            await asyncio.sleep(SETTLE)
        if self.pace is not None:
            sent: list[int] = []
            self.sent["+".join(sorted(mine))] = sent
            await self.send_paced(connection, payloads, self.pace.rate, sent)
        else:
            for block in blocks(payloads):
                connection.transport.write(block)
                await connection.drain()
        try:
            # The answer to this ping comes after everything before it was read.
            await (await connection.ping())
        finally:
            # Who has read it all may leave without answering.
            self.left -= mine
            if not self.left:
                self.delivered.set()

    async def send_paced(self, connection: ServerConnection, payloads: list[bytes], rate: float, sent: list[int]) -> None:
        """One frame a write, `rate` a second over all connections; `sent` gets the wall time (ns) of each."""
        write: Callable[[bytes], None] = connection.transport.write
        frames = [framed(payload) for payload in payloads]
        step = self.traffic.messages / (rate * len(payloads))
        due = time.perf_counter()
        for index, frame in enumerate(frames):
            # uvloop sleeps in whole milliseconds, and writes when the task gives way: so it gives way after every frame.
            while (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead if ahead > 0.002 else 0)
            # Where this process had to stand back, its lateness is not made up for by a burst.
            due = max(due + step, time.perf_counter() - CATCH_UP)
            sent.append(time.time_ns())
            write(frame)
            if not index % 64:
                await connection.drain()


async def replay(traffic: Traffic, directory: Path, pipe: Connection, pace: Pace | None) -> None:
    """Serve for ever; the authority's certificate is `directory`/ca.pem."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    server = Replay(traffic, pace)
    options: dict[str, Any] = {"process_request": server.answer, "compression": None, "ping_interval": None}
    async with (
        serve(server.talk, "localhost", 0, ssl=context, **options) as secure,
        serve(server.talk, "localhost", 0, **options) as plain,
    ):
        pipe.send(tuple(listening.sockets[0].getsockname()[1] for listening in (secure, plain)))
        await server.delivered.wait()
        pipe.send(server.sent)
        await asyncio.get_running_loop().create_future()


def main(traffic: Traffic, directory: Path, pipe: Connection, pace: Pace | None, core: int | None) -> None:
    """A process of its own: tells its TLS and plain ports, then, when everything was read, the times of sending by channel."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    with contextlib.suppress(PermissionError):
        # A venue is another machine: what else runs on this core must not hold up what it sends.
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    uvloop.run(replay(traffic, directory, pipe, pace))
