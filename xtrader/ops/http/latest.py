"""The facts of a recorder as the process that serves HTTP has them: asked for at the door, at most once a second.

The rule: a recorder that does not answer makes nobody wait for more than PATIENCE, and what it told last stays known with its age.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from xtrader.errors import ConfigError
from xtrader.ops.ask import Refused
from xtrader.ops.door import address
from xtrader.ops.facts import Facts

PATIENCE: Final = 2.0
"""Seconds for an answer."""
FRESH: Final = 1.0
"""Seconds for which facts are not asked for again."""
LONGEST: Final = 1 << 28
"""Bytes of an answer."""


class _DoorAnswer(msgspec.Struct):
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


class Latest:
    """The facts of the recorder whose journal is in `directory`. `facts` are the last ones, None if there never were any; `text`
    are they as JSON; `error` says why there are no newer ones, empty if there are."""

    def __init__(self, directory: Path) -> None:
        self.facts: Facts | None = None
        self.text = b"null"
        self.error = "the recorder was not asked yet"
        self.stopping = ""
        """Why the recorder is ending, if it said so."""
        self.began = time.time_ns()
        self._directory = directory
        self._tried = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def refresh(self) -> Facts | None:
        """Facts that are at most FRESH old, or the last ones there were."""
        if self._asking is None and time.monotonic() - self._tried >= FRESH:
            self._asking = asyncio.create_task(self._fetch())
        if self._asking is not None:
            await asyncio.shield(self._asking)
        return self.facts

    async def tell(self, command: str, said: dict[str, Any], patience: float) -> bytes:
        """Have the recorder do something; returns its answer as JSON. Raises Refused with its sentence, OSError, TimeoutError."""
        async with asyncio.timeout(patience):
            reader, writer = await self._connect()
            try:
                return await _ask(reader, writer, {"command": command, **said})
            finally:
                writer.close()

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                if self._streams is None:
                    self._streams = await self._connect()
                text = await _ask(*self._streams, {"command": "facts"})
            self.facts = msgspec.json.decode(text, type=Facts)
            self.text = text
            self.error = ""
        except TimeoutError:
            self._forget(f"the recorder has not answered for {PATIENCE:.0f} s")
        except (OSError, Refused, EOFError, ValueError, ConfigError) as error:
            words = str(error) if isinstance(error, Refused) else "no recorder can be asked"
            self._forget("the recorder is of another version" if isinstance(error, msgspec.MsgspecError) else words)
        finally:
            self._tried = time.monotonic()
            self._asking = None

    def _forget(self, error: str) -> None:
        self.error = error
        if self._streams is not None:
            with suppress(OSError, RuntimeError):
                self._streams[1].transport.abort()
            self._streams = None

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        with address(self._directory) as path:
            return await asyncio.open_unix_connection(path, limit=LONGEST)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: dict[str, Any]) -> bytes:
    writer.write(msgspec.json.encode(said) + b"\n")
    await writer.drain()
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer = msgspec.json.decode(line, type=_DoorAnswer)
    if not answer.ok:
        raise Refused(answer.error)
    return bytes(answer.result)
