"""What a user meets at the start of a recording that cannot begin as wished."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.cli.process import xtrader
from tests.waiting import wait_until

SUBSCRIPTION = "L2:OKX_SWAP@BTCUSDT"
UNREACHABLE = {"XTRADER_OKX_SWAP_REST_URL": "http://127.0.0.1:1", "XTRADER_OKX_SWAP_WS_URL": "ws://127.0.0.1:1"}


def test_without_network_a_name_that_no_catalogue_was_seen_to_list_is_not_recorded_by_a_guess(tmp_path: Path) -> None:
    ran = xtrader(tmp_path, "--subscriptions", "L2:OKX_SWAP@BTCUSD", "--shutdown-after", "2", environ=UNREACHABLE)
    assert ran.returncode == 0, ran.stderr
    (line,) = [json.loads(line) for line in ran.stderr.splitlines() if '"event":"waits_for_catalogue"' in line]
    assert (line["exchange"], line["subscriptions"]) == ("OKX_SWAP", ["L2:OKX_SWAP@BTCUSD"])
    assert '"event":"instrument_guessed"' not in ran.stderr
    assert not list((tmp_path / "data").rglob("instrument=*"))


def test_without_network_it_waits_says_so_and_stops_as_asked(tmp_path: Path) -> None:
    ran = xtrader(tmp_path, "--subscriptions", SUBSCRIPTION, "--offline-names", "--shutdown-after", "2", environ=UNREACHABLE)
    assert ran.returncode == 0, ran.stderr
    assert '"event":"instrument_guessed"' in ran.stderr
    (line,) = [json.loads(line) for line in ran.stderr.splitlines() if '"event":"settings"' in line]
    assert line["chosen"]["SUBSCRIPTIONS"] == f"{SUBSCRIPTION} (--subscriptions)"
    assert line["chosen"]["XTRADER_OKX_SWAP_WS_URL"] == "ws://127.0.0.1:1 (environment)"
    assert line["defaults"]["XTRADER_SINK"] == "parquet"
    assert "127.0.0.1" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list((tmp_path / "data").rglob("stream=COVERAGE/**/*.parquet"))


def test_a_second_collector_on_the_same_directory_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xtrader", "--subscriptions", SUBSCRIPTION, "--output-directory", str(tmp_path / "out")]
    variables = {**os.environ, **UNREACHABLE, "XTRADER_COLLECTOR_ID": "first", "XDG_CACHE_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=variables, cwd=tmp_path, stderr=subprocess.DEVNULL) as first:
        wait_until(lambda: list((tmp_path / "out" / ".journal").glob("*.journal")))
        ran = xtrader(tmp_path, "--subscriptions", SUBSCRIPTION, "--output-directory", "out", environ=UNREACHABLE)
        first.terminate()
        assert first.wait(30) == 0
    assert ran.returncode == 2
    assert ran.stderr.startswith("xtrader: ")
    assert ran.stderr.count("\n") == 1
    assert "first" in ran.stderr
    assert str(first.pid) in ran.stderr


def test_a_disk_without_room_is_refused(tmp_path: Path) -> None:
    environ = {**UNREACHABLE, "XTRADER_MIN_FREE_BYTES": "1000TiB"}
    ran = xtrader(tmp_path, "--subscriptions", SUBSCRIPTION, environ=environ)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "XTRADER_MIN_FREE_BYTES" in ran.stderr


def test_a_login_that_is_half_there_is_refused(tmp_path: Path) -> None:
    ran = xtrader(tmp_path, "--subscriptions", "L2:DERIBIT@BTC-PERPETUAL", environ={"DERIBIT_CLIENT_SECRET": "hush-hush"})
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "DERIBIT_CLIENT_ID" in ran.stderr
    assert "hush-hush" not in ran.stderr
