"""What the system says of a process, from /proc, and does for one: where it cannot, nothing is known, and nothing done."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import socket
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

from xtrader.ops.facts import Histogram, ProcessFacts

LIBRARIES = ("aiohttp", "msgspec", "numpy", "pyarrow", "uvloop", "websockets")
"""Those on the way of the data whose versions are told."""
PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG."""


def process_facts(name: str, pid: int, loop: Histogram | None = None) -> ProcessFacts:
    """A process of ours as it is now."""
    directory = Path(f"/proc/{pid}")
    cpu = memory = descriptors = None
    with suppress(OSError, ValueError, IndexError):
        # The name in brackets may hold anything, blanks and brackets too.
        fields = (directory / "stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        memory = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError):
        descriptors = len(os.listdir(directory / "fd"))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if pid == os.getpid() else None
    own = memory_limit() if pid == os.getpid() else None
    return ProcessFacts(name, pid, cpu, memory, descriptors, most, loop, memory_max=own)


@cache
def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes of memory that this process may use with those that share its control group: the least of the group's limits (of
    version 1 or 2) and the machine's memory. None where the system does not say."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        whole = next(line for line in (root / "proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
        found.append(int(whole.split()[1]) * 1024)
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                mount = root / "sys/fs/cgroup" / controllers
                name = "memory.limit_in_bytes" if controllers else "memory.max"
                # Within a container the path may be that of the host, and the limit at the mount's root.
                for group in (mount / path.lstrip("/"), *(mount / path.lstrip("/")).parents):
                    if group.is_relative_to(mount):
                        with suppress(OSError, ValueError):
                            found.append(int((group / name).read_text()))
    return min(found, default=None)


def end_with_parent() -> None:
    """Have this process killed when the one that started it is gone, even while it is stopped and could not see that itself."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)


def host() -> str:
    """This machine's name."""
    return socket.gethostname()


def versions(own: str) -> dict[str, str]:
    """Of the program (`own`), Python, the system and LIBRARIES."""
    found = {"xtrader": own, "python": platform.python_version(), "system": f"{platform.system()} {platform.release()}"}
    for library in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found
