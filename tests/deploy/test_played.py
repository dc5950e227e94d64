"""The rendered objects of Kubernetes and the rendered file of Compose, run: they record what the venue published, and drain."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.deploy import boxes, images, platforms, seaweed, tools
from tests.deploy.boxes import Box, events
from tests.deploy.images import podman
from tests.objectstore import KEYS, Store
from tests.pipeline.loops import in_loop
from tests.reading import check_books, check_trades
from tests.waiting import until
from xtrader.cli.main import main
from xtrader.emulator.server import Emulator

pytestmark = pytest.mark.timeout(900)
RUNNER = 10_001
WANTED = "L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP"


def rendered(target: str, image: str, directory: Path, variables: dict[str, str]) -> Path:
    """The files of a platform for the instance `k` with these variables."""
    file = directory / "k.env"
    given = {"SUBSCRIPTIONS": WANTED, "XTRADER_MIN_FREE_BYTES": "1MiB", "XTRADER_HTTP": "off", **variables}
    file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    assert main(["deploy", "render", "--target", target, "--image", image, "--output", str(directory / target), str(file)]) == 0
    return directory / target


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from seaweed.server(tmp_path_factory.mktemp("seaweed"))


def played(directory: Path, places: dict[str, Path]) -> Path:
    """The overlay's objects as podman plays them: it knows no ephemeral volumes and no modes of a Secret's files, so these two
    volumes are directories of this machine."""
    objects = [one for one in platforms.kustomized(directory, "k") if one["kind"] in ("ConfigMap", "Deployment")]
    (workload,) = (one for one in objects if one["kind"] == "Deployment")
    volumes = workload["spec"]["template"]["spec"]["volumes"]
    for volume in volumes:
        if volume["name"] in places:
            volume |= {"hostPath": {"path": str(places[volume["name"]]), "type": "Directory"}}
            volume.pop("ephemeral", None)
            volume.pop("secret", None)
    assert places.keys() < {volume["name"] for volume in volumes}
    file = directory / "played.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return file


def owned(directory: Path, files: dict[str, str]) -> Path:
    """A directory of the recorder's, with files that only it can read."""
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o400)
        os.chown(directory / name, RUNNER, RUNNER)
    os.chown(directory, RUNNER, RUNNER)
    return directory


@in_loop
async def test_the_deployment_records_into_an_object_store_and_drains(image: str, tmp_path: Path, store: Store) -> None:
    tools.needed("kubectl", "catatonit")
    bucket = store.make_bucket("recordings")
    secrets = {name: value for name, value in KEYS.items() if name != "AWS_REGION"}
    places = {"data": owned(tmp_path / "data", {}), "secrets": owned(tmp_path / "secrets", secrets)}
    async with Emulator(["OKX_SWAP"], instruments=1, rate=200, keep_truth=True) as emulator:
        variables = {**emulator.variables, **KEYS, "XTRADER_OUTPUT_DIRECTORY": f"s3://{bucket}/k", "AWS_ENDPOINT_URL": store.url}
        directory = rendered("k8s", image, tmp_path, {**variables, "AWS_ALLOW_HTTP": "true"})
        file = played(directory, places)
        try:
            podman("kube", "play", "--network=host", str(file))
            names = podman("ps", "--format={{.Names}}", "--filter=label=app.kubernetes.io/instance=k").stdout.split()
            box = Box(next(name for name in names if name.endswith("-xtrader")))
            await until(lambda: events(box.log(), "in_sync"), box.log, limit=120)
            assert box.code("xtrader", "healthcheck") == 0
            await until(lambda: box.code("xtrader", "status") == 0, box.log, limit=120)
            of_it = boxes.status(int(box.told(".State.Pid")))
            assert set(of_it["Uid"].split()) == {str(RUNNER)}
            assert (of_it["CapEff"].strip("0"), of_it["NoNewPrivs"], of_it["Seccomp"]) == ("", "1", "2")
            assert box.code("touch", "/etc/x") != 0
            assert box.stop() == 0
        finally:
            podman("kube", "down", str(file), check=False)
    found = store.fetch(bucket, "k", tmp_path / "found")
    assert emulator.truth is not None
    assert check_trades(found, emulator.truth, "OKX_SWAP", "BTC-USDT-SWAP") > 0
    assert check_books(found, emulator.truth, "OKX_SWAP", "BTC-USDT-SWAP") > 0


@contextmanager
def engine(directory: Path) -> Iterator[dict[str, str]]:
    """podman answering as Docker does; the environment in which Docker's client finds it."""
    socket = directory / "podman.sock"
    service = subprocess.Popen(["podman", "system", "service", "--time=0", f"unix://{socket}"], env=images.environment())
    try:
        limit = time.monotonic() + 60
        while not socket.exists() and time.monotonic() < limit:
            time.sleep(0.1)
        yield tools.environment() | {"DOCKER_HOST": f"unix://{socket}"}
    finally:
        service.terminate()
        service.wait()


@in_loop
async def test_the_services_of_compose_record_and_drain(image: str, tmp_path: Path) -> None:
    tools.compose()
    async with Emulator(["OKX_SWAP"], instruments=1, rate=200, keep_truth=True) as emulator:
        directory = rendered("compose", image, tmp_path, emulator.variables)
        # podman's networks and its timers for health checks want more of a machine than tests may.
        beside = directory / "beside.yml"
        beside.write_text("services:\n  xtrader-k:\n    network_mode: host\n    healthcheck:\n      disable: true\n")
        with engine(tmp_path) as environment:

            def compose(*words: str) -> None:
                files = ("-f", str(directory / "compose.yml"), "-f", str(beside))
                command = ["docker", "compose", *files, *words]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr

            try:
                compose("up", "-d", "--pull=never")
                box = Box(podman("ps", "--format={{.Names}}", "--filter=label=com.docker.compose.project=xtrader").stdout.strip())
                await until(lambda: events(box.log(), "in_sync"), box.log, limit=120)
                assert box.code("xtrader", "healthcheck") == 0
                of_it = boxes.status(int(box.told(".State.Pid")))
                assert set(of_it["Uid"].split()) == {str(RUNNER)}
                assert (of_it["CapEff"].strip("0"), of_it["NoNewPrivs"], of_it["Seccomp"]) == ("", "1", "2")
                compose("stop")
                assert box.told(".State.ExitCode") == "0"
                place = podman("volume", "inspect", "--format={{.Mountpoint}}", "xtrader_data-k").stdout.strip()
                shutil.copytree(place, tmp_path / "found", ignore=shutil.ignore_patterns(".*"))
            finally:
                compose("down", "--volumes")
    assert emulator.truth is not None
    assert check_trades(tmp_path / "found", emulator.truth, "OKX_SWAP", "BTC-USDT-SWAP") > 0
