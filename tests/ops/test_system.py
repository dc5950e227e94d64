"""What the system says of a process: its limit of memory, from either kind of control group."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xtrader.ops.system import memory_limit, process_facts

TOTAL = "MemTotal:        8000000 kB\nMemFree: 1 kB\n"


def machine(root: Path, groups: str, **limits: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(TOTAL)
    (root / "proc/self/cgroup").write_text(groups)
    for place, limit in limits.items():
        path = root / "sys/fs/cgroup" / place.replace("__", "/").replace("_in_bytes", ".limit_in_bytes").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(limit)
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "found"),
    [
        ("0::/\n", {}, 8_192_000_000),
        ("0::/a/b\n", {"a__b__memory_max": "max", "a__memory_max": "5000\n"}, 5000),
        ("0::/of/the/host\n", {"memory_max": "7000\n"}, 7000),
        (
            "5:cpu:/x\n4:memory:/a\n0::/\n",
            {"memory__a__memory_in_bytes": "6000", "memory__memory_in_bytes": "9223372036854771712"},
            6000,
        ),
    ],
)
def test_the_least_limit_on_the_way_up_holds(groups: str, limits: dict[str, str], found: int, tmp_path: Path) -> None:
    assert memory_limit(machine(tmp_path, groups, **limits)) == found


def test_where_nothing_is_said_nothing_is_known(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None


def test_only_of_itself_a_process_knows_the_limit() -> None:
    own, other = process_facts("recorder", os.getpid()), process_facts("sink", os.getppid())
    assert own.memory is not None
    assert own.memory_max is not None
    assert own.memory < own.memory_max
    assert other.memory_max is None
