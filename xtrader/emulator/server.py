"""The emulator: venues on loopback, one port each for websocket and REST, driven by one task.

Its one rule: what happens in the markets depends on the seed alone; the wall clock only decides when it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from heapq import heapify, heapreplace
from http import HTTPStatus
from pathlib import Path
from ssl import SSLContext
from time import time
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from xtrader.emulator.client import Client, Socket
from xtrader.emulator.faults import Fault, FaultTarget, draw
from xtrader.emulator.strikes import CONTROL
from xtrader.emulator.truth import Truth
from xtrader.emulator.venue import Board, HttpAnswer, Stage, Timers, Venue
from xtrader.errors import ConfigError

TICK = 0.005
"""Seconds between two looks at what is due; what falls due together is written together."""
IDLE = 0.05
LAST_PORT = 65_535
LATE = 1.0
"""A machine that falls behind by more than this many seconds skips the time instead of catching up."""
SHORTEST = 0.002
"""The shortest batch interval, seconds."""

_log = logging.getLogger("xtrader.emulator")


def venue(exchange: str, instruments: int, stage: Stage) -> Venue[Any]:
    """The emulated venue of an exchange token; its module is named like the token's first word. Raises ConfigError."""
    name = f"xtrader.emulator.{exchange.partition('_')[0].lower()}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        raise ConfigError(f"{exchange}: there is no emulated venue of this name") from None
    if exchange not in getattr(module, "EXCHANGES", ()):
        raise ConfigError(f"{exchange}: there is no emulated venue of this name")
    made: Venue[Any] = module.venue(exchange, instruments, stage)
    return made


