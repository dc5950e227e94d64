"""`xtrader doctor` as its users run it: a line for each thing, an exit code, no secret."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import objectstore
from tests.cli.process import xtrader
from tests.doctor.time_server import time_server
from tests.objectstore import KEYS, Refusal, Store, free_port
from tests.running import in_sync, recorder
from tests.waiting import until
from xtrader.emulator.server import Emulator
from xtrader.ops.ask import Asking, NobodyThere
from xtrader.ops.health import is_ready

CANARY = "canary-0815-canary-0815"
LIST = "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT"


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    yield from objectstore.server()


def doctor(directory: Path, variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return xtrader(directory, "doctor", "--ntp", "off", *arguments, environ={"XTRADER_MIN_FREE_BYTES": "1MiB", **variables})


def findings(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_where_all_is_well_it_says_so_and_ends_with_0(tmp_path: Path) -> None:
    async def main() -> subprocess.CompletedProcess[str]:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=20) as emulator:
            secret = {"XTRADER_HTTP_TOKEN": CANARY, "SUBSCRIPTIONS": LIST}
            return await asyncio.to_thread(doctor, tmp_path, {**emulator.variables, **secret})

    done = asyncio.run(main())
    assert (done.returncode, done.stderr) == (0, "")
    for line in done.stdout.splitlines()[:-2]:
        assert line.startswith(("ok       ", "warning  ", "           -> ")), line
    assert done.stdout.splitlines()[-1].split(":")[1].startswith(" 0 wrong")
    for words in ("venue OKX_SWAP: answers", f"subscription {LIST.split(',')[0]}: is BTC-USDT-SWAP", "recorder: none runs here"):
        assert words in done.stdout
    assert CANARY not in done.stdout
    assert not (tmp_path / "data").exists()


def test_where_something_is_wrong_it_ends_with_1_and_goes_on_with_the_rest(tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    variables = {"XTRADER_OKX_SWAP_WS_URL": dead.replace("http", "ws"), "XTRADER_OKX_SWAP_REST_URL": dead, "SUBSCRIPTIONS": LIST}
    sinks = {"XTRADER_SINK": "questdb,parquet", "QUESTDB_HTTP_PORT": str(free_port()), "QUESTDB_ILP_PORT": str(free_port())}
    done = doctor(tmp_path, {**variables, **sinks, "QUESTDB_PASSWORD": CANARY, "QUESTDB_USERNAME": "admin"}, "--json")
    wrong = [one for one in findings(done) if one["level"] == "wrong"]
    assert done.returncode == 1
    assert [one["about"].split(":")[0] for one in wrong] == ["sink questdb 127.0.0.1", "network 127.0.0.1", "venue OKX_SWAP"]
    assert all(one["remedy"] for one in wrong)
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--subscriptions", "L2:OKX_SWOP@BTCUSDT"], "OKX_SWAP"),
        (["--sink", "parket"], "did you mean parquet?"),
        (["--output-directory", ""], "is not the name of a directory"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_input_that_cannot_be_used_is_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = doctor(tmp_path, {}, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_running_recorder_is_asked_and_one_that_hangs_is_wrong(tmp_path: Path) -> None:
    journal = tmp_path / "data" / ".journal"

    def ready() -> bool:
        try:
            with Asking(journal) as asking:
                facts = asking.facts()
                return is_ready(facts, facts.ts)
        except NobodyThere:
            return False

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=50) as emulator:
            variables = {**emulator.variables, "SUBSCRIPTIONS": LIST}
            async with recorder(tmp_path, LIST, variables) as process:
                await in_sync(tmp_path)
                await until(ready)
                found = findings(await asyncio.to_thread(doctor, tmp_path, variables, "--json"))
                assert {
                    "level": "ok",
                    "about": "recorder",
                    "words": "is ready: 2 of 2 subscriptions are live",
                    "remedy": "",
                } in found
                assert [one["words"] for one in found if "journal directory" not in one["about"] and one["level"] == "wrong"] == []
                process.send_signal(signal.SIGSTOP)
                found = findings(await asyncio.to_thread(doctor, tmp_path, variables, "--json"))
                (hung,) = [one for one in found if one["about"] == "recorder"]
                assert (hung["level"], "has not answered for 5 s" in hung["words"]) == ("wrong", True)
                process.send_signal(signal.SIGKILL)
                await process.wait()
                found = findings(await asyncio.to_thread(doctor, tmp_path, variables, "--json"))
                (gone,) = [one for one in found if one["about"] == "recorder"]
                assert (gone["level"], "the last one left its door behind" in gone["words"]) == ("ok", True)
                assert any("are not in the sink parquet" in one["words"] or "nothing of it" in one["words"] for one in found)

    asyncio.run(main())


def test_an_object_store_is_tried_by_an_object(tmp_path: Path, store: Store) -> None:
    bucket = store.make_bucket("examined")
    variables = {**KEYS, "AWS_ENDPOINT_URL": store.url, "XTRADER_UPLOAD_URL": f"s3://{bucket}/prefix"}
    for _ in range(2):
        found = findings(doctor(tmp_path, variables, "--json"))
        (one,) = [one for one in found if one["about"].startswith("object store")]
        assert (one["level"], one["words"]) == ("ok", "an object can be put, and read again")
    assert dict(store.versions(bucket)) == {"prefix/_xtrader-doctor": 1}
    done = doctor(tmp_path, {**variables, "XTRADER_UPLOAD_URL": "s3://no-such-bucket/x"}, "--json")
    (one,) = [one for one in findings(done) if one["about"].startswith("object store")]
    assert (one["level"], "NoSuchBucket" in one["words"]) == ("wrong", True)
    refusing = Refusal()
    try:
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in KEYS.items()))
        os.chmod(tmp_path / ".env", 0o600)
        done = doctor(tmp_path, {"AWS_ENDPOINT_URL": refusing.url, "XTRADER_UPLOAD_URL": "s3://mine/x"}, "--json")
    finally:
        refusing.shutdown()
    (one,) = [one for one in findings(done) if one["about"].startswith("object store")]
    assert (one["level"], "AccessDenied: no" in one["words"]) == ("wrong", True)
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr


def test_a_time_server_may_be_named(tmp_path: Path) -> None:
    with time_server(-500.0) as port:
        done = xtrader(tmp_path, "doctor", "--ntp", f"127.0.0.1:{port}")
    assert done.returncode == 1
    found = re.search(rf"wrong    clock: (\d+\.\d+) s ahead of the time server 127.0.0.1:{port}", done.stdout)
    assert found is not None, done.stdout
    assert abs(float(found[1]) - 500) < 1
