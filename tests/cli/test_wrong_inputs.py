"""Three hundred wrong inputs of every kind: one sentence each, exit code 2, no traceback, and nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from xtrader import venues
from xtrader.cli.commands import COMMANDS
from xtrader.cli.main import main
from xtrader.settings.load import FLAGS, VARIABLES

GOOD = "L2:OKX_SWAP@BTCUSDT"
KEY = "OKX_SWAP@BTCUSDT"
Case = tuple[list[str], dict[str, str], dict[str, str]]
"""Arguments, variables, files."""
WRONG_VALUES = {
    "XTRADER_SINK": ["csv", "parqet", ",", "parquet,csv", "questdb;parquet"],
    "XTRADER_OUTPUT_DIRECTORY": ["s3://", "ftp://host/x", "s3://bucket?x=1", "s3:/bucket", "/dev/null/x"],
    "XTRADER_VERBOSE": ["perhaps", "2", "truee"],
    "XTRADER_SHUTDOWN_AFTER": ["0", "-1", "soon", "1y"],
    "XTRADER_OFFLINE_NAMES": ["maybe", "3"],
    "XTRADER_CONFIG": ["absent.toml", "/", "absent/x.toml"],
    "XTRADER_RAW_DIRECTORY": ["/dev/null/raw", "/proc/none"],
    "XTRADER_LOG_FILE": ["/dev/null/x.log", "/proc/x.log"],
    "XTRADER_UPLOAD_URL": ["nowhere", "ftp://b/x", "s3://", "http://host/x"],
    "XTRADER_UPLOAD_KEEP_LOCAL": ["perhaps"],
    "XTRADER_JOURNAL_DIRECTORY": ["/dev/null/j", "/proc/j"],
    "XTRADER_CATALOGUE_INTERVAL": ["0", "never", "25h", "1 week"],
    "XTRADER_COLLECTOR_ID": ["Upper", "a b", "x" * 33, "ü"],
    "XTRADER_WORKERS": ["0", "65", "two", "-1", "1.5"],
    "XTRADER_FLUSH_INTERVAL": ["1ms", "1s", "fast"],
    "XTRADER_FSYNC_INTERVAL": ["0", "2m", "often"],
    "XTRADER_ROTATE_SECONDS": ["7", "0", "-900", "hourly"],
    "XTRADER_ROTATE_BYTES": ["1", "big", "1XB"],
    "XTRADER_MIN_FREE_BYTES": ["-1", "some"],
    "XTRADER_JOURNAL_MAX_BYTES": ["1", "lots"],
    "XTRADER_CONNECTIONS": ["0", "3", "two"],
    "XTRADER_DRAIN": ["0", "11m", "long"],
    "XTRADER_LOG": ["loud", "info,fed=debug", "feed=loud"],
    "XTRADER_LOG_FILE_BYTES": ["1", "big"],
    "XTRADER_LOG_FILE_COUNT": ["-1", "1001", "few"],
    "XTRADER_TELEMETRY": ["some", "none"],
    "XTRADER_HTTP": ["localhost:x", "a b", "127.0.0.1:99999"],
    "XTRADER_HTTP_HOSTS": ["a b", "x/y"],
    "XTRADER_HTTP_TOKEN": ["short", "with spaces in it, which is too"],
    "XTRADER_METRICS_INSTRUMENTS": ["many", "-1"],
    "DERIBIT_USE_TESTNET": ["perhaps", "mainnet"],
    "DERIBIT_CLIENT_SECRET": ["alone-without-an-id"],
    "XTRADER_BINANCE_FUTURES_TRADES": ["both", "AGG"],
    "QUESTDB_HOST": ["a b", "x/y"],
    "QUESTDB_HTTP_PORT": ["0", "70000", "http"],
    "QUESTDB_ILP_PORT": ["-1", "x"],
    "QUESTDB_TRANSPORT": ["udp", "tcp"],
    "QUESTDB_CONF": ["nonsense", "ftp::addr=h:1;", "http::addr=h;", "http::addr=h:1;x=y;"],
    "QUESTDB_TLS": ["perhaps"],
    "QUESTDB_TLS_ROOTS": ["absent.pem"],
    "QUESTDB_TABLE_PREFIX": ["a-b", "x" * 65],
    "QUESTDB_TABLES_EXIST": ["perhaps"],
    "QUESTDB_REPLAY_WINDOW": ["0", "2d", "long"],
    "QUESTDB_JOURNAL_KEEP": ["long"],
}
WRONG_TIMES = ["yesterday", "2026-13-01", "2026-01-32", "12:00", "2026-01-01T25:00", "", "1e9x", "2026-01-01T00:00:00+99:00"]


def cases() -> Iterator[Case]:
    for flag in FLAGS:
        name = "--" + flag.replace("_", "-")
        for wrong in (name[:-1] + "x", name[:4] + name[5:], name + "s"):
            yield [wrong, "x"], {}, {}
    for name, values in WRONG_VALUES.items():
        for value in values:
            yield ["--subscriptions", GOOD], {name: value}, {}
            if name in FLAGS.values() and name not in ("XTRADER_VERBOSE", "XTRADER_OFFLINE_NAMES"):
                flag = next(flag for flag, variable in FLAGS.items() if variable == name)
                yield ["--subscriptions", GOOD, "--" + flag.replace("_", "-"), value], {}, {}
            elif len(value) < 12 and not value.startswith("/"):
                yield ["config", "show"], {}, {".env": f"# a line before\n{name}={value}\n"}
    for exchange in venues.exchanges():
        for kind, value in (("WS", "nowhere"), ("WS", "http://host"), ("REST", "ws://host"), ("REST", "https://host/x?y=1")):
            yield ["--subscriptions", GOOD], {f"XTRADER_{exchange}_{kind}_URL": value}, {}
    for text in (
        *("L2", "L2:", ":OKX_SWAP@X", "L2:@X", "L2:OKX_SWAP", "L2:OKX_SWAP@", "OKX_SWAP@BTCUSDT", "L2OKX_SWAP@BTCUSDT"),
        *("L3:OKX_SWAP@X", "TRADE:OKX_SWAP@X", "L2:OKX@X", "L2:OKXSWAP@X", "L2:OKX_SWAP@A B", "L2:OKX_SWAP@A@B", "L2:OKX_SWAP@A:B"),
        *("", " ", ",", ";", f"{GOOD};{GOOD}", f"{GOOD} {GOOD}", "FUNDING:DERIBIT@X", "${SUBSCRIPTIONS}", "L2:OKX_SWAP@\x00"),
    ):
        yield ["--subscriptions", text], {}, {}
        yield ["plan"], {"SUBSCRIPTIONS": text}, {}
    for time in WRONG_TIMES:
        yield ["book", KEY, ".", "--at", time], {}, {}
        yield ["trades", KEY, ".", "--from", time], {}, {}
        yield ["plot", KEY, ".", "--output", "x.html", "--to", time], {}, {}
    for name in COMMANDS:
        if not name.startswith("_") and len(name) > 4:
            yield [name[:-2] + name[-1]], {}, {}
            yield [name, "--no-such-option"], {}, {}
    for text in ("sink = 'parquet'", "XTRADER_SINK = csv", "[a]\nb = 1", "XTRADER_WORKERS = 0", "XTRADER_WORKERS = [1]", "= 1"):
        yield ["--config", "x.toml"], {}, {"x.toml": text}
    for text in ("XTRADER_SINK", "=x", "a b c", "XTRADER_WORKERS=0"):
        yield ["--subscriptions", GOOD], {}, {".env": text + "\n"}


CASES = list(cases())


def test_there_are_three_hundred_of_them() -> None:
    assert len(CASES) >= 300
    assert {*VARIABLES, *FLAGS.values()} - {"SUBSCRIPTIONS", "XTRADER_CACHE_DIRECTORY"} <= set(WRONG_VALUES)


@pytest.mark.parametrize("part", range(16))
def test_each_is_answered_with_one_sentence_and_leaves_nothing_behind(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Should one be taken after all, it must end by itself, and reach nobody.
    safe = {"XTRADER_OKX_SWAP_WS_URL": "ws://127.0.0.1:1", "XTRADER_OKX_SWAP_REST_URL": "http://127.0.0.1:1"}
    wrong = []
    for number, (arguments, variables, files) in list(enumerate(CASES))[part::16]:
        where = tmp_path / str(number)
        where.mkdir()
        for name, text in files.items():
            (where / name).write_text(text)
        with monkeypatch.context() as patch:
            patch.chdir(where)
            for name in [name for name in os.environ if name.startswith(("XTRADER_", "QUESTDB_", "DERIBIT_", "SUBSCRIPTIONS"))]:
                patch.delenv(name)
            for name, value in {**safe, "XTRADER_SHUTDOWN_AFTER": "1", "HOME": str(tmp_path), **variables}.items():
                if "\0" not in value:
                    patch.setenv(name, value)
            code = main(arguments)
        said = capsys.readouterr()
        left = sorted(path.name for path in where.iterdir())
        is_sentence = said.err.startswith("xtrader: ") and said.err.count("\n") == 1 and len(said.err) > 20
        if (code, is_sentence, said.out, left) != (2, True, "", sorted(files)):
            wrong.append((arguments, variables, files, code, said.out[:200], said.err[:300], left))
    assert not wrong, "\n".join(map(str, wrong))