class Emulator:
    """Emulated venues while the context is open.

    `rate` is book and trade messages a second over all instruments of all exchanges, half of each (fewer on Deribit, which
    joins the trades of a batch); 0 stands still. A book message comes of about `operations` orders. `port` is the first exchange's
    port, the next ones follow; 0 takes any. A client with more than `send_buffer` unread bytes is cut. The truth is kept in memory
    (`keep_truth`), or written to `truth_directory`, or neither. `faults` happen by themselves; more can be added while it runs, at
    CONTROL on a venue's port. `wall` is where the venues' clocks start (seconds UTC), `tick` the seconds between two looks.
    """

    def __init__(
        self,
        exchanges: Sequence[str],
        *,
        seed: int = 7,
        instruments: int = 4,
        rate: float = 1000.0,
        operations: float = 8.0,
        port: int = 0,
        timers: Timers | None = None,
        keep_truth: bool = False,
        truth_directory: Path | None = None,
        send_buffer: int = 4 * 2**20,
        faults: Sequence[Fault] = (),
        tls: SSLContext | None = None,
        wall: Callable[[], float] = time,
        tick: float = TICK,
    ) -> None:
        if port and port + len(exchanges) - 1 > LAST_PORT:
            raise ConfigError(f"{len(exchanges)} ports from {port} on are more than there are; give a smaller --port")
        pace = rate / max(1, len(exchanges) * instruments)
        interval = max(SHORTEST, 2 / pace) if pace else 0.0
        self.truth = Truth(truth_directory, keep=keep_truth) if keep_truth or truth_directory else None
        self.stage = Stage(
            seed=seed,
            timers=timers or Timers(),
            interval=interval,
            prints=max(0.0, pace * interval - 1),
            operations=operations,
            truth=self.truth,
        )
        self.venues: dict[str, Venue[Any]] = {
            exchange: venue(exchange, instruments, msgspec.structs.replace(self.stage)) for exchange in exchanges
        }
        for fault in faults:
            self.add(fault)
        self.variables: dict[str, str] = {}
        """Environment variables that point xtrader at the venues."""
        self._port = port
        self._send_buffer = send_buffer
        self._servers: list[Server] = []
        self._pump: asyncio.Task[None] | None = None
        self._tls = tls
        self._wall = wall
        self._tick = tick

    def add(self, fault: Fault) -> None:
        """Let a fault happen. Raises ConfigError for one that its venue cannot have."""
        if fault.exchange not in self.venues:
            raise ConfigError(f"fault '{fault}': {fault.exchange} is not emulated here")
        self.venues[fault.exchange].strikes.add(fault)

    def draw(self, seed: int | str, count: int, horizon: int) -> list[Fault]:
        """`count` faults by chance that these venues can have, each at one of the first `horizon` messages of a subscription."""
        return draw(
            seed, [FaultTarget(name, tuple(made.boards), made.cannot) for name, made in self.venues.items()], count, horizon
        )

    async def __aenter__(self) -> Emulator:
        try:
            for number, (exchange, made) in enumerate(self.venues.items()):
                port = await self._listen(made, self._port + number if self._port else 0)
                secure = "s" if self._tls is not None else ""
                self.variables[f"XTRADER_{exchange}_WS_URL"] = f"ws{secure}://127.0.0.1:{port}"
                self.variables[f"XTRADER_{exchange}_REST_URL"] = f"http{secure}://127.0.0.1:{port}"
        except OSError as error:
            await self._close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is in use" if error.errno == errno.EADDRINUSE else "may not be listened on"
            raise ConfigError(f"port {self._port + number} of 127.0.0.1, for {exchange}, {why}; give another --port") from None
        self._pump = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._pump is not None
        self._pump.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        finally:
            await self._close()

    async def wait(self) -> None:
        """Return, or raise what went wrong, when the markets stop; they do not by themselves."""
        assert self._pump is not None
        await asyncio.shield(self._pump)

    async def _listen(self, made: Venue[Any], port: int) -> int:
        interval, timeout = made.ping or (None, None)
        server = await serve(
            self._handler(made),
            "127.0.0.1",
            port,
            process_request=self._process(made),
            create_connection=Socket,
            compression=None,
            ping_interval=interval,
            ping_timeout=timeout,
            close_timeout=1,
            max_size=made.most,
            logger=_log,
            ssl=self._tls,
        )
        self._servers.append(server)
        bound: int = next(iter(server.sockets)).getsockname()[1]
        return bound

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for server in self._servers:
            await server.wait_closed()
        if self.truth is not None:
            self.truth.close()

    def _handler(self, made: Venue[Any]) -> Callable[[ServerConnection], Any]:
        async def handle(socket: ServerConnection) -> None:
            assert isinstance(socket, Socket)
            made.counts["connect"] += 1
            client = Client(socket, self._send_buffer, made.counts["connect"])
            made.clients.add(client)
            made.opened(client)
            client.flush()
            try:
                async for message in socket:
                    client.last_received = asyncio.get_running_loop().time()
                    made.received(client, message if isinstance(message, str) else message.decode(errors="replace"))
                    client.flush()
            except ConnectionClosed:
                pass
            finally:
                made.clients.discard(client)
                made.closed(client)
                if client.closing is not None:
                    await client.closing

        return handle

    def _process(self, made: Venue[Any]) -> Callable[[ServerConnection, Request], Awaitable[Response | None]]:
        async def process(socket: ServerConnection, request: Request) -> Response | None:
            url = urlsplit(request.path)
            if url.path == CONTROL:
                status, body = made.strikes.control(url.query)
                return _response(made, HttpAnswer(body, status))
            if "Upgrade" in request.headers:
                made.counts["attempt"] += 1
                if not made.accepts(url.path):
                    return _response(made, HttpAnswer(b'{"msg":"Not Found"}', 404))
                if not made.admits(asyncio.get_running_loop().time()):
                    made.counts["too many connects"] += 1
                    return _response(made, made.error(429))
                refusal = await made.strikes.admit(socket.transport)
                return None if refusal is None else _response(made, refusal)
            made.counts[f"GET {url.path}"] += 1
            answer = await made.strikes.answer(url.path, dict(parse_qsl(url.query)))
            made.counts[f"HTTP {answer.status}"] += 1
            return _response(made, answer)

        return process

    async def _run(self) -> None:
        """Carry out what is due, write it, and see to the venues' timers."""
        loop = asyncio.get_running_loop()
        stage = self.stage
        origin = loop.time()
        stages = [made.stage for made in self.venues.values()]
        for one in stages:
            one.epoch = self._wall() * 1000
        for made in self.venues.values():
            made.begin()
        due = self._schedule()
        idle_at = 0.0
        while True:
            await asyncio.sleep(self._tick)
            now = loop.time()
            if due and now - origin - due[0][0] > LATE:
                skipped = now - origin - due[0][0]
                origin += skipped
                for one in stages:
                    one.epoch += 1000 * skipped
            while due and due[0][0] <= now - origin:
                at, number, made, board = due[0]
                made.stage.now = at
                if board.symbol in made.boards:
                    made.publish(board, board.market.step())
                heapreplace(due, (at + stage.interval, number, made, board))
            for one in (stage, *stages):
                one.now = now - origin
            if now >= idle_at:
                idle_at = now + IDLE
                for made in self.venues.values():
                    made.idle(now)
                if self.truth is not None:
                    self.truth.flush()
            for made in self.venues.values():
                for client in made.clients:
                    if client.outbox:
                        client.flush()

    def _schedule(self) -> list[tuple[float, int, Venue[Any], Board]]:
        """When each board's first batch is due, spread evenly over the interval; empty if nothing ever is."""
        boards = [(made, board) for made in self.venues.values() for board in made.boards.values()]
        interval = self.stage.interval
        if not interval:
            return []
        due = [(interval * (1 + number / len(boards)), number, made, board) for number, (made, board) in enumerate(boards)]
        heapify(due)
        return due


def _response(made: Venue[Any], answer: HttpAnswer) -> Response:
    """With the time by the venue's clock, once it runs."""
    now = made.stage.ms() / 1000 if made.stage.epoch else None
    headers = Headers(
        [
            ("Date", formatdate(now, usegmt=True)),
            ("Connection", "close"),
            ("Content-Length", str(len(answer.body))),
            ("Content-Type", "application/json;charset=UTF-8"),
            *answer.headers,
        ]
    )
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, answer.body)
