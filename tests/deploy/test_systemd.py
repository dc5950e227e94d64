"""The unit under a real systemd, the first process of a container: from its installation to its removal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.deploy.boxes import Box, box
from tests.deploy.images import TREE, podman
from tests.pipeline.loops import in_loop
from tests.waiting import until

pytestmark = pytest.mark.timeout(900)
SOURCE = "/srv/xtrader"
UNIT = "/etc/systemd/system"
CLIENT, SECRET = "emulated-client", "emulated-secret-of-the-emulated-client"


@pytest.fixture(scope="module")
def venue() -> Iterator[str]:
    """Emulated venues; the lines of a settings file that point at them."""
    command = [sys.executable, "-m", "xtrader", "emulate", "OKX_SWAP", "DERIBIT", "--instruments", "1", "--rate", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TREE) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().removeprefix("export ") for _ in range(4)]
            yield "".join(lines) + "XTRADER_MIN_FREE_BYTES=1MiB\n"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def machine(booted_image: str) -> Iterator[Box]:
    """A machine with systemd, and this tree's deployment files."""
    options = ("--systemd=always", "--privileged", "--cgroupns=private", "--pids-limit=1024")
    with box(booted_image, *options) as found:
        wait_for_boot(found)
        found.run("mkdir", "-p", SOURCE)
        podman("cp", str(TREE / "deploy"), f"{found.name}:{SOURCE}/deploy")
        yield found


def wait_for_boot(machine: Box) -> None:
    podman("exec", machine.name, "sh", "-c", "until systemctl is-system-running | grep -qE 'running|degraded'; do sleep 0.3; done")


def put(machine: Box, path: str, text: str, mode: str = "0600") -> None:
    write = f"mkdir -p $(dirname {path}); cat >{path}; chmod {mode} {path}"
    podman("exec", "--interactive", machine.name, "sh", "-c", write, text=text)


def install(machine: Box, name: str, settings: str, drop_in: str = "") -> None:
    """An instance as a user makes one; `drop_in` are lines for its unit."""
    put(machine, f"/srv/{name}.env", settings)
    machine.run(f"{SOURCE}/deploy/systemd/install.sh", name, f"/srv/{name}.env")
    if drop_in:
        put(machine, f"{UNIT}/xtrader@{name}.service.d/test.conf", f"[Service]\n{drop_in}\n", "0644")
        machine.run("systemctl", "daemon-reload")


def told(machine: Box, name: str, what: str) -> str:
    return machine.run("systemctl", "show", "--property", what, "--value", f"xtrader@{name}").strip()


def log(machine: Box, name: str) -> str:
    return machine.run("journalctl", "--no-pager", "--output=cat", f"--unit=xtrader@{name}")


async def until_told(machine: Box, name: str, what: str, value: str) -> None:
    await until(lambda: told(machine, name, what) == value)


@in_loop
async def test_it_starts_confined_tells_that_it_is_ready_and_starts_again_when_it_hangs_or_dies(machine: Box, venue: str) -> None:
    wanted = f'{venue}SUBSCRIPTIONS="L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP"\n'
    install(machine, "a", wanted, "WatchdogSec=5\nRestartSec=1")
    machine.run("systemctl", "start", "xtrader@a")
    assert told(machine, "a", "ActiveState") == "active"
    assert told(machine, "a", "StatusText") == "recording, all 2 subscriptions in sync"

    process = told(machine, "a", "MainPID")
    of_it = dict(line.split(":\t", 1) for line in machine.run("cat", f"/proc/{process}/status").splitlines() if ":\t" in line)
    user = machine.run("id", "--user", "xtrader").strip()
    assert set(of_it["Uid"].split()) == {user}
    assert [of_it[name].strip("0") for name in ("CapEff", "CapPrm", "CapBnd")] == ["", "", ""]
    assert (of_it["NoNewPrivs"], of_it["Seccomp"]) == ("1", "2")
    where = 'for c in memory pids; do d=/sys/fs/cgroup/$c$(sed -n "s/^[0-9]*:$c://p" /proc/$0/cgroup); '
    where += "[ -d $d ] || d=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$0/cgroup); "
    where += "cat $d/$c.max $d/$c.limit_in_bytes 2>/dev/null; done"
    assert machine.run("sh", "-c", where, process, check=False).split() == [str(1 << 30), "128"]
    mounts = machine.run("cat", f"/proc/{process}/mounts")
    assert any(line.split()[1] == "/" and line.split()[3].startswith("ro") for line in mounts.splitlines())

    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=SIGSTOP", "xtrader@a")
    await until_told(machine, "a", "NRestarts", "1")
    await until_told(machine, "a", "ActiveState", "active")
    assert "Watchdog timeout" in log(machine, "a")
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", "xtrader@a")
    await until_told(machine, "a", "NRestarts", "2")
    await until_told(machine, "a", "ActiveState", "active")

    machine.run("systemctl", "stop", "xtrader@a")
    assert (told(machine, "a", "Result"), told(machine, "a", "ExecMainStatus")) == ("success", "0")
    assert '"finished":true' in log(machine, "a")
    proven = podman("exec", machine.name, "/opt/xtrader/bin/xtrader", "verify", "/var/lib/xtrader/a", check=False)
    assert proven.returncode == 1, proven.stdout + proven.stderr


