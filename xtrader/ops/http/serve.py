"""The process that serves HTTP: told what to do on standard input, a sign of life on standard output, gone when the recorder is.

The rule: nothing that happens here reaches the recorder but a question a second, and it never waits for an answer to be taken.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog
import uvloop
from aiohttp import web

from xtrader.ops.http.guard import IDLE, Welcome
from xtrader.ops.http.latest import Latest
from xtrader.ops.http.routes import Routes, application
from xtrader.ops.http.spec import ServeSpec, Word
from xtrader.ops.system import end_with_parent

BEAT: Final = 0.4
"""Seconds between two signs of life."""
LOOK: Final = 5.0
"""Seconds between two looks at the recorder while nobody asks."""

log = structlog.get_logger("xtrader.http")


def serve(spec: ServeSpec, set_levels: Callable[[str], None] = lambda levels: None) -> None:
    """Serve until whoever started this process is gone. `set_levels` gets what the log is to say."""
    end_with_parent()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(spec, set_levels))


def read_spec() -> ServeSpec | None:
    """What this process is told; None if whoever started it was gone before saying anything."""
    line = b""
    # Nothing may be left in a buffer: what comes after is read from the descriptor itself.
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return msgspec.json.decode(line, type=ServeSpec) if line.endswith(b"\n") else None


async def _serve(spec: ServeSpec, set_levels: Callable[[str], None]) -> None:
    latest = Latest(Path(spec.journal))
    app, routes = application(spec, latest)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE, handle_signals=False)
    await runner.setup()
    assert runner.server is not None
    welcome = Welcome(runner.server, app)
    listening = socket.socket(fileno=spec.descriptor)
    listening.setblocking(False)
    server = await asyncio.get_running_loop().create_server(welcome, sock=listening)
    works = [_listen(latest, set_levels), _beat(), _look(routes), welcome.sweep()]
    looking_back = asyncio.create_task(routes.look_back())
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.close()
        for task in (*tasks, looking_back):
            task.cancel()
        for ended in await asyncio.gather(*tasks, looking_back, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("http_ended", exc_info=ended)
        # Clients are not waited for: a slow one must not hold up the end of a recorder.
        sys.stderr.flush()
        os._exit(0)


async def _listen(latest: Latest, set_levels: Callable[[str], None]) -> None:
    """Hear what whoever started this process says, until they are gone."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb", 0))
    while line := await reader.readline():
        word = msgspec.json.decode(line, type=Word)
        latest.stopping = word.stopping
        if word.levels:
            set_levels(word.levels)


async def _beat() -> None:
    os.set_blocking(1, False)
    while True:
        # A recorder that hangs does not take it: then there is no need to say more.
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(1, b".\n")
        await asyncio.sleep(BEAT)


async def _look(routes: Routes) -> None:
    while True:
        await routes.look()
        await asyncio.sleep(LOOK)
