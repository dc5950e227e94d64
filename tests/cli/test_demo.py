import re
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
    # What was recorded, then what verify says of each.
    assert len(rows) == 4 * len(INSTRUMENTS)
    assert re.search(r"^out: clean$", ran.stdout, re.MULTILINE)
    times = [float(one) for one in re.findall(r"^\[ *([0-9.]+) s\] ", ran.stdout, re.MULTILINE)]
    assert len(times) == 5
    assert times == sorted(times)
    for subscription, messages, _, synced, _, gaps, *_ in rows[: len(rows) // 2]:
        assert float(synced) < 60
        assert int(messages.replace(",", "")) > 0, subscription
        assert gaps == "0", subscription
    assert "Traceback" not in ran.stderr
    assert "pandas.read_parquet" in ran.stdout
