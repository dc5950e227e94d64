"""Where the recorded sessions are that the tests use as ground truth."""

from __future__ import annotations

import os
from pathlib import Path

from tests.needs import missing

_GIVEN = os.environ.get("XTRADER_CAPTURES")


def captures() -> Path:
    """The directory of the recordings: XTRADER_CAPTURES, else beside the repository. Skips where there is none; fails in CI."""
    path = Path(_GIVEN or Path(__file__).resolve().parents[2] / "shared" / "captures")
    if not path.is_dir():
        missing(f"no recordings at {path} (set XTRADER_CAPTURES)")
    return path


DERIBIT_NAMES = (
    "BTC-24SEP21-8000-P",
    "BTC-30JUL21-24000-P",
    "ETH-30JUL21-2800-C",
    "BTC-31DEC21-34000-P",
    "BTC-24SEP21-34000-P",
    "BTC-24JUN22-15000-C",
    "BTC-31DEC21-300000-C",
    "ETH-27AUG21-4000-P",
    "BTC-25MAR22-30000-C",
    "ETH-23JUL21-2300-C",
)
"""All instruments of the recorded session."""
DERIBIT_LOGIN = {"DERIBIT_CLIENT_ID": "reader", "DERIBIT_CLIENT_SECRET": "very-secret-words"}


def recorded_1(name: str) -> list[Path]:
    return sorted((captures() / "recorded-1").glob(f"{name}.*"))
