import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.process import xtrader
from xtrader import __version__
from xtrader.cli.main import main

GOOD = "L2:OKX_SWAP@BTCUSDT"
CATALOGUE = {
    "code": "0",
    "msg": "",
    "data": [
        {
            "instId": "BTC-USDT-SWAP",
            "instType": "SWAP",
            "uly": "BTC-USDT",
            "instFamily": "BTC-USDT",
            "baseCcy": "",
            "quoteCcy": "",
            "settleCcy": "USDT",
            "ctVal": "0.01",
            "ctMult": "1",
            "ctValCcy": "BTC",
            "ctType": "linear",
            "tickSz": "0.1",
            "lotSz": "0.01",
            "minSz": "0.01",
            "expTime": "",
            "optType": "",
            "stk": "",
            "state": "live",
        }
    ],
}


@pytest.fixture
def venue() -> Iterator[dict[str, str]]:
    """A venue that answers every request with a catalogue of one instrument; the variables that point to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(CATALOGUE).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"127.0.0.1:{server.server_address[1]}"
        yield {"XTRADER_OKX_SWAP_REST_URL": f"http://{url}", "XTRADER_OKX_SWAP_WS_URL": f"ws://{url}"}
        server.shutdown()


def test_version_and_help(tmp_path: Path) -> None:
    assert xtrader(tmp_path, "--version").stdout == f"xtrader {__version__}\n"
    text = xtrader(tmp_path, "--help").stdout
    for word in ("--subscriptions", "--sink", "--output-directory", "--raw-directory", "--verbose", "--shutdown-after"):
        assert word in text
    for word in ("demo", "plan", "renormalise"):
        assert f"  {word} " in text
    assert "_deliver" not in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], 'no subscriptions: give --subscriptions "STREAM:EXCHANGE@INSTRUMENT,…"'),
        (["--subscriptions", ""], "no subscriptions: give --subscriptions"),
        (["--subscriptions", " , "], "no subscriptions: give --subscriptions"),
        (["--subscriptions", "TRADE:OKX_SWAP@BTCUSDT"], "unknown stream 'TRADE' in 'TRADE:OKX_SWAP@BTCUSDT'; did you mean TRADES?"),
        (["--subscriptions", "L2:OKX_SWOP@X"], "unknown exchange 'OKX_SWOP' in 'L2:OKX_SWOP@X'; did you mean OKX_SWAP"),
        (["--subscriptions", "L2:OKX_SWAP"], "subscription 'L2:OKX_SWAP' has no instrument: it must be STREAM:EXCHANGE@INSTRUMENT"),
        (["--subscriptions", "${SUBSCRIPTIONS}"], "--subscriptions is the literal text '${SUBSCRIPTIONS}': the platform did not"),
        (
            ["--subscriptions", GOOD, "--sink", "csv"],
            "--sink 'csv' is not a sink; use parquet or questdb, or several with commas between",
        ),
        (["--subscriptions", GOOD, "--shutdown-after", "0"], "--shutdown-after '0' is not a number of seconds above 0"),
        (["--subscriptions", GOOD, "--output-directory", "/dev/null/x"], "cannot write to the output directory '/dev/null/x': "),
        (["--subscriptions", GOOD, "plan"], "--subscriptions goes after the command 'plan', or without any command"),
        (["--shutdown"], "No such option '--shutdown'"),
        (["record"], "'record' is no command of xtrader; did you mean report?"),
        (["renormalise"], "Missing argument 'FILE…'"),
        (["renormalise", "absent.gz"], "there is no recording absent.gz"),
        (["demo", "--seconds", "0"], "--seconds 0 is not between 1 and 90"),
        (["plan"], "no subscriptions: give --subscriptions"),
    ],
)
def test_input_that_cannot_be_used_is_one_sentence_and_exit_code_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    ran = xtrader(tmp_path, *arguments)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"xtrader: {sentence}")
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"XTRADER_FSYNC_INTERVAL": "often"}, "XTRADER_FSYNC_INTERVAL 'often' is not an interval from 1ms to 60s"),
        ({"XTRADER_LOG": "loud"}, "XTRADER_LOG 'loud' is not one of error, warn, info, debug, trace"),
        ({"DERIBIT_CLIENT_SECRET_FILE": "absent"}, "DERIBIT_CLIENT_SECRET_FILE: cannot read 'absent': No such file or directory"),
        ({"SUBSCRIPTIONS": "$(SUBSCRIPTIONS)"}, "SUBSCRIPTIONS is the literal text '$(SUBSCRIPTIONS)'"),
    ],
)
def test_a_bad_variable_is_one_sentence_and_exit_code_2(tmp_path: Path, environ: dict[str, str], sentence: str) -> None:
    ran = xtrader(tmp_path, environ={"SUBSCRIPTIONS": GOOD, **environ})
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert ran.stderr.startswith(f"xtrader: {sentence}")


def test_a_broken_dotenv_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SUBSCRIPTIONS=x\n\nthis is no assignment\n")
    ran = xtrader(tmp_path)
    assert (ran.returncode, ran.stderr) == (2, "xtrader: '.env' line 3 is not an assignment such as NAME=value\n")


def test_dotenv_is_read_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SUBSCRIPTIONS=L2:NOWHERE@X\n")
    assert "unknown exchange 'NOWHERE'" in xtrader(tmp_path).stderr
    assert "unknown exchange 'ELSEWHERE'" in xtrader(tmp_path, environ={"SUBSCRIPTIONS": "L2:ELSEWHERE@X"}).stderr
    assert "unknown exchange 'FLAG'" in xtrader(tmp_path, "--subscriptions", "L2:FLAG@X").stderr


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary\n")
    ran = xtrader(tmp_path, "renormalise", "notes.txt")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert ran.stderr.startswith("xtrader: notes.txt is not a recording: it begins with b'dear diary'")


@pytest.mark.parametrize("command", [[], ["plan"]])
def test_an_instrument_that_the_venue_does_not_list_is_refused(tmp_path: Path, venue: dict[str, str], command: list[str]) -> None:
    ran = xtrader(tmp_path, *command, "--subscriptions", "L2:OKX_SWAP@BTCUST", environ={**venue, "XTRADER_LOG": "error"})
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1] == (
        "xtrader: unknown instrument 'BTCUST' on OKX_SWAP in 'L2:OKX_SWAP@BTCUST'; did you mean BTCUSDT (BTC-USDT-SWAP)?"
    )
    assert "Traceback" not in ran.stderr


def test_a_plan_tells_connections_messages_and_where_the_instruments_are_known_from(tmp_path: Path, venue: dict[str, str]) -> None:
    environ = {**venue, "SUBSCRIPTIONS": f"{GOOD},TRADES:OKX_SWAP@BTC-USDT-SWAP", "XTRADER_UNKNOWN": "1"}
    ran = xtrader(tmp_path, "plan", "--json", environ=environ)
    assert ran.returncode == 0
    (plan,) = json.loads(ran.stdout)
    assert (plan["exchange"], plan["environment"]) == ("OKX_SWAP", "override")
    assert [(row["symbol"], row["source"]) for row in plan["instruments"]] == [("BTC-USDT-SWAP", "venue")]
    carried = [name for link in plan["links"] for name in link["subscriptions"]]
    assert sorted(carried) == ["L2:OKX_SWAP@BTC-USDT-SWAP", "TRADES:OKX_SWAP@BTC-USDT-SWAP"]
    assert sum(link["messages"] for link in plan["links"]) >= 1
    assert plan["snapshots"] == []
    assert "the variable XTRADER_UNKNOWN is unknown and ignored" in ran.stderr


def test_a_plan_without_network_uses_the_cache_then_rules_and_says_so(tmp_path: Path, venue: dict[str, str]) -> None:
    environ = {**venue, "SUBSCRIPTIONS": GOOD}
    assert "the venue's catalogue" in xtrader(tmp_path, "plan", environ=environ).stdout
    dead = {**environ, "XTRADER_OKX_SWAP_REST_URL": "http://127.0.0.1:1"}
    ran = xtrader(tmp_path, "plan", environ=dead)
    assert ran.returncode == 0
    assert "a rule for names: recorded when a catalogue lists it, or with --offline-names" in " ".join(ran.stdout.split())
    assert '"event":"instrument_guessed"' in ran.stderr


def test_emulate_on_a_port_that_is_taken_or_that_there_is_not_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["emulate", "OKX_SWAP", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (f"xtrader: port {port} of 127.0.0.1, for OKX_SWAP, is in use; give another --port\n")
    assert main(["emulate", "OKX_SWAP", "DERIBIT", "--port", "65535"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
