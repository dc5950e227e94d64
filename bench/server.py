"""A TLS server that replays prebuilt frames as fast as the reader takes them, the websocket and the REST side of a venue."""

from __future__ import annotations

import asyncio
import json
import ssl
from http import HTTPStatus
from pathlib import Path

import trustme
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from bench.frames import Traffic

BLOCK = 64 * 1024


def blocks(payloads: list[bytes]) -> list[bytes]:
    """The frames of `payloads`, joined into writes of about 64 KiB."""
    made, block = [], bytearray()
    for payload in payloads:
        block += Frame(Opcode.TEXT, payload).serialize(mask=False)
        if len(block) >= BLOCK:
            made.append(bytes(block))
            block.clear()
    return [*made, bytes(block)] if block else made


class Replay:
    """Serves one Traffic on one port, TLS. `delivered` is set once every route's frames were taken by a client."""

    def __init__(self, traffic: Traffic, *, waits: bool) -> None:
        self.traffic = traffic
        self.blocks = {route: blocks(payloads) for route, payloads in traffic.routes.items()}
        self.waits = waits and bool(traffic.answers)
        self.left = set(self.blocks)
        self.delivered = asyncio.Event()
        self.asked = asyncio.Event()

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """REST requests get their prepared body; everything else becomes a websocket."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        body = self.traffic.answers.get(request.path.partition("?")[0])
        self.asked.set()
        status = HTTPStatus.NOT_FOUND if body is None else HTTPStatus.OK
        body = body or b'{"code":-1,"msg":"not served"}'
        headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
        return Response(status, status.phrase, headers, body)

    async def talk(self, connection: ServerConnection) -> None:
        """Acknowledge the first subscription, send the route's frames, and wait until they were read."""
        assert connection.request is not None
        route = connection.request.path.partition("?")[0]
        said = json.loads(await connection.recv())
        if said.get("op") == "subscribe":
            for arg in said["args"]:
                await connection.send(json.dumps({"event": "subscribe", "arg": arg, "connId": "a4d3ae55"}))
        else:
            await connection.send(json.dumps({"result": None, "id": said["id"]}))
        if self.waits:
            # No venue sends a minute's messages while a snapshot is on its way: the first ones, then a pause, then all of it.
            connection.transport.write(self.blocks[route][0])
            await self.asked.wait()
            await asyncio.sleep(0.3)
        for block in self.blocks[route][self.waits :]:
            connection.transport.write(block)
            await connection.drain()
        # The answer to this ping comes after everything before it was read.
        await (await connection.ping())
        self.left.discard(route)
        if not self.left:
            self.delivered.set()
        await connection.wait_closed()


async def replay(
    traffic: Traffic, directory: Path, ready: asyncio.Event, port: list[int], finished: asyncio.Event, *, waits: bool
) -> None:
    """Serve until `finished`; the authority's certificate is `directory`/ca.pem."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    server = Replay(traffic, waits=waits)
    async with serve(
        server.talk, "localhost", 0, ssl=context, process_request=server.answer, compression=None, ping_interval=None
    ) as listening:
        port.append(listening.sockets[0].getsockname()[1])
        ready.set()
        await server.delivered.wait()
        finished.set()
        await asyncio.sleep(3600)


def main(traffic: Traffic, directory: Path, pipe: object, waits: bool) -> None:
    """A process of its own: tells its port, then when everything was delivered, by `pipe`."""

    async def run() -> None:
        ready, finished, port = asyncio.Event(), asyncio.Event(), list[int]()
        task = asyncio.create_task(replay(traffic, directory, ready, port, finished, waits=waits))
        await ready.wait()
        pipe.send(port[0])  # type: ignore[attr-defined]
        await finished.wait()
        pipe.send("delivered")  # type: ignore[attr-defined]
        await task

    uvloop.run(run())
