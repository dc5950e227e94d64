"""The first of the README's two commands on a system that has nothing but Python and make, not even pip.

`XTRADER_BARE=bookworm,trixie,noble` names the systems, `XTRADER_BARE_TARGET=test` the other command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy import images
from tests.needs import missing

TREE = Path(__file__).parents[2]
RELEASES = os.environ.get("XTRADER_BARE", "trixie").split(",")
TARGET = os.environ.get("XTRADER_BARE_TARGET", "demo")


@pytest.mark.timeout(900 if TARGET == "demo" else 7200)
@pytest.mark.parametrize("release", RELEASES)
def test_a_bare_system_sets_itself_up_and_records(release: str) -> None:
    if shutil.which("mmdebstrap") is None:
        missing("mmdebstrap is not installed: apt install mmdebstrap")
    if reason := images.forbidden():
        pytest.skip(reason)
    command = ["bash", "tests/deploy/bare.sh", release, str(TREE), TARGET]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    if TARGET == "demo":
        assert "TRADES:DERIBIT@BTC-PERPETUAL" in done.stdout
