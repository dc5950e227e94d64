"""Waiting for what must come: on a condition, never for a time, and with a limit that only what hangs can reach.

A machine that is loaded makes things late, not wrong: no test judges by a clock how soon something was.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

LIMIT = 120.0
"""Seconds until a wait is given up. Two of them fit into what a test may take (timeout in pyproject.toml)."""
PAUSE = 0.02
"""Seconds between two looks."""

T = TypeVar("T")
Saw = Callable[[], object]
"""What the failure shows of the moment when a wait is given up."""


async def until(condition: Callable[[], T], saw: Saw | None = None, *, limit: float = LIMIT, pause: float = PAUSE) -> T:
    """Wait in an event loop until `condition()` holds; what it gave. After `limit` seconds an AssertionError says what it gave
    last, and what `saw()` shows then."""
    end = time.monotonic() + limit
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(_told(condition, found, saw, limit))
        await asyncio.sleep(pause)
    return found


def wait_until(condition: Callable[[], T], saw: Saw | None = None, *, limit: float = LIMIT, pause: float = PAUSE) -> T:
    """The same without an event loop."""
    end = time.monotonic() + limit
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(_told(condition, found, saw, limit))
        time.sleep(pause)
    return found


async def within(awaitable: Awaitable[T], limit: float = LIMIT) -> T:
    """What `awaitable` gives; TimeoutError if it gives nothing in `limit` seconds."""
    return await asyncio.wait_for(awaitable, limit)


def _told(condition: Callable[[], object], found: object, saw: Saw | None, limit: float) -> str:
    try:
        text = " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        text = repr(condition)
    variables = inspect.getclosurevars(condition).nonlocals if inspect.isfunction(condition) else {}
    seen = f"; it saw {saw()}" if saw is not None else "".join(f"; {name} = {value!r:.300}" for name, value in variables.items())
    return f"not so after {limit:g} s: {text}; last {found!r:.300}{seen}"
