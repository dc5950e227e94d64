"""The recorder's side of HTTP: it binds the address, and keeps the process alive that serves there.

The rule: the listening socket stays here, so the address is the same for as long as the recorder runs, however often the process is
started again; a client that comes meanwhile waits a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import structlog

from xtrader.errors import ConfigError
from xtrader.ops.http.spec import ServeSpec, Word
from xtrader.pipeline.children import Child
from xtrader.settings.environment import bare_environment
from xtrader.settings.http import Http
from xtrader.settings.load import Settings

COMMAND: Final = (sys.executable, "-m", "xtrader", "_serve")
TRIES: Final = 100
"""Ports after the usual one that are tried."""
BACKLOG: Final = 128
PATIENCE: Final = 2.0
"""Seconds of silence after which the process hangs."""

log = structlog.get_logger("xtrader.http")


@dataclass(frozen=True, slots=True)
class Listening:
    """An address that is bound; clients that come wait until somebody serves them."""

    socket: socket.socket
    address: str
    """Host and port, as in a URL."""

    @property
    def url(self) -> str:
        """For people on this machine."""
        host, _, port = self.address.rpartition(":")
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]', '') else host}:{port}"  # noqa: S104


@contextlib.contextmanager
def listening(http: Http | None) -> Iterator[Listening | None]:
    """Listen at the address of the settings, or where the user named none and it is taken, at the next free port; None if it is
    off, or there can be none. Raises ConfigError for an address that the user named and that cannot be had."""
    found = None if http is None else _listen(http)
    try:
        yield found
    finally:
        if found is not None:
            found.socket.close()


def _listen(http: Http) -> Listening | None:
    last = http.port if http.is_named else min(http.port + TRIES, 65535)
    reason = ""
    for port in range(http.port, last + 1):
        wanted = replace(http, port=port)
        try:
            bound = _bind(http.host, port)
        except OSError as error:
            reason = _reason(error)
            if http.is_named:
                raise ConfigError(
                    f"XTRADER_HTTP {wanted.address} cannot be listened at: {reason}; name another address, or off"
                ) from None
            if error.errno != errno.EADDRINUSE:
                break
            continue
        if port != http.port:
            log.warning("http_port", wanted=http.address, used=wanted.address, about=f"port {http.port} is in use")
        return Listening(bound, wanted.address)
    log.warning("no_http", wanted=http.address, error=reason, about="nothing is served by HTTP")
    return None


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    bound = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program has that port"
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    return os.strerror(error.errno).lower() if error.errno else str(error)


class Serving:
    """The process that serves at an address. `run` keeps it alive until cancelled."""

    def __init__(self, settings: Settings, where: Listening) -> None:
        http = settings.http
        assert http is not None
        self._spec = ServeSpec(
            journal=str(settings.journal_directory),
            output=str(settings.output_directory) if settings.writes_files else "",
            descriptor=where.socket.fileno(),
            address=where.address,
            hosts=http.hosts,
            token=http.token,
            instruments=http.instruments,
            log_level=settings.log_level,
            log_to=settings.log_to,
        )
        self._said = asyncio.Event()
        self._word = Word("")
        """What it is told beyond its spec; told again to one that is started again."""
        self.url = where.url
        """For people on this machine."""
        self._spoke = False
        self._child = Child(
            "http",
            COMMAND,
            talk=self._talk,
            hear=self._hear,
            environment=bare_environment(),
            pass_fds=(self._spec.descriptor,),
            patience=PATIENCE,
        )

    def processes(self) -> list[tuple[str, int]]:
        """Name and process id of what serves, if it runs."""
        process = self._child.process
        return [("http", process.pid)] if process is not None and process.returncode is None else []

    async def run(self) -> None:
        """Keep it alive; what it dies of is never more than a line in the log."""
        log.info("http", url=self.url)
        try:
            await self._child.run(lambda code: False, self._has_achieved)
        except OSError as error:
            log.error("no_http", error=str(error), about="nothing is served by HTTP")
        finally:
            self._child.kill()

    def stopping(self, why: str) -> None:
        """The recorder drains: it is alive, and not ready any more."""
        self._tell(msgspec.structs.replace(self._word, stopping=why))

    def set_levels(self, levels: str) -> None:
        """What its log says from now on: `info,http=debug`."""
        self._tell(msgspec.structs.replace(self._word, levels=levels))

    def _tell(self, word: Word) -> None:
        self._word = word
        self._said.set()

    def _has_achieved(self) -> bool:
        spoke, self._spoke = self._spoke, False
        return spoke

    def _hear(self, line: bytes) -> None:
        self._spoke = True

    async def _talk(self, stdin: asyncio.StreamWriter) -> None:
        stdin.write(msgspec.json.encode(self._spec) + b"\n")
        if self._word != Word(""):
            self._said.set()
        while True:
            await self._said.wait()
            if stdin.is_closing():
                return
            self._said.clear()
            stdin.write(msgspec.json.encode(self._word) + b"\n")
