"""Plain clients for the emulated venues: websockets' own, and urllib's GET. Nothing here is shared with xtrader."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.waiting import LIMIT, within
from xtrader.emulator.server import Emulator

Side = dict[str, str]


@asynccontextmanager
async def talk(emulator: Emulator, exchange: str, path: str) -> AsyncIterator[ClientConnection]:
    url = emulator.variables[f"XTRADER_{exchange}_WS_URL"] + path
    async with connect(url, compression=None, max_queue=None, max_size=None, close_timeout=1) as socket:
        yield socket


async def ask(socket: ClientConnection, request: Any) -> Any:
    """Send one request and return the next message."""
    await socket.send(request if isinstance(request, str) else json.dumps(request))
    return await receive(socket)


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await within(socket.recv()))


async def get(emulator: Emulator, exchange: str, path: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON body of a GET."""
    return await asyncio.to_thread(_get, emulator.variables[f"XTRADER_{exchange}_REST_URL"] + path)


def _get(url: str) -> tuple[int, dict[str, str], Any]:
    try:
        with urllib.request.urlopen(url, timeout=LIMIT) as response:
            return response.status, dict(response.headers), json.loads(response.read())
    except urllib.error.HTTPError as error:
        body = error.read()
        return error.code, dict(error.headers), json.loads(body) if body[:1] in b"{[" else body


def apply(side: Side, levels: list[list[str]]) -> None:
    """Absolute sizes by price; zero removes."""
    for price, size, *_ in levels:
        if float(size):
            side[price] = size
        else:
            side.pop(price, None)


@asynccontextmanager
async def alone(exchange: str, path: str, **options: Any) -> AsyncIterator[tuple[Emulator, ClientConnection]]:
    """One exchange with one instrument that stands still, and one client of it, unless `options` say otherwise."""
    settings = {"instruments": 1, "rate": 0, **options}
    async with Emulator([exchange], **settings) as emulator, talk(emulator, exchange, path) as socket:
        yield emulator, socket


async def receive_until_closed(socket: ClientConnection) -> list[Any]:
    """Every message that comes before the connection ends."""
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(await receive(socket))
    return messages
