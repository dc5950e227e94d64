from pathlib import Path

import pytest

from tests.cli.process import xtrader
from xtrader.cli.demo import INSTRUMENTS


@pytest.mark.slow
def test_the_demo_records_everything_without_network_and_shows_it(tmp_path: Path) -> None:
    dead_proxy = {"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}
    (tmp_path / ".env").write_text("DERIBIT_CLIENT_ID=somebody\nSUBSCRIPTIONS=nonsense\n")
    ran = xtrader(tmp_path, "demo", "--seconds", "5", "--output-directory", "out", environ=dead_proxy)
    assert ran.returncode == 0, ran.stderr
    rows = [line.split() for line in ran.stdout.splitlines() if line.startswith(("L2:", "TRADES:"))]
    assert len(rows) == 2 * len(INSTRUMENTS)
    for subscription, messages, _, gaps, *_ in rows:
        assert int(messages.replace(",", "")) > 0, subscription
        assert gaps == "0", subscription
    assert "Traceback" not in ran.stderr
    assert "pandas.read_parquet" in ran.stdout
