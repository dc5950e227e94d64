"""The README's two commands on a system that has nothing but Python and make, not even pip.

`XTRADER_BARE=bookworm,trixie,noble` makes root file systems of them and runs `make demo` there; with `XTRADER_BARE_TARGET=test` the
other command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import images
from tests.needs import missing

TREE = Path(__file__).parents[2]
RELEASES = os.environ.get("XTRADER_BARE", "").split(",")
TARGET = os.environ.get("XTRADER_BARE_TARGET", "demo")


@pytest.mark.timeout(900 if TARGET == "demo" else 7200)
@pytest.mark.parametrize("release", RELEASES)
def test_a_bare_system_sets_itself_up_and_records(release: str) -> None:
    if not release:
        pytest.skip("takes minutes: XTRADER_BARE=bookworm,trixie,noble")
    if shutil.which("mmdebstrap") is None:
        missing("mmdebstrap is not installed: apt install mmdebstrap")
    if reason := images.forbidden():
        pytest.skip(reason)
    command = ["bash", "tests/deploy/bare.sh", release, str(TREE), TARGET]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    if TARGET == "demo":
        assert "TRADES:DERIBIT@BTC-PERPETUAL" in done.stdout


def test_an_environment_without_pip_gets_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    done = subprocess.run([python, "deploy/getpip.py"], cwd=TREE, capture_output=True, text=True, check=False)
    if "cannot be fetched" in done.stderr:
        missing(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    said = subprocess.run([python, "-m", "pip", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) in said
