"""Whether the system gives a recorder what it needs: file descriptors, memory, CPU.

The rule: the tightest limit counts, that of the process, of its control group or of any group above it, or of the machine.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from xtrader.diagnosis import Diagnosis, ok, warning, wrong

CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
OWN_GROUPS: Final = Path("/proc/self/cgroup")
MEMORY: Final = 256 << 20
"""Bytes that a recorder takes: measured are 123 MiB (docs/performance.md), and there are pages of files that are being written."""
MEMORY_PER_SUBSCRIPTION: Final = 96 << 10
"""Measured are 179 KiB for an instrument with book and trades."""
DESCRIPTORS: Final = 256
DESCRIPTORS_PER_SUBSCRIPTION: Final = 3
"""Of the process that needs most of them, a sink with its files: measured are 4 an instrument with book and trades."""
UNLIMITED: Final = 1 << 60
"""What is more than this is no limit: control groups write such numbers where there is none."""


def examine_limits(subscriptions: int) -> Iterator[Diagnosis]:
    """The limits for a recorder of so many subscriptions."""
    yield judge_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[1], subscriptions)
    yield judge_memory(free_memory(), subscriptions)
    cores = allowed_cores(CONTROL_GROUPS, OWN_GROUPS)
    if cores is not None and cores < 1:
        yield warning(
            "limits",
            f"the control group allows {cores:.2f} cores",
            "give it a whole core: bursts wait, and receive lag grows, with less",
        )


def judge_descriptors(most: int, subscriptions: int) -> Diagnosis:
    """What it means that a process may have so many files open."""
    needed = DESCRIPTORS + DESCRIPTORS_PER_SUBSCRIPTION * subscriptions
    about = "limits"
    if most == resource.RLIM_INFINITY or most >= needed:
        return ok(about, f"{'any number of' if most == resource.RLIM_INFINITY else most} open files; {needed} are needed at most")
    words = f"at most {most} open files, and {subscriptions} subscriptions may need {needed}"
    return wrong(about, words, f"raise the hard limit: LimitNOFILE={2 * needed} (systemd), ulimits: nofile (Compose), ulimit -Hn")


def judge_memory(free: int | None, subscriptions: int) -> Diagnosis:
    """What it means that so many bytes of memory can be had; None where that is not known."""
    needed = MEMORY + MEMORY_PER_SUBSCRIPTION * subscriptions
    if free is None:
        return ok("limits", f"how much memory there is cannot be told; {needed >> 20} MiB are needed at most")
    words = f"{free >> 20} MiB of memory can be had; {needed >> 20} MiB are needed at most"
    if free < needed // 2:
        return wrong("limits", words, "raise the memory limit of the container or unit, or record less here")
    if free < needed:
        return warning("limits", words, "raise the memory limit of the container or unit, or record less here")
    return ok("limits", words)


def free_memory(groups: Path = CONTROL_GROUPS, own: Path = OWN_GROUPS) -> int | None:
    """Bytes that this process and its children may take yet: of the machine, or of its control group if that has less."""
    found = []
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) << 10)
    for group in group_directories("memory", groups, own):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, now = _number(group / limit), _number(group / used)
            if most is not None and now is not None and most < UNLIMITED:
                found.append(max(most - now + _reclaimable(group), 0))
    return min(found, default=None)


def allowed_cores(groups: Path, own: Path) -> float | None:
    """Cores that this process and its children may use; None where nothing limits them."""
    found = []
    for group in group_directories("cpu", groups, own):
        with suppress(OSError, ValueError):
            quota, period = (group / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))
        quota_us, period_us = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
        if quota_us is not None and period_us and quota_us > 0:
            found.append(quota_us / period_us)
    return min(found, default=None)


def group_directories(controller: str, groups: Path, own: Path) -> list[Path]:
    """The directories of the control groups that this process is in, itself and all above, of either version."""
    found: list[Path] = []
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, names, place = line.split(":", 2)
            if names and controller not in names.split(","):
                continue
            root = groups / names if names else groups
            # In a container the path may be that on the host, and only the root is there.
            here = root / place.lstrip("/")
            here = here if here.is_dir() else root
            found += [one for one in (here, *here.parents) if one.is_relative_to(root)]
    return found


def _reclaimable(group: Path) -> int:
    """Bytes of the page cache that count as used, and are given back when somebody wants them."""
    with suppress(OSError, ValueError):
        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(facts.get("inactive_file", facts.get("total_inactive_file", "0")))
    return 0


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def load() -> Diagnosis:
    """How busy the machine is."""
    cores = len(os.sched_getaffinity(0))
    five = os.getloadavg()[1]
    words = f"{cores} cores, load {five:.1f} over five minutes"
    if five > 2 * cores:
        return warning("machine", words, "find what else runs here (top): a recorder that waits for a core receives late")
    return ok("machine", words)
