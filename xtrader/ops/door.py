"""The door: a local socket in the journal directory, by which a running recorder is asked and told things.

The rule: whoever comes is of the user that the recorder runs as, or root, and can not hold the recorder up: lines, clients, answers
and their pace are bounded, and who is slow or silent is cut. One JSON object a line, both ways:

    {"command": "facts"}                                  ->  {"ok": true, "result": {…}}
    {"command": "resync", "subscription": "L2:…"}         ->  {"ok": false, "error": "one sentence"}
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from xtrader.errors import XTraderError

NAME: Final = "door"
LONGEST: Final = 4096
"""Bytes of a request."""
CLIENTS: Final = 32
"""At once; one more is told so and sent away."""
SILENCE: Final = 60.0
"""Seconds for which a client may ask nothing."""
SLOWNESS: Final = 5.0
"""Seconds in which an answer must be taken."""
LINGER: Final = 1.0
"""Seconds for which somebody who is sent away may still speak."""
PAUSE: Final = 0.002
"""Seconds from an answer to the next, whoever asks: however many ask however often, it is a few percent of the recorder's time."""
BYTES_A_SECOND: Final = 50e6
"""Large answers are followed by a longer pause."""
PATH_BYTES: Final = 100
"""Longer paths do not fit into the address of a socket everywhere."""

log = structlog.get_logger("xtrader.door")


class Caller(msgspec.Struct, frozen=True):
    """Who asks."""

    uid: int
    pid: int
    name: str
    """Of the user, and of the program."""


class JsonText(msgspec.Struct, frozen=True):
    """An answer that is JSON already."""

    json: bytes


Command = Callable[[Caller, Mapping[str, Any]], Awaitable[Any]]
"""Takes who asks and what was said; returns what JSON can tell. Raises XTraderError with one sentence."""


class Door:
    """Serves `commands` by name from `open` to `close`."""

    def __init__(self, directory: Path, commands: Mapping[str, Command]) -> None:
        self._directory = directory
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        """One command at a time."""

    async def open(self) -> None:
        """Begin to listen. Raises OSError where there can be no such socket; the directory must be this recorder's alone."""
        listening = _listen(self._directory)
        self._server = await asyncio.start_unix_server(self._welcome, sock=listening, limit=LONGEST)

    async def close(self) -> None:
        """Let nobody in any more, and send away who is there."""
        if self._server is None:
            return
        self._server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(OSError):
            (self._directory / NAME).unlink()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = _caller(writer.get_extra_info("socket"))
        if caller.uid not in (os.geteuid(), 0):
            log.warning("door_refused", uid=caller.uid, pid=caller.pid, by=caller.name)
            await _send_away(reader, writer, "this recorder is that of another user")
            return
        if len(self._clients) > CLIENTS:
            await _send_away(reader, writer, f"{CLIENTS} clients are here already; come again")
            return
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), SILENCE)
            except ValueError:
                await _send_away(reader, writer, f"a request is one line of JSON of at most {LONGEST} bytes")
                return
            if not line.endswith(b"\n"):
                return
            async with self._turn:
                answer = await self._answer(caller, line)
                await asyncio.sleep(PAUSE + len(answer) / BYTES_A_SECOND)
            await _say(writer, answer)

    async def _answer(self, caller: Caller, line: bytes) -> bytes:
        try:
            said = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _error('a request is one JSON object a line, such as {"command":"facts"}')
        name = said.get("command")
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            return _error(f"there is no such command; there are {', '.join(self._commands)}")
        try:
            result = await command(caller, said)
        except XTraderError as error:
            return _error(str(error))
        except Exception as error:
            log.error("door_failed", command=name, exc_info=error)
            return _error("that failed by a fault of xtrader's own, which its log has")
        text = result.json if isinstance(result, JsonText) else msgspec.json.encode(result, enc_hook=str)
        return b'{"ok":true,"result":' + text + b"}\n"


@contextlib.contextmanager
def address(directory: Path) -> Iterator[str]:
    """The path of the socket in `directory`, or a shorter one to the same while this lasts: a socket's address has 108 bytes."""
    path = directory / NAME
    if len(os.fsencode(path)) <= PATH_BYTES:
        yield str(path)
        return
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)


def _listen(directory: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        (directory / NAME).unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        # What is bound gets the mode of the open socket: there is no moment at which others could connect.
        os.fchmod(listening.fileno(), 0o600)
        with address(directory) as path:
            listening.bind(path)
        os.chmod(directory / NAME, 0o600)
        listening.listen(CLIENTS)
    except BaseException:
        listening.close()
        raise
    return listening


def _caller(connected: Any) -> Caller:
    """Who is at the other end, by the kernel's word."""
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", told)
    user = program = ""
    with contextlib.suppress(KeyError):
        user = pwd.getpwuid(uid).pw_name
    with contextlib.suppress(OSError):
        program = Path(f"/proc/{pid}/comm").read_text().strip()
    return Caller(uid, pid, " ".join(filter(None, (user, program))))


async def _say(writer: asyncio.StreamWriter, answer: bytes) -> None:
    """Raises TimeoutError if the client does not take it."""
    writer.write(answer)
    writer.transport.set_write_buffer_limits(0)
    await asyncio.wait_for(writer.drain(), SLOWNESS)


async def _send_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sentence: str) -> None:
    """Say why, and let it be heard: what is closed with something unread in it is lost to the other side."""
    await _say(writer, _error(sentence))
    writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while await reader.read(LONGEST):
                pass


def _error(sentence: str) -> bytes:
    return msgspec.json.encode({"ok": False, "error": sentence}) + b"\n"