@in_loop
async def test_secrets_arrive_as_credentials_and_the_unit_comes_up_with_the_machine(machine: Box, venue: str) -> None:
    install(machine, "b", f"{venue}SUBSCRIPTIONS=L2:DERIBIT@BTC-PERPETUAL\n", "RestartSec=1")
    secrets = "/etc/xtrader/b.secrets"
    put(machine, f"{secrets}/DERIBIT_CLIENT_ID", CLIENT)
    put(machine, f"{secrets}/DERIBIT_CLIENT_SECRET", "another")
    machine.run("systemctl", "start", "--no-block", "xtrader@b")
    await until(lambda: "DERIBIT_CLIENT_ID" in log(machine, "b"))
    assert "another" not in log(machine, "b")
    put(machine, f"{secrets}/DERIBIT_CLIENT_SECRET", SECRET)
    machine.run("systemctl", "enable", "xtrader@b")
    await until_told(machine, "b", "ActiveState", "active")
    assert SECRET not in log(machine, "b")

    podman("restart", machine.name)
    wait_for_boot(machine)
    await until_told(machine, "b", "ActiveState", "active")
    assert told(machine, "b", "StatusText") == "recording, all 1 subscriptions in sync"


@in_loop
async def test_more_memory_than_the_limit_is_refused(machine: Box, venue: str) -> None:
    install(machine, "c", f"{venue}SUBSCRIPTIONS=L2:OKX_SWAP@BTC-USDT-SWAP\n", "MemoryMax=32M\nRestartSec=1")
    machine.run("systemctl", "start", "--no-block", "xtrader@c")
    await until(lambda: int(told(machine, "c", "NRestarts")) > 0)
    assert "status=9/KILL" in log(machine, "c")
    machine.run("systemctl", "stop", "xtrader@c")


def test_another_version_takes_over_beside_the_old_one_and_one_that_does_not_start_is_undone(machine: Box, venue: str) -> None:
    install(machine, "r", f"{venue}SUBSCRIPTIONS=L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP\n", "RestartSec=1")
    machine.run("systemctl", "enable", "--now", "xtrader@r")
    machine.run("ln", "-s", "/opt/xtrader", "/opt/xtrader-2")
    put(machine, "/opt/xtrader-3/bin/xtrader", "#!/bin/sh\nexit 3\n", "0755")
    roll = ("/opt/xtrader/bin/xtrader", "roll", "r", "--ready", "1", "--within", "60")

    machine.run(*roll, "--to", "2")
    assert states(machine, "r", "r-next") == [("inactive", "disabled"), ("active", "enabled")]
    failed = podman("exec", machine.name, *roll, "--to", "3", check=False)
    assert (failed.returncode, "undone, xtrader@r-next records on" in failed.stderr) == (1, True)
    assert states(machine, "r", "r-next") == [("inactive", "disabled"), ("active", "enabled")]
    machine.run(*roll, "--back")
    assert states(machine, "r", "r-next") == [("active", "enabled"), ("inactive", "disabled")]

    machine.run("systemctl", "stop", "xtrader@r")
    assert len(machine.run("sh", "-c", "ls /var/lib/xtrader/r/_manifest/*.jsonl").split()) == 2
    assert machine.code("/opt/xtrader/bin/xtrader", "compact", "/var/lib/xtrader/r") == 0
    assert machine.code("/opt/xtrader/bin/xtrader", "verify", "/var/lib/xtrader/r") in (0, 1)


def states(machine: Box, *names: str) -> list[tuple[str, str]]:
    """Whether each runs, and whether it starts with the machine."""
    return [(told(machine, name, "ActiveState"), told(machine, name, "UnitFileState")) for name in names]


def test_an_instance_that_is_removed_leaves_its_recording(machine: Box, venue: str) -> None:
    install(machine, "d", f"{venue}SUBSCRIPTIONS=L2:OKX_SWAP@BTC-USDT-SWAP\n")
    machine.run("systemctl", "enable", "--now", "xtrader@d")
    machine.run(f"{SOURCE}/deploy/systemd/uninstall.sh", "d")
    assert told(machine, "d", "ActiveState") == "inactive"
    assert machine.run("ls", "/var/lib/xtrader/d/_manifest") != ""
    assert machine.code("test", "-e", "/etc/xtrader/d.env") == 1
    assert machine.code("test", "-e", "/etc/xtrader/d.env.removed") == 0
    machine.run(f"{SOURCE}/deploy/systemd/install.sh", "d", "/srv/d.env")
    machine.run(f"{SOURCE}/deploy/systemd/uninstall.sh", "--purge", "d")
    assert machine.code("test", "-e", "/var/lib/xtrader/d") == 1


@pytest.mark.parametrize(
    ("script", "arguments", "sentence"),
    [
        ("install.sh", ["Big Name"], "install.sh: 'Big Name' is not a name of a-z, 0-9 and -, such as btc-swaps"),
        ("install.sh", ["e", "/srv/none.env"], "install.sh: there is no file '/srv/none.env'"),
        ("install.sh", [], "install.sh: takes NAME, or NAME and a file with its settings, not 0 arguments"),
        ("uninstall.sh", ["nobody"], "uninstall.sh: there is no instance 'nobody' (/etc/xtrader/nobody.env)"),
    ],
)
def test_what_cannot_be_installed_or_removed_is_refused(machine: Box, script: str, arguments: list[str], sentence: str) -> None:
    done = podman("exec", machine.name, f"{SOURCE}/deploy/systemd/{script}", *arguments, check=False)
    assert (done.returncode, done.stderr.strip()) == (2, sentence)


def test_the_unit_exposes_next_to_nothing(machine: Box) -> None:
    unit = f"{SOURCE}/deploy/systemd/xtrader@.service"
    assert machine.code("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", unit) == 0
    verified = podman("exec", machine.name, "systemd-analyze", "verify", unit, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
