"""Whoever comes to a door: another user, garbage, many, slow ones, silent ones. None of them holds it up."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.needs import missing
from tests.waiting import within
from xtrader.errors import ConfigError
from xtrader.ops import door as doors
from xtrader.ops.ask import Asking, Refused
from xtrader.ops.door import Caller, Door

NOBODY = 65534
LARGE = "x" * (8 << 20)


async def echo(caller: Caller, said: Mapping[str, Any]) -> Any:
    return {"uid": caller.uid, "pid": caller.pid, "name": caller.name}


async def large(caller: Caller, said: Mapping[str, Any]) -> Any:
    return LARGE


async def refuse(caller: Caller, said: Mapping[str, Any]) -> Any:
    raise ConfigError("that is not to be had")


async def fail(caller: Caller, said: Mapping[str, Any]) -> Any:
    raise ZeroDivisionError("a secret of ours")


@asynccontextmanager
async def open_door(directory: Path) -> AsyncIterator[Door]:
    door = Door(directory, {"echo": echo, "large": large, "refuse": refuse, "fail": fail})
    await door.open()
    try:
        yield door
    finally:
        await door.close()


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="door-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def ask(directory: Path, command: str) -> Any:
    with Asking(directory, patience=20) as asking:
        return json.loads(asking.ask(command))


def ask_as_nobody(directory: Path) -> subprocess.CompletedProcess[str]:
    if os.geteuid() != 0:
        missing("another user can only be played by root")
    code = f"""
import os, socket
os.setgid({NOBODY}); os.setuid({NOBODY})
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect({str(directory / "door")!r})
s.sendall(b'{{"command":"echo"}}\\n')
print(s.recv(4096).decode())
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_only_the_owner_comes_in_by_the_mode_of_the_socket_and_by_the_kernels_word(public: Path) -> None:
    async def main() -> None:
        async with open_door(public):
            assert stat.S_IMODE((public / "door").lstat().st_mode) == 0o600
            told = await asyncio.to_thread(ask, public, "echo")
            assert (told["uid"], told["pid"]) == (os.geteuid(), os.getpid())
            assert "PermissionError" in (await asyncio.to_thread(ask_as_nobody, public)).stderr
            (public / "door").chmod(0o666)
            answer = json.loads((await asyncio.to_thread(ask_as_nobody, public)).stdout)
            assert answer == {"ok": False, "error": "this recorder is that of another user"}

    asyncio.run(main())
    assert not (public / "door").exists()


def test_a_path_longer_than_an_address_is_no_hindrance(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 6)
    deep.mkdir(parents=True)

    async def main() -> None:
        async with open_door(deep):
            assert (await asyncio.to_thread(ask, deep, "echo"))["pid"] == os.getpid()

    asyncio.run(main())


def test_the_door_of_a_recorder_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "door"))

    async def main() -> None:
        async with open_door(tmp_path):
            assert (await asyncio.to_thread(ask, tmp_path, "echo"))["pid"] == os.getpid()

    asyncio.run(main())


def test_what_fails_is_said_in_a_sentence_and_what_fails_by_our_fault_says_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_door(tmp_path):
            with pytest.raises(Refused, match="that is not to be had"):
                await asyncio.to_thread(ask, tmp_path, "refuse")
            with pytest.raises(Refused, match="fault of xtrader's own") as caught:
                await asyncio.to_thread(ask, tmp_path, "fail")
            assert "secret" not in str(caught.value)

    asyncio.run(main())


def test_silent_and_slow_guests_are_cut_and_many_are_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "SILENCE", 1.0)
    monkeypatch.setattr(doors, "SLOWNESS", 1.0)

    async def main() -> None:
        async with open_door(tmp_path):
            path = str(tmp_path / "door")
            silent = [await asyncio.open_unix_connection(path) for _ in range(doors.CLIENTS - 1)]
            slow, slow_writer = await asyncio.open_unix_connection(path, limit=1024)
            slow_writer.write(b'{"command":"large"}\n')
            late, _ = await asyncio.open_unix_connection(path)
            assert b"come again" in await within(late.readline())
            for reader, _ in silent:
                assert await within(reader.read()) == b""
            await asyncio.sleep(1.5)
            # It was cut: what is not read yet is less than the answer.
            received = 0
            with suppress(ConnectionError):
                while part := await within(slow.read(1 << 16)):
                    received += len(part)
            assert received < len(LARGE)
            assert (await asyncio.to_thread(ask, tmp_path, "echo"))["pid"] == os.getpid()

    asyncio.run(main())


REQUESTS = st.one_of(
    st.binary(max_size=200).map(lambda text: text.replace(b"\n", b"")),
    st.binary(min_size=5000, max_size=9000).map(lambda text: text.replace(b"\n", b"")),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=4)).map(
        lambda value: json.dumps({"command": value}).encode()
    ),
    st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4).map(lambda value: json.dumps(value).encode()),
    st.integers(1, 1200).map(lambda depth: b"[" * depth + b"]" * depth),
)


def test_garbage_is_answered_by_one_sentence_and_the_next_one_is_heard(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    door = Door(tmp_path, {"echo": echo, "refuse": refuse})
    loop.run_until_complete(door.open())

    async def say(lines: list[bytes]) -> None:
        for line in lines:
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "door"))
            with suppress(ConnectionError):
                writer.write(line + b"\n" + b'{"command":"echo"}\n')
                answer = json.loads(await within(reader.readline()))
                assert answer["ok"] is (line.strip() == b'{"command": "echo"}')
                assert "Traceback" not in answer.get("error", "")
                assert len(answer.get("error", "")) < 300
            writer.close()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "door"))
        writer.write(b'{"command":"echo"}\n')
        assert json.loads(await within(reader.readline()))["ok"]
        writer.close()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(REQUESTS, min_size=1, max_size=5))
    def fuzz(lines: list[bytes]) -> None:
        loop.run_until_complete(say(lines))

    try:
        fuzz()
    finally:
        loop.run_until_complete(door.close())
        loop.close()
