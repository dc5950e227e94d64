"""Settings that mean something else than their author thinks, and secrets that others can read, are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xtrader.diagnosis import Diagnosis
from xtrader.doctor.settings_check import examine_settings
from xtrader.settings.load import settings_of, sources_of

CANARY = "canary-4711-canary"


def examined(directory: Path, text: str, mode: int = 0o600) -> list[Diagnosis]:
    file = directory / ".env"
    file.write_text(text)
    os.chmod(file, mode)
    sources = sources_of({}, {}, file)
    found = list(examine_settings(settings_of(sources), sources))
    assert CANARY not in str(found)
    return found


@pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o640, "warning"), (0o644, "wrong"), (0o602, "wrong")])
def test_a_file_with_secrets_is_for_its_owner(tmp_path: Path, mode: int, level: str) -> None:
    found = examined(tmp_path, f"SUBSCRIPTIONS=L2:OKX_SWAP@BTCUSDT\nXTRADER_HTTP_TOKEN={CANARY}\n", mode)
    assert [one.level for one in found] == [level]
    if level != "ok":
        assert "XTRADER_HTTP_TOKEN" in found[0].words
        assert "chmod 600" in found[0].remedy


def test_a_file_without_secrets_may_be_read_by_all(tmp_path: Path) -> None:
    assert [one.level for one in examined(tmp_path, "SUBSCRIPTIONS=L2:OKX_SWAP@BTCUSDT\n", 0o644)] == ["ok"]


def test_a_variable_with_a_slip_and_no_subscriptions_are_worth_a_word(tmp_path: Path) -> None:
    found = examined(tmp_path, "XTRADER_WORKRES=2\n")
    assert [one.level for one in found] == ["warning", "warning"]
    assert "did you mean XTRADER_WORKERS?" in found[0].words
    assert "no subscriptions" in found[1].words
