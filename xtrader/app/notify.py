"""What the recorder tells the service manager that started it (systemd's sd_notify): that it is ready, alive, and how it is.

The rule: it is alive while its event loop turns and its journal is written, whatever the venues do. Saying so never waits, and what
cannot be said is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

READY_WITHIN: Final = 60.0
"""Seconds after which a recorder that writes its journal counts as started, though not every subscription is live: to end it
because a venue is away would stop the recording of the others."""
PERIOD: Final = 0.5
"""Seconds between two looks."""
HANGS: Final = 10.0
"""Seconds without writing after which the journal is not written, where the manager names no time of its own."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A recorder at one moment: how many of its subscriptions are live, for how many seconds its journal was not written (None: it
    cannot be told yet), and whether it finishes its files."""

    live: int
    total: int
    silence: float | None
    is_ending: bool


class Manager:
    """The socket at `address` (a path, or @name in Linux's abstract name space) that hears datagrams. `watchdog` is within how
    many seconds it wants a sign of life, None if it wants none."""

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def say(self, *lines: str) -> bool:
        """Send NAME=value lines at once; whether they were taken."""
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except (OSError, ValueError):
            return False
        return True

    def close(self) -> None:
        self._socket.close()


async def keep_told(manager: Manager, look: Callable[[], Progress], ready_within: float = READY_WITHIN) -> None:
    """Tell the manager how it is, from now on until cancelled.

    READY=1 once: when every subscription is live for the first time, or `ready_within` seconds after the journal is first written.
    WATCHDOG=1 several times within the manager's time, while the journal is written, and while the files are finished. STATUS= a
    line, when it changes. STOPPING=1 once, at the latest when cancelled.
    """
    loop = asyncio.get_running_loop()
    period = min(PERIOD, (manager.watchdog or PERIOD) / 4)
    beat = manager.watchdog / 4 if manager.watchdog else None
    is_ready = is_stopping = False
    began: float | None = None
    beaten = 0.0
    told = ""
    try:
        while True:
            now, found = loop.time(), look()
            writes = found.silence is not None and found.silence < (manager.watchdog or HANGS)
            if writes and began is None:
                began = now
            if found.is_ending and not is_stopping:
                is_stopping = manager.say("STOPPING=1")
            if not (is_ready or found.is_ending) and began is not None and writes:
                is_live = 0 < found.total <= found.live
                is_ready = (is_live or now - began >= ready_within) and manager.say("READY=1")
            if beat is not None and now - beaten >= beat and (writes or found.is_ending) and manager.say("WATCHDOG=1"):
                beaten = now
            status = _status(found, writes)
            if status != told and manager.say(f"STATUS={status}"):
                told = status
            await asyncio.sleep(period)
    finally:
        # A stop may be over before the next look.
        if not is_stopping:
            manager.say("STOPPING=1")


@contextlib.asynccontextmanager
async def telling(where: tuple[str, float | None] | None, look: Callable[[], Progress]) -> AsyncIterator[None]:
    """`keep_told` beside what is done within. `where` is the address of a Manager and its watchdog, None if there is none."""
    if where is None:
        yield
        return
    manager = Manager(*where)
    task = asyncio.create_task(keep_told(manager, look))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        manager.close()


def _status(found: Progress, writes: bool) -> str:
    """One line about it, for people."""
    if found.is_ending:
        return "finishing files"
    if found.silence is None:
        return "starting"
    if not writes:
        return "the journal is not written"
    if found.total and found.live >= found.total:
        return f"recording, all {found.total} subscriptions in sync"
    return f"recording, {found.live} of {found.total} subscriptions in sync" if found.total else "looking up instruments"
