"""What the system says of a process, from /proc: where that is not, nothing is known."""

from __future__ import annotations

import os
import platform
import resource
import socket
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from xtrader.ops.facts import Histogram, ProcessFacts

LIBRARIES = ("aiohttp", "msgspec", "numpy", "pyarrow", "uvloop", "websockets")
"""Those on the way of the data whose versions are told."""


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
    return ProcessFacts(name, pid, cpu, memory, descriptors, most, loop)


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
