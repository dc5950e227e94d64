"""What a running recorder serves by HTTP, with everything that serves it killed, stopped, crowded and misused."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import string
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.needs import small_file_system
from tests.ops.served import answers, ask, served, server_of, variables
from tests.pipeline.loops import in_loop
from tests.running import in_sync, log_of, recorder, stop
from tests.waiting import until
from xtrader.emulator.server import Emulator
from xtrader.errors import ConfigError
from xtrader.ops.http.day import closed_rows
from xtrader.settings.load import load

LIST = "L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP"
TOKEN = "canary-of-a-token-0123456789"
SEED = int(os.environ.get("XTRADER_SEED", "1"))
FUZZED = int(os.environ.get("XTRADER_FUZZED", "1500"))
"""Requests; the long form is 100,000."""


@in_loop
async def test_a_recorder_is_alive_and_ready_and_tells_all_facts(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
        async with recorder(tmp_path, LIST, {**emulator.variables, **variables()}) as process:
            url = await served(tmp_path)
            await in_sync(tmp_path)
            ready = (await answers(f"{url}/ready", lambda one: one.status == 200)).value
            assert ready["status"] == "ready"
            assert ready["subscriptions"] == {"live": 2, "wanted": 2}
            for path in ("/health", "/api/health"):
                alive = await ask(f"{url}{path}")
                assert (alive.status, alive.value["status"], alive.value["reasons"]) == (200, "alive", [])
            late = await ask(f"{url}/ready?grace=3600")
            assert (late.status, late.value["status"]) == (503, "ready for too short a time")
            assert (await answers(f"{url}/ready?grace=1", lambda one: one.status == 200)).value["seconds"] >= 1
            for wrong in ("nan", "-1", "soon", "inf"):
                assert (await ask(f"{url}/ready?grace={wrong}")).status == 400
            status = (await ask(f"{url}/status")).value
            assert {one["name"] for one in status["facts"]["subscriptions"]} == set(LIST.split(","))
            assert [one["name"] for one in status["facts"]["processes"]] == ["recorder", "sink parquet", "http"]
            assert status["alive"]
            assert status["ready"]
            alive = await ask(f"{url}/health")
            assert alive.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert alive.headers["X-Content-Type-Options"] == "nosniff"
            assert "Access-Control-Allow-Origin" not in alive.headers
            assert alive.headers["Server"] == "xtrader"
            first, *_, last = await events(f"{url}/live?book=OKX_SWAP@BTC-USDT-SWAP", 8)
            assert last["state"] == "live"
            assert last["bids"][0][0] < last["asks"][0][0]
            assert last["trades"]
            assert last["ts"] > first["ts"]
            for key in ("OKX_SWAP@NOTHING", "", "../x"):
                assert (await ask(f"{url}/live?book={key}")).status == 404
            day = await answers(f"{url}/day.json", lambda one: one.status == 200 and len(one.value["strips"]) == 2)
            strips = day.value["strips"]
            assert {name: strip.strip(".")[-1] for name, strip in strips.items()} == dict.fromkeys(LIST.split(","), "l")
            assert len((await ask(f"{url}/hour.json")).value["ts"]) >= 1
            assert await stop(process) == 0
        assert (await ask(f"{url}/health")).status == 0
    filed = closed_rows(tmp_path / "data", time.time_ns())
    assert {name for name, state, _, _ in filed if state == "live"} == set(LIST.split(","))


async def events(url: str, count: int) -> list[dict[str, Any]]:
    """The first server-sent events."""

    def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with urllib.request.urlopen(url, timeout=60) as answer:
            while len(found) < count:
                line = answer.readline()
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:]))
        return found

    return await asyncio.to_thread(read)


@in_loop
async def test_whatever_happens_to_the_process_that_serves_it_is_back_and_nothing_is_lost(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
        async with recorder(tmp_path, LIST, {**emulator.variables, **variables()}) as process:
            url = await served(tmp_path)
            await in_sync(tmp_path)
            for number in (signal.SIGKILL, signal.SIGSTOP):
                first = server_of(process)
                first.send_signal(number)
                assert (await ask(f"{url}/health")).status == 200
                assert server_of(process).pid != first.pid
            assert "child_hangs" in log_of(tmp_path)
            # A recorder that is killed takes it with it, even one that is stopped, and leaves the address to the next.
            await until(lambda: server_of(process).status() != "stopped")
            last = server_of(process)
            last.send_signal(signal.SIGSTOP)
            process.kill()
            await until(lambda: not last.is_running() or last.status() == "zombie")
            assert log_of(tmp_path).count('"in_sync"') == 1
        assert '"gap"' not in log_of(tmp_path)


@in_loop
async def test_a_recorder_that_hangs_is_not_alive_and_one_that_goes_on_is(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
        async with recorder(tmp_path, LIST, {**emulator.variables, **variables()}) as process:
            url = await served(tmp_path)
            process.send_signal(signal.SIGSTOP)
            hung = await answers(f"{url}/health", lambda one: one.status == 503)
            assert "its facts are" in " ".join(hung.value["reasons"])
            assert hung.value["facts_age_seconds"] < 10
            assert (await ask(f"{url}/ready")).status == 503
            process.send_signal(signal.SIGCONT)
            await answers(f"{url}/health", lambda one: one.status == 200)


@in_loop
async def test_with_workers_one_process_serves_for_all_and_a_worker_that_hangs_counts(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP", "BINANCE_FUTURES"], instruments=1, rate=50) as emulator:
        given = {**emulator.variables, **variables(XTRADER_WORKERS="2")}
        async with recorder(tmp_path, f"{LIST},L2:BINANCE_FUTURES@BTCUSDT", given) as process:
            url = await served(tmp_path)
            ready = await answers(f"{url}/ready", lambda one: one.status == 200)
            assert ready.value["subscriptions"] == {"live": 3, "wanted": 3}
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
            worker = next(pid for pid, command in commands.items() if "_worker" in command)
            os.kill(worker, signal.SIGSTOP)
            assert (await answers(f"{url}/health", lambda one: one.status == 503)).value["status"] == "not alive"
            os.kill(worker, signal.SIGCONT)
            await answers(f"{url}/health", lambda one: one.status == 200)
            assert await stop(process) == 0


@in_loop
async def test_with_a_full_disk_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small", "64m") as small:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
            given = {**emulator.variables, **variables(XTRADER_MIN_FREE_BYTES="24MiB")}
            async with recorder(small, LIST, given):
                url = await served(small)
                await answers(f"{url}/ready", lambda one: one.status == 200)
                (small / "ballast").write_bytes(bytes(48 * 2**20))
                full = await answers(f"{url}/ready", lambda one: one.status == 503 and "paused" in one.text)
                assert "journal" in {one["subject"] for one in full.value["wrong"]}
                for _ in range(4):
                    await asyncio.sleep(2)
                    assert (await ask(f"{url}/health")).status == 200
                (small / "ballast").unlink()
                await answers(f"{url}/ready", lambda one: one.status == 200)


@in_loop
async def test_a_port_that_is_taken_is_an_error_only_where_the_user_named_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        name = f"127.0.0.1:{other.getsockname()[1]}"
        async with recorder(tmp_path, LIST, {"XTRADER_HTTP": name}) as process:
            assert await process.wait() == 2
    assert f"XTRADER_HTTP {name} cannot be listened at: another program has that port" in log_of(tmp_path)
    assert "Traceback" not in log_of(tmp_path)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 9090))
            other.listen()
        except OSError:
            pass  # Somebody has it already, which does as well.
        (tmp_path / "log").unlink()
        async with Emulator(["OKX_SWAP"], instruments=1, rate=50) as emulator:
            async with recorder(tmp_path, LIST, {**emulator.variables, "XTRADER_HTTP": ""}) as process:
                url = await served(tmp_path)
                assert not url.endswith(":9090")
                assert '"event":"http_port"' in log_of(tmp_path)
                assert await stop(process) == 0


@pytest.mark.timeout(300 + FUZZED // 10)
@in_loop
async def test_only_who_has_the_token_tells_it_something_and_no_page_of_another_host_reaches_it(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=50) as emulator:
        given = {**emulator.variables, **variables(XTRADER_HTTP_TOKEN=TOKEN, XTRADER_HTTP_HOSTS="recorder.example")}
        async with recorder(tmp_path, LIST, given) as process:
            url = await served(tmp_path)
            stopped = f"{url}/control/stop"
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": "Bearer \xff"}):
                refused = await ask(stopped, "POST", b"", **headers)
                assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert (await ask(stopped)).status == 405
            key = {"Authorization": f"Bearer {TOKEN}"}
            assert (await ask(f"{url}/control/sing", "POST", b"", **key)).status == 404
            for body in (b"[]", b'{"subscription": 1}', b"{}", b'{"subscription":"a","more":"b"}', b"\xff", b"[" * 3000):
                assert (await ask(f"{url}/control/resync", "POST", body, **key)).status == 400
            assert (await ask(f"{url}/control/resync", "POST", bytes(5000), **key)).status == 413
            missing = await ask(f"{url}/control/resync", "POST", b'{"subscription": "L2:OKX_SWAP@NOTHING"}', **key)
            assert missing.status == 422
            port = url.rpartition(":")[2]
            for host in ("localhost", "127.0.0.1", "[::1]", "recorder.example", "RECORDER.example:80"):
                assert (await ask(f"{url}/health", Host=host)).status == 200
            for host in ("evil.example", f"evil.example:{port}", "recorder.example.evil", "127.0.0.1.evil", "", "[::1", "a:b:c"):
                assert (await ask(f"{url}/health", Host=host)).status == 403
            assert process.returncode is None
            assert (await fuzz(url, FUZZED)) == []
            assert (await ask(f"{url}/health")).status == 200
            assert TOKEN not in (await ask(f"{url}/status")).text
            assert (await ask(stopped, "POST", b"", **key)).status in (200, 422)
            if process.returncode is None:
                await stop(process)
        assert TOKEN not in log_of(tmp_path)


@in_loop
async def test_without_a_token_nothing_can_be_told(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=50) as emulator:
        async with recorder(tmp_path, LIST, {**emulator.variables, **variables()}) as process:
            url = await served(tmp_path)
            for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
                assert (await ask(f"{url}/control/stop", "POST", b"", **headers)).status == 401
            assert process.returncode is None


@in_loop
async def test_slow_clients_are_cut_and_hold_up_nobody(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=50) as emulator:
        async with recorder(tmp_path, LIST, {**emulator.variables, **variables()}) as process:
            url = await served(tmp_path)
            port = int(url.rpartition(":")[2])
            slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
            for number, one in enumerate(slow):
                one.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n"[: number % 40])
            assert (await ask(f"{url}/health")).status == 200
            await asyncio.gather(*(asyncio.to_thread(_ended, one) for one in slow[:8]))
            for one in slow:
                one.close()
            assert (await ask(f"{url}/health")).status == 200
            assert await stop(process) == 0


def _ended(one: socket.socket) -> None:
    """Wait until the other side has ended it."""
    one.settimeout(60)
    try:
        while one.recv(65536):
            pass
    except ConnectionResetError:
        pass


WORDS = ["/health", "/ready", "/status", "/metrics", "/", "/control/stop", "/control/resync", "/live", "/page.json", "/history"]


def _mangled(chance: random.Random) -> bytes:
    """A request, most of them wrong somewhere."""
    path = chance.choice([*WORDS, "/../../etc/passwd", "/%2e%2e/%00", "/" + "a" * 9000, "*", "http://evil/", "/%ff", "//"])
    query = "".join(chance.choices(string.printable.replace("\r", "").replace("\n", "").replace(" ", ""), k=chance.randrange(30)))
    body = chance.randbytes(chance.choice([0, 0, 3, 100, 6000]))
    length = b"%d" % len(body)
    headers = [
        b"Host: " + chance.choice([*[b"localhost"] * 3, b"evil", b"", b"\xff\xfe"]),
        b"Content-Length: " + chance.choice([length, length, b"-1", b"1e9", b"9" * 20]),
        chance.choice([b"Authorization: Bearer " + chance.randbytes(8).hex().encode(), b"X: " + b"y" * 9000, b"Cookie: \x00"]),
        chance.choice([b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Upgrade: websocket", b"A b: c", b"B: c"]),
    ]
    method = chance.choice([b"GET", b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"TRACE", b"BREW", b"\x00"])
    chance.shuffle(headers)
    target = path + (f"?{query}" if chance.random() < 0.6 else "")
    lines = [method + b" " + target.encode() + b" HTTP/1.1", *headers[: chance.randrange(2, 5)], b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def fuzz(url: str, count: int) -> list[str]:
    """Send mangled requests; what was wrong about the answers."""
    port = int(url.rpartition(":")[2])
    found: list[str] = []
    chance = random.Random(SEED)
    crowd = asyncio.Semaphore(16)

    async def one(request: bytes) -> None:
        async with crowd:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                writer.write_eof()
                async with asyncio.timeout(60):
                    answer = await reader.read(1 << 16)
                if answer.startswith(b"HTTP/1.1 500") or b"Traceback" in answer or TOKEN.encode() in answer:
                    found.append(f"{request[:300]!r} -> {answer[:300]!r}")
            except (ConnectionError, TimeoutError):
                pass
            finally:
                writer.transport.abort()

    await asyncio.gather(*(one(_mangled(chance)) for _ in range(count)))
    return found


@pytest.mark.parametrize("text", ["nowhere", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "[::1:9090", "::1:9090", "a b:1"])
def test_what_is_no_address_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match=r"XTRADER_HTTP '.*' is neither off nor an address such as"):
        load({"subscriptions": "x"}, {"XTRADER_HTTP": text}, None)
