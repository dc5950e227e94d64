"""Processes that do not outlive the test that started them, however it ends."""

from __future__ import annotations

import subprocess

_started: list[subprocess.Popen[bytes]] = []


def kept_track_of(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """Have it killed at the end of the test if it still runs then."""
    _started.append(process)
    return process


def end_all() -> None:
    """Kill what still runs."""
    while _started:
        process = _started.pop()
        process.kill()
        process.wait()
