"""A running recorder that serves HTTP, and what it answers."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.objectstore import free_port
from tests.running import log_of
from tests.waiting import LIMIT, until


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def value(self) -> Any:
        return json.loads(self.text)


def variables(**other: str) -> dict[str, str]:
    """Those that make a recorder serve at a port of its own."""
    return {"XTRADER_HTTP": f"127.0.0.1:{free_port()}", **other}


def url_of(directory: Path) -> str:
    """Where the recorder whose log is in `directory` serves, by its log."""
    lines = [json.loads(line) for line in log_of(directory).splitlines() if line.startswith("{")]
    return next((line["url"] for line in lines if line["event"] == "http"), "")


def get(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """What is answered; status 0 where nothing is, within 20 seconds."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, method=method, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return Answer(response.status, response.headers, response.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read().decode())
    except OSError:
        return Answer(0, {}, "null")


async def ask(url: str, *arguments: Any, **headers: str) -> Answer:
    return await asyncio.to_thread(get, url, *arguments, **headers)


async def answers(url: str, accepted: Callable[[Answer], bool], limit: float = LIMIT) -> Answer:
    """The first answer that is accepted."""
    found = Answer(0, {}, "null")
    async with asyncio.timeout(limit):
        while not accepted(found):
            found = await ask(url)
            await asyncio.sleep(0.1)
    return found


async def served(directory: Path) -> str:
    """Where it serves, once it does."""
    await until(lambda: url_of(directory))
    url = url_of(directory)
    await answers(f"{url}/health", lambda one: one.status == 200)
    return url


def server_of(process: asyncio.subprocess.Process) -> psutil.Process:
    """The process that serves for a recorder."""
    return next(child for child in psutil.Process(process.pid).children() if "_serve" in child.cmdline())
