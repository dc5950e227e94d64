"""Containers of the image, as tests run them."""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.images import podman

HARDENED = (
    *("--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges"),
    *("--memory=512m", "--pids-limit=64", "--stop-timeout=45"),
)


class Box:
    """A container."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, check: bool = True) -> str:
        """What a command in it says."""
        return podman("exec", self.name, *command, check=check).stdout

    def code(self, *command: str) -> int:
        """The exit code of a command in it."""
        return podman("exec", self.name, *command, check=False).returncode

    def log(self) -> str:
        done = podman("logs", self.name)
        return done.stdout + done.stderr

    def told(self, what: str) -> str:
        """A field of what podman knows of it."""
        return podman("inspect", "--format", f"{{{{{what}}}}}", self.name).stdout.strip()

    def children(self) -> list[int]:
        """The processes of this machine that its first process started."""
        first = self.told(".State.Pid")
        return [int(pid) for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split()]

    def stop(self) -> int:
        """Tell it to stop; its exit code, 137 if it had to be killed after 45 seconds."""
        podman("stop", "--time=45", self.name)
        return int(self.told(".State.ExitCode"))


@contextmanager
def box(image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[Box]:
    """A container that runs; removed on the way out."""
    name = f"xtrader-test-{uuid.uuid4().hex[:12]}"
    try:
        podman("run", "--detach", f"--name={name}", "--no-healthcheck", *options, image, *command)
        yield Box(name)
    finally:
        podman("rm", "--force", "--time=0", "--volumes", name, check=False)


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def limits(pid: int) -> tuple[int, int]:
    """The memory and the processes that a process' group may have, by whichever version of control groups there is."""
    found = []
    for controller, name, older in (("memory", "memory.max", "memory.limit_in_bytes"), ("pids", "pids.max", "pids.max")):
        groups = dict(line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
        if controller in groups:
            found.append(Path(f"/sys/fs/cgroup/{controller}{groups[controller]}", older))
        else:
            found.append(Path(f"/sys/fs/cgroup{groups['']}", name))
    memory, processes = (int(path.read_text()) for path in found)
    return memory, processes


def variables(given: dict[str, str]) -> list[str]:
    """Options that give a container variables."""
    return [f"--env={name}={value}" for name, value in given.items()]


def events(log: str, event: str) -> int:
    """How often something is in a log."""
    return len(re.findall(rf'"event":"{event}"', log))


def run_once(image: str, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A container that runs one command and is gone."""
    return podman("run", "--rm", "--no-healthcheck", *options, image, *command, check=False)
