"""The image as it is published: pushed to a registry, signed, pulled again by its digest, and with a list of what is in it."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.deploy import images, tools
from tests.deploy.images import podman
from tests.objectstore import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(900)
TREE = Path(__file__).parents[2]
NO_LOG = ("--allow-insecure-registry", "--tlog-upload=false")
SETTINGS = (
    "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory}}}}}\nhttp: {{addr: {address}}}\nlog: {{level: error}}\n"
)


@contextmanager
def registry(directory: Path) -> Iterator[str]:
    """A registry on loopback that keeps what it is given in `directory`; its address."""
    address = f"127.0.0.1:{free_port()}"
    settings = directory / "registry.yml"
    settings.write_text(SETTINGS.format(directory=directory / "registry", address=address))
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen([tools.found("docker-registry"), "serve", settings], stdout=log, stderr=log)
    try:

        def answers() -> bool:
            assert process.poll() is None, (directory / "registry.log").read_text()
            try:
                with build_opener(ProxyHandler({})).open(f"http://{address}/v2/", timeout=5) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_until(answers)
        yield address
    finally:
        process.kill()
        process.wait()


def cosign(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run cosign with an empty password, its keys in `directory`."""
    environment = tools.environment() | {"COSIGN_PASSWORD": "", "HOME": str(directory)}
    command = [tools.found("cosign"), *words]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def pushed(name: str, directory: Path) -> str:
    """Push an image; its name by digest."""
    digest = directory / "digest"
    podman("push", "--quiet", "--tls-verify=false", f"--digestfile={digest}", name, timeout=600)
    return f"{name.rpartition(':')[0]}@{digest.read_text().strip()}"


def test_the_image_is_pushed_and_signed_and_what_is_pulled_by_its_digest_is_the_same_and_runs(image: str, tmp_path: Path) -> None:
    tools.needed("docker-registry", "cosign")
    with registry(tmp_path) as address:
        tag = f"{address}/xtrader:1.0.0"
        podman("tag", image, tag)
        try:
            by_digest = pushed(tag, tmp_path)
        finally:
            podman("untag", image, tag)
        assert cosign(tmp_path, "generate-key-pair").returncode == 0
        signing = cosign(tmp_path, "sign", "--yes", "--key=cosign.key", *NO_LOG, by_digest)
        assert signing.returncode == 0, signing.stderr
        verify = ("verify", "--key=cosign.pub", "--allow-insecure-registry", "--insecure-ignore-tlog=true")
        verified = cosign(tmp_path, *verify, by_digest)
        assert verified.returncode == 0, verified.stderr
        (statement,) = json.loads(verified.stdout)
        assert statement["critical"]["image"]["docker-manifest-digest"] == by_digest.partition("@")[2]

        # Another image by the same name: its digest is another one, and nobody signed that.
        changed = images.relabelled(image, tag)
        try:
            other = pushed(changed, tmp_path)
        finally:
            podman("rmi", changed)
        assert other != by_digest
        refused = cosign(tmp_path, *verify, other)
        assert (refused.returncode != 0, "no signatures found" in refused.stderr) == (True, True), refused.stderr

        # Into a store that has nothing yet, as on another machine.
        with tempfile.TemporaryDirectory() as run:  # of a short name, which podman wants
            elsewhere = (f"--root={tmp_path}/graph", f"--runroot={run}")
            podman(*elsewhere, "pull", "--quiet", "--tls-verify=false", by_digest, timeout=600)
            (pulled,) = json.loads(podman(*elsewhere, "image", "inspect", by_digest).stdout)
            assert pulled["Id"] == json.loads(podman("image", "inspect", image).stdout)[0]["Id"]
            said = podman(*elsewhere, "run", "--rm", "--no-healthcheck", "--read-only", "--cap-drop=all", by_digest, "--version")
            assert re.fullmatch(r"xtrader \d+\.\d+\.\d+\n", said.stdout)
            podman(*elsewhere, "rmi", "--all", "--force")


def test_the_bill_of_materials_names_every_package_that_is_installed_with_its_version(image: str, tmp_path: Path) -> None:
    tools.needed("syft")
    archive = tmp_path / "image.tar"
    podman("save", "--quiet", "--format=docker-archive", f"--output={archive}", image, timeout=600)
    found = json.loads(tools.run("syft", f"docker-archive:{archive}", "--quiet", "--output=cyclonedx-json"))
    assert found["bomFormat"] == "CycloneDX"
    listed = {(_normal(part["name"]), part["version"]) for part in found["components"] if part["type"] == "library"}
    pins = re.findall(r"^([\w.-]+)==([\w.+-]+)(.*?)\\$", (TREE / "requirements-runtime.lock").read_text(), re.MULTILINE)
    wanted = {(_normal(name), version) for name, version, marks in pins if ";" not in marks}
    assert len(wanted) > 20
    assert wanted - listed == set()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
