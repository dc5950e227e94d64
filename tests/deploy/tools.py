"""The programs of the platforms: those of `make deploytools` first, then what the machine has."""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.needs import missing

ROOT = Path(__file__).parents[2]
OWN = ROOT / ".venv" / "deploy"
REFERENCE = "registry.example/team/xtrader@sha256:" + "0123456789abcdef" * 4


def environment() -> dict[str, str]:
    """The environment in which those programs are found."""
    path = os.pathsep.join([str(OWN / "bin"), str(ROOT / ".venv" / "bin"), os.environ["PATH"]])
    own = {"PATH": path, "TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1", "HELM_NO_PLUGINS": "1"}
    own["SYFT_CHECK_FOR_APP_UPDATE"] = "false"
    if (OWN / "docker").is_dir():
        own["DOCKER_CONFIG"] = str(OWN / "docker")
    return os.environ | own


def needed(*names: str) -> None:
    """Skip where one of the programs is missing; fail in CI."""
    for name in names:
        if shutil.which(name, path=environment()["PATH"]) is None:
            missing(f"{name} is not installed: make deploytools")


def found(name: str) -> str:
    """Where a program is that must be there."""
    path = shutil.which(name, path=environment()["PATH"])
    assert path is not None, name
    return path


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """What a program prints; it must succeed."""
    command = [found(str(words[0])), *map(str, words[1:])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment(), check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@cache
def systemd() -> ctypes.CDLL:
    """systemd's own code, which reads the environment files of its units."""
    found = sorted(glob.glob("/usr/lib/*/systemd/libsystemd-shared-*.so") + glob.glob("/usr/lib/systemd/libsystemd-shared-*.so"))
    if not found:
        missing("systemd is not installed: apt install systemd")
    return ctypes.CDLL(found[-1])


def compose() -> None:
    """Skip where Docker's client or its plugin is missing; fail in CI."""
    needed("docker")
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, env=environment(), check=False)
    if done.returncode:
        missing("docker compose is not installed: make deploytools")
