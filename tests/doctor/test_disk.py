"""Directories that cannot take a recording are found, each on a real file system that is so."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.needs import missing, small_file_system
from xtrader.diagnosis import Diagnosis
from xtrader.doctor.disk import commit_speed, examine_directory, existing, file_system, judge_speed

NOBODY = 65534


def levels(path: Path, min_free: int = 1 << 20) -> dict[str, str]:
    return {finding.words: finding.level for finding in examine_directory("journal directory", path, min_free)}


def ill(path: Path, min_free: int = 1 << 20) -> list[Diagnosis]:
    return [finding for finding in examine_directory("journal directory", path, min_free) if finding.level != "ok"]


def test_a_directory_that_is_yet_to_be_made_is_judged_by_its_parent_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    assert existing(path) == tmp_path
    assert set(levels(path).values()) <= {"ok", "warning"}
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_wrong(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small", "4m") as place:
        (place / "ballast").write_bytes(bytes((4 << 20) - 4096))
        found = [one for one in ill(place) if one.level == "wrong"]
        assert ["free of 4 MiB" in found[0].words, "trial write failed: no space left" in found[1].words] == [True, True]
        assert all(one.remedy for one in found)


def test_a_disk_that_is_nearly_full_and_one_in_memory_are_worth_a_word(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "small", "4m") as place:
        assert [one.level for one in ill(place, 3 << 20)] == ["warning", "warning"]
        assert file_system(place, Path("/proc/self/mountinfo").read_text()) == "tmpfs"


def test_a_disk_without_inodes_is_worth_a_word(tmp_path: Path) -> None:
    with mounted(tmp_path / "few", "nr_inodes=100") as place:
        assert any("more files can be made" in one.words for one in ill(place, 0))


def test_a_disk_that_is_mounted_for_reading_is_wrong(tmp_path: Path) -> None:
    with mounted(tmp_path / "read", "ro") as place:
        (found,) = ill(place)
    assert found.level == "wrong"
    assert "read-only" in found.words
    assert "mounted for reading only" in found.remedy


def test_a_directory_of_somebody_else_is_wrong() -> None:
    if os.geteuid() != 0:
        missing("only root can become somebody else")
    with tempfile.TemporaryDirectory() as text:
        os.chmod(text, 0o755)
        os.seteuid(NOBODY)
        try:
            (found,) = ill(Path(text) / "data" / ".journal")
        finally:
            os.seteuid(0)
    assert (found.level, found.words) == ("wrong", "cannot be written to: permission denied")
    assert found.remedy.startswith("it belongs to uid 0, this process is uid 65534")


def test_a_file_in_place_of_a_directory_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    (found,) = ill(tmp_path / "data" / ".journal")
    assert found.level == "wrong"


@pytest.mark.parametrize(("seconds", "level"), [(0.002, "ok"), (0.2, "warning"), (1.5, "wrong")])
def test_slow_commits_are_told(seconds: float, level: str) -> None:
    assert judge_speed("disk", seconds, seconds).level == level


def test_the_speed_of_a_disk_is_measured_and_nothing_is_left_there(tmp_path: Path) -> None:
    assert "a commit of 64 KiB takes" in commit_speed("disk", tmp_path).words
    assert list(tmp_path.iterdir()) == []


def test_a_network_file_system_is_known_by_its_mount(tmp_path: Path) -> None:
    number = os.stat(tmp_path).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    mounts = f"36 35 0:99 / /x rw - ext4 a rw\n37 35 {device} / /mnt rw,noatime shared:1 - nfs4 server:/a rw\n"
    assert file_system(tmp_path, mounts) == "nfs4"
    assert file_system(tmp_path, "") == ""


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False)
    if done.returncode:
        missing(f"nothing can be mounted: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
