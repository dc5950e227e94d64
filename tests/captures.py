"""Where the recorded sessions are that the tests use as ground truth."""

from __future__ import annotations

import os
from pathlib import Path

from tests.needs import missing


def captures() -> Path:
    """The directory of the recordings: XTRADER_CAPTURES, else beside the repository. Skips where there is none; fails in CI."""
    path = Path(os.environ.get("XTRADER_CAPTURES") or Path(__file__).resolve().parents[2] / "shared" / "captures")
    if not path.is_dir():
        missing(f"no recordings at {path} (set XTRADER_CAPTURES)")
    return path
