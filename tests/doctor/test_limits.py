"""Limits that are too tight are found, in processes and control groups that have them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import missing
from xtrader.doctor.limits import allowed_cores, free_memory, group_directories, judge_descriptors, judge_memory


def test_a_low_limit_on_open_files_is_wrong_for_many_subscriptions() -> None:
    code = "from xtrader.doctor.limits import examine_limits as e; print([f.level for f in e(200)][0], [f.level for f in e(10)][0])"

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))

    done = subprocess.run([sys.executable, "-c", code], preexec_fn=lower, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["wrong", "ok"]


def test_what_is_unlimited_is_enough() -> None:
    assert judge_descriptors(resource.RLIM_INFINITY, 10**6).level == "ok"


@pytest.mark.parametrize(("free", "level"), [(None, "ok"), (8 << 30, "ok"), (200 << 20, "warning"), (100 << 20, "wrong")])
def test_too_little_memory_is_told(free: int | None, level: str) -> None:
    assert judge_memory(free, 10).level == level


def test_the_memory_of_a_real_control_group_counts(tmp_path: Path) -> None:
    group = Path(f"/sys/fs/cgroup/memory/xtrader-test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(96 << 20))
    except OSError as error:
        missing(f"no control group can be made here: {error}")
    try:
        code = f"open('{group}/cgroup.procs', 'w').write('0'); from xtrader.doctor.limits import free_memory as f; print(f())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert 0 < int(done.stdout) < 96 << 20
    finally:
        group.rmdir()


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    """As the second version of control groups has them; this machine may have only the first."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    for place, most, cpu in ((inner, "max", "max 100000"), (inner.parent, str(500 << 20), "50000 100000")):
        (place / "memory.max").write_text(most)
        (place / "memory.current").write_text(str(100 << 20))
        (place / "memory.stat").write_text(f"anon 1\ninactive_file {10 << 20}\n")
        (place / "cpu.max").write_text(cpu)
    assert group_directories("memory", tmp_path, own) == [inner, inner.parent, tmp_path]
    assert free_memory(tmp_path, own) == 410 << 20
    assert allowed_cores(tmp_path, own) == 0.5


def test_in_a_container_the_groups_path_may_be_that_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("150000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    own = tmp_path / "own"
    own.write_text("4:cpu:/docker/0123\n3:memory:/docker/0123\n")
    assert allowed_cores(tmp_path, own) == 1.5
    assert allowed_cores(tmp_path, tmp_path / "nowhere") is None
