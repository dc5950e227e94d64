"""`docker compose up` of the Compose file, against podman's answer to Docker's API."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import images, tools
from tests.deploy.boxes import Box, events, limits, status
from tests.needs import missing
from tests.pipeline.loops import in_loop
from tests.running import until
from xtrader.emulator.server import Emulator

pytestmark = pytest.mark.timeout(900)
FILES = images.TREE / "deploy" / "compose"
HERE = """
services:
  a:
    network_mode: host    # where the emulated venues are
    ports: !reset []
    healthcheck: {disable: true}    # podman asks systemd to run it
    ulimits: !override {nofile: 4096, nproc: 4096}    # more is not given out here
"""

ROLLED = """
services:
  a:
    image: {image}
    network_mode: host
    healthcheck: {{disable: true}}
    env_file: a.env
    stop_grace_period: 45s
    volumes: ["data-a:/data"]
volumes:
  data-a:
"""


@pytest.fixture
def compose(image: str, tmp_path: Path) -> Iterator[list[str]]:
    """The beginning of a command for a project of its own, in `tmp_path`."""
    plugin = tools.OWN / "docker" / "cli-plugins" / "docker-compose"
    program = str(plugin) if plugin.exists() else shutil.which("docker-compose")
    if program is None:
        missing("docker compose is not installed: make deploytools")
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    shutil.copytree(FILES.parent / "monitoring", tmp_path.parent / "monitoring", dirs_exist_ok=True)
    (tmp_path / "here.yml").write_text(HERE)
    # The name of a socket must be short.
    socket = images.STORE / f"{os.getpid()}.sock"
    service = subprocess.Popen(["podman", "system", "service", "--time=0", f"unix://{socket}"], env=images.environment())
    project = f"xtrader-test-{uuid.uuid4().hex[:8]}"
    command = ["env", f"DOCKER_HOST=unix://{socket}", f"XTRADER_IMAGE={image}", program, "--project-name", project]
    command += ["--file", str(tmp_path / "compose.yml"), "--file", str(tmp_path / "here.yml")]
    try:
        yield command
        subprocess.run([*command, "down", "--volumes", "--timeout=1"], check=True, capture_output=True)
    finally:
        service.terminate()
        service.wait()
        socket.unlink(missing_ok=True)


def run(command: list[str], *arguments: str) -> str:
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@in_loop
async def test_an_instance_records_confined_and_stops_with_its_files_finished(compose: list[str], tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
        settings = {"SUBSCRIPTIONS": '"L2:OKX_SWAP@BTC-USDT-SWAP"', "XTRADER_MIN_FREE_BYTES": "1MiB", **emulator.variables}
        (tmp_path / "a.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        run(compose, "up", "--detach")
        recorder = Box(run(compose, "ps", "--all", "--quiet").strip())
        await until(lambda: events(recorder.log(), "in_sync"))
        (process,) = recorder.children()
        of_it = status(process)
        assert set(of_it["Uid"].split()) == {"10001"}
        assert [of_it[name].strip("0") for name in ("CapEff", "CapBnd")] == ["", ""]
        assert (of_it["NoNewPrivs"], of_it["Seccomp"]) == ("1", "2")
        assert limits(process) == (1 << 30, 128)
        assert recorder.code("touch", "/etc/x") == 1
        assert recorder.code("xtrader", "healthcheck") == 0
        run(compose, "stop")
        assert recorder.told(".State.ExitCode") == "0"
        assert '"finished":true' in recorder.log()


@in_loop
async def test_another_image_takes_over_beside_the_old_one_and_one_that_is_not_there_is_undone(
    compose: list[str], image: str, tmp_path: Path
) -> None:
    async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
        settings = {"SUBSCRIPTIONS": "L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP", "XTRADER_MIN_FREE_BYTES": "1MiB"}
        settings["XTRADER_HTTP"] = "off"  # Both are in the network of this machine.
        (tmp_path / "a.env").write_text("".join(f"{name}={value}\n" for name, value in (settings | emulator.variables).items()))
        (tmp_path / "compose.yml").write_text(ROLLED.format(image=image))
        program = shlex.join(compose[: compose.index("--file")])
        await asyncio.to_thread(run, compose[: compose.index("--file")], "-f", str(tmp_path / "compose.yml"), "up", "--detach")
        both = [
            *compose[: compose.index("--file")],
            "-f",
            str(tmp_path / "compose.yml"),
            "-f",
            str(tmp_path / "xtrader-roll-a.yml"),
        ]
        roll = [sys.executable, "-m", "xtrader", "roll", "a", "--platform", "compose", "--file", str(tmp_path / "compose.yml")]
        roll += ["--compose", program, "--ready", "1", "--within", "60"]

        def running() -> list[str]:
            return run(both, "ps", "--services", "--status", "running").split()

        await asyncio.to_thread(run, roll, "--to", image)
        assert running() == ["a-next"]
        wrong = [*roll, "--to", "localhost/xtrader:none"]
        failed = await asyncio.to_thread(subprocess.run, wrong, capture_output=True, text=True, check=False)
        assert (failed.returncode, "undone, a-next records on" in failed.stderr) == (1, True), failed.stderr
        assert running() == ["a-next"]
        await asyncio.to_thread(run, roll, "--back")
        assert running() == ["a"]
        recorder = Box(run(both, "ps", "--quiet", "a").strip())
        assert len(recorder.run("sh", "-c", "ls /data/_manifest/*.jsonl").split()) == 2
        await asyncio.to_thread(run, both, "down", "--volumes", "--timeout=45")
