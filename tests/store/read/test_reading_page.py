"""The examples of docs/reading.md run, one after the other, over a recorded session."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.captures import captures
from xtrader.cli.main import main

PAGE = Path(__file__).parents[3] / "docs" / "reading.md"


def test_every_example_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(path) for path in sorted((captures() / "recorded-1").glob("OKX.*"))]
    monkeypatch.chdir(tmp_path)
    assert main(["renormalise", *files, "--output-directory", "data"]) == 0
    capsys.readouterr()
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        exec(block, names)
    assert names["rows"] > 1000
    assert names["bid"][0] < names["ask"][0]
    assert names["trades"].to_arrow().num_rows > 10
    assert names["record"].instrument in ("OKX_SPOT@BTC-USDT", "OKX_SWAP@UNI-USD-SWAP")
    assert "the recording ends before" in capsys.readouterr().out
