"""A wrong clock is seen, and only by what is proven."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doctor.time_server import Change, time_server
from tests.needs import missing
from xtrader.doctor.wall_clock import judge, judge_kernel, kernel_clock, ntp_clock, ntp_offset


@pytest.mark.parametrize(
    ("ahead", "level"), [(0.0, "ok"), (0.4, "warning"), (-0.4, "warning"), (30.0, "wrong"), (-86_400.0, "wrong")]
)
def test_a_time_server_shows_how_wrong_the_clock_is(ahead: float, level: str) -> None:
    with time_server(ahead) as port:
        offset, error = ntp_offset("127.0.0.1", port)
        found = ntp_clock(f"127.0.0.1:{port}")
    assert offset == pytest.approx(-ahead, abs=error)
    assert found.level == level
    assert bool(found.remedy) == (level != "ok")


def test_a_clock_that_was_set_wrong_is_wrong(tmp_path: Path) -> None:
    """The program runs with a clock of its own; that of the time server is the machine's."""
    if shutil.which("faketime") is None:
        missing("faketime is not installed: no wrong clock to test with")
    with time_server() as port:
        environment = {**os.environ, "HOME": str(tmp_path)}
        command = ["faketime", "-f", "+90s", sys.executable, "-m", "xtrader", "doctor", "--ntp", f"127.0.0.1:{port}"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    line = next(line for line in done.stdout.splitlines() if "the time server" in line)
    assert line.startswith("wrong    clock: ")
    assert " 90.0" in line or " 89.9" in line


def _spoil(position: int, value: int) -> Change:
    def change(answer: bytearray) -> None:
        answer[position] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_spoil(1, 0), "does not know the time itself"),
        (_spoil(0, 0xE4), "does not know the time itself"),
        (_spoil(0, 0x23), "none to this question"),
        (_spoil(24, 1), "none to this question"),
        (lambda answer: answer.__delitem__(slice(20, None)), "too short"),
    ],
)
def test_an_answer_that_proves_nothing_is_not_believed(change: Change, words: str) -> None:
    with time_server(50.0, change) as port:
        with pytest.raises(ValueError, match=words):
            ntp_offset("127.0.0.1", port)
        found = ntp_clock(f"127.0.0.1:{port}")
    assert found.level == "ok"
    assert words in found.words


@pytest.mark.parametrize("server", ["127.0.0.1:9", "nowhere.invalid", "[::1]"])
def test_a_time_server_that_is_not_heard_says_nothing(server: str) -> None:
    found = ntp_clock(server)
    assert found.level == "ok"
    assert "was not heard" in found.words


def test_only_what_is_proven_counts() -> None:
    assert judge("it", 1.4, 0.5).level == "warning"
    assert judge("it", 1.4, 0.3).level == "wrong"
    assert judge("it", -1.4, 1.39).level == "ok"


def test_the_kernel_says_whether_anybody_keeps_its_clock() -> None:
    assert judge_kernel(True, 0.5).level == "warning"
    assert judge_kernel(False, 0.002).words.endswith("wrong by 2.0 ms at most")
    found = kernel_clock()
    assert found is None or found.about == "clock"
