"""The lines of the README about venues that misbehave do what they say, on other ports and with a slower market."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_pair() -> int:
    """A free port whose successor is free too."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def test_who_follows_the_readme_sees_the_gap_row_of_an_injected_fault(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Venues that misbehave\n")[2].partition("\n## ")[0]
    block = re.search(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert block is not None
    lines = block[1]
    for old, new in (("9310", str(free_pair())), ("--rate 5000", "--rate 1000")):
        assert old in lines
        lines = lines.replace(old, new)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XTRADER_", "DERIBIT_"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "XTRADER_CACHE_DIRECTORY": str(tmp_path / "cache"),
        "XTRADER_HTTP": "off",
        "XTRADER_MIN_FREE_BYTES": "1MiB",
    }
    with (tmp_path / "out").open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "-e"],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    try:
        shell.communicate(lines, timeout=120)
    finally:
        # The venues run until they are stopped.
        os.killpg(shell.pid, signal.SIGKILL)
    said = (tmp_path / "out").read_text()
    assert shell.returncode == 0, said
    assert '"fault":"lost"' in said
    assert re.search(r"L2.*venue_gap.*expected a message", said), said
