"""The image itself, built and run hardened: what it may, what it records, and how it starts again and stops."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.boxes import HARDENED, box, events, limits, run_once, status, variables
from tests.deploy.images import podman
from tests.pipeline.loops import in_loop
from tests.pipeline.parts import read_trades, read_updates
from tests.reading import check_books, check_trades
from tests.sinks.questdb import reading
from tests.sinks.questdb.server import Server
from tests.waiting import until
from xtrader.emulator.server import Emulator

pytestmark = pytest.mark.timeout(900)
RUNNER = 10_001
WANTED = {"SUBSCRIPTIONS": "L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP", "XTRADER_MIN_FREE_BYTES": "1MiB"}
WANTED["XTRADER_HTTP"] = "off"  # on the network of this machine the port may be taken


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory of the recorder's."""
    made = tmp_path / "data"
    made.mkdir()
    os.chown(made, RUNNER, RUNNER)
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "questdb")
    running.start()
    yield running
    running.stop()


@in_loop
async def test_the_hardened_image_records_what_the_venue_published(image: str, data: Path, server: Server) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=200, keep_truth=True) as emulator:
        given = {**WANTED, **emulator.variables, **server.variables(), "XTRADER_SINK": "parquet,questdb"}
        with box(image, *HARDENED, *variables(given), f"--volume={data}:/data") as recorder:
            await until(lambda: events(recorder.log(), "in_sync"))
            (process,) = recorder.children()
            of_it = status(process)
            assert set(of_it["Uid"].split()) == {str(RUNNER)}
            assert [of_it[name].strip("0") for name in ("CapEff", "CapPrm", "CapBnd")] == ["", "", ""]
            assert (of_it["NoNewPrivs"], of_it["Seccomp"]) == ("1", "2")
            assert limits(process) == (512 << 20, 64)
            touch = "for d in / /etc /opt/xtrader /var/tmp /run /data /tmp; do touch $d/x && echo $d; done"
            assert recorder.run("sh", "-c", touch, check=False).split() == ["/data", "/tmp"]
            assert recorder.run("xtrader", "healthcheck").startswith("alive: ")
            assert recorder.stop() == 0
            assert events(recorder.log(), "stopped") == 1
    assert emulator.truth is not None
    assert check_trades(data, emulator.truth, "OKX_SWAP", "BTC-USDT-SWAP") > 0
    assert check_books(data, emulator.truth, "OKX_SWAP", "BTC-USDT-SWAP") > 0
    assert Counter(map(repr, reading.trades(server))) == Counter(map(repr, read_trades(data)))
    assert Counter(map(repr, reading.updates(server))) == Counter(map(repr, read_updates(data)))


@in_loop
async def test_a_killed_recorder_is_started_again_and_loses_only_what_it_declares(image: str, data: Path) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=200) as emulator:
        options = (*HARDENED, "--restart=always", *variables({**WANTED, **emulator.variables}), f"--volume={data}:/data")
        with box(image, *options) as recorder:
            for times in (1, 2):
                await until(lambda: events(recorder.log(), "in_sync") == times)  # noqa: B023
                (process,) = recorder.children()
                os.kill(process, signal.SIGKILL)
            await until(lambda: events(recorder.log(), "in_sync") == 3)
            assert recorder.stop() == 0
    proven = run_once(image, "verify", "/data", "--json", options=(*HARDENED, f"--volume={data}:/data"))
    assert proven.returncode == 1, proven.stdout + proven.stderr


def test_only_data_and_temporary_files_can_be_written_to(image: str) -> None:
    found = run_once(
        image, "/", "-xdev", "-writable", "-not", "-type", "l", options=("--entrypoint=find", "--read-only-tmpfs=false")
    )
    assert sorted(found.stdout.split()) == ["/data", "/tmp"]


def test_the_image_says_how_it_is_run(image: str) -> None:
    (about,) = json.loads(podman("image", "inspect", image).stdout)
    config = about["Config"]
    assert (config["User"], config["StopSignal"], config["Entrypoint"]) == ("10001:10001", "SIGTERM", ["xtrader"])
    assert list(config["Volumes"]) == ["/data"]
    assert about["HealthCheck" if "HealthCheck" in about else "Healthcheck"]["Test"] == ["CMD", "xtrader", "healthcheck"]
    assert config["Labels"]["org.opencontainers.image.title"] == "xtrader"


def test_what_cannot_be_recorded_is_one_sentence_and_exit_code_2(image: str) -> None:
    found = run_once(image, "--subscriptions", "L3:OKX_SWAP@BTCUSDT", options=HARDENED)
    assert (found.returncode, found.stdout) == (2, "")
    assert "L3" in found.stderr
    assert "Traceback" not in found.stderr
