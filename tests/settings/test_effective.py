import json
from pathlib import Path

import pytest

from xtrader import sinks, venues
from xtrader.cli.main import main
from xtrader.settings.effective import OWN, Effective, effective
from xtrader.settings.http import SECRETS as HTTP_SECRETS
from xtrader.settings.load import FLAGS, VARIABLES, sources_of

SECRET = "hunter2-is-no-good"


def shown(
    tmp_path: Path, text: str, flags: dict[str, object] | None = None, environ: dict[str, str] | None = None
) -> dict[str, Effective]:
    file = tmp_path / "a.env"
    file.write_text(text)
    _, found = effective(sources_of(flags or {}, environ or {}, file))
    return {one.name: one for one in found}


def test_every_setting_is_listed_once(tmp_path: Path) -> None:
    assert set(OWN) == {*FLAGS.values(), *VARIABLES}
    _, found = effective(sources_of({}, {}, None))
    names = [one.name for one in found]
    assert sorted(names) == sorted({*OWN, *sinks.variables(), *venues.variables()})
    assert {one.source for one in found} == {"default"}
    assert not any(one.is_set for one in found)


def test_a_setting_says_which_flag_variable_or_line_gave_it(tmp_path: Path) -> None:
    text = "# which\n\nXTRADER_SINK=questdb\nRUST_LOG=debug\nXTRADER_FSYNC_INTERVAL=5ms\nXTRADER_WORKERS=\nXTRADER_WORKERS=2\n"
    found = shown(tmp_path, text, {"sink": "parquet", "verbose": False}, {"XTRADER_FSYNC_INTERVAL": "", "XTRADER_CONNECTIONS": "2"})
    file = str(tmp_path / "a.env")
    assert (found["XTRADER_SINK"].value, found["XTRADER_SINK"].source) == ("parquet", "--sink")
    assert (found["XTRADER_LOG"].value, found["XTRADER_LOG"].source, found["XTRADER_LOG"].variable) == (
        "debug",
        f"{file}:4",
        "RUST_LOG",
    )
    assert (found["XTRADER_FSYNC_INTERVAL"].value, found["XTRADER_FSYNC_INTERVAL"].source) == (0.1, "default")
    assert (found["XTRADER_CONNECTIONS"].value, found["XTRADER_CONNECTIONS"].source) == (2, "environment")
    assert (found["XTRADER_WORKERS"].value, found["XTRADER_WORKERS"].source) == (2, f"{file}:7")
    assert found["XTRADER_VERBOSE"].source == "default"


def test_a_flag_that_was_not_expanded_gives_way_to_the_variable(tmp_path: Path) -> None:
    found = shown(tmp_path, "", {"subscriptions": "${SUBSCRIPTIONS}"}, {"SUBSCRIPTIONS": "L2:OKX_SWAP@BTCUSDT"})
    assert (found["SUBSCRIPTIONS"].value, found["SUBSCRIPTIONS"].source) == ("L2:OKX_SWAP@BTCUSDT", "environment")


def test_no_secret_is_ever_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text(SECRET)
    (tmp_path / "token").chmod(0o600)
    secrets = {*venues.secrets(), *sinks.secrets(), *HTTP_SECRETS}
    by_file = sorted(secrets)[-1]
    lines = [f"{name}={SECRET}" for name in secrets - {by_file, "QUESTDB_CONF"}]
    lines.append(f"QUESTDB_CONF=http::addr=host:9000;username=u;password={SECRET};")
    urls = f"XTRADER_OKX_SWAP_WS_URL=wss://u:{SECRET}@host:1"
    (tmp_path / ".env").write_text("\n".join([*lines, f"{by_file}_FILE={tmp_path}/token", f"AWS_SESSION_TOKEN={SECRET}", urls]))
    assert main(["config", "show"]) == 0
    table = capsys.readouterr()
    assert main(["config", "show", "--json"]) == 0
    text = capsys.readouterr()
    assert SECRET not in table.out + table.err + text.out + text.err
    found = json.loads(text.out)["settings"]
    assert all(found[name]["set"] and "value" not in found[name] for name in (*secrets, "AWS_SESSION_TOKEN"))
    assert found[by_file]["variable"] == f"{by_file}_FILE"
    assert found["XTRADER_OKX_SWAP_WS_URL"]["value"] == "wss://…@host:1"


def test_a_value_that_cannot_be_used_is_named_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("XTRADER_LOG=info\n\nXTRADER_CONNECTIONS=3\n")
    assert main(["config", "show"]) == 2
    assert capsys.readouterr().err == "xtrader: XTRADER_CONNECTIONS in .env line 3 '3' is neither 1 nor 2\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("DERIBIT_USE_TESTNET=perhaps", "DERIBIT_USE_TESTNET in .env line 2 'perhaps' is neither true nor false"),
        ("QUESTDB_ILP_PORT=nine", "QUESTDB_ILP_PORT in .env line 2 'nine' is not a port number"),
        ("QUESTDB_CONF=ftp::addr=h", "QUESTDB_CONF in .env line 2 must begin with one of http::, https::, tcp::, tcps::"),
        ("XTRADER_BINANCE_COINM_REST_URL=nowhere", "XTRADER_BINANCE_COINM_REST_URL in .env line 2 "),
    ],
)
def test_a_wrong_value_for_a_sink_or_a_venue_that_is_not_used_is_named_all_the_same(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"SUBSCRIPTIONS=L2:OKX_SWAP@BTCUSDT\n{line}\n")
    for command in (["config", "show"], []):
        assert main(command) == 2
        text = capsys.readouterr().err
        assert text.startswith(f"xtrader: {said}")
        assert text.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env"]


def test_a_toml_file_gives_the_same_settings_and_stands_behind_the_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text(
        '# settings\nSUBSCRIPTIONS = ["L2:OKX_SWAP@BTCUSDT", "TRADES:OKX_SWAP@BTCUSDT"]\nXTRADER_CONNECTIONS = 2\n'
        'XTRADER_VERBOSE = true\n"XTRADER_SINK" = "questdb"\nXTRADER_FSYNC_INTERVAL = 0.5\nDERIBIT_USE_TESTNET = false\n'
    )
    (tmp_path / ".env").write_text("XTRADER_SINK=parquet\n")
    assert main(["config", "show", "--json", "--config", "x.toml"]) == 0
    found = json.loads(capsys.readouterr().out)["settings"]
    assert found["SUBSCRIPTIONS"] == {"value": "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT", "source": "x.toml:2"}
    assert found["XTRADER_CONNECTIONS"] == {"value": 2, "source": "x.toml:3"}
    assert found["XTRADER_VERBOSE"] == {"value": True, "source": "x.toml:4"}
    assert found["XTRADER_SINK"] == {"value": "parquet", "source": ".env:1"}
    assert found["DERIBIT_USE_TESTNET"] == {"value": "false", "source": "x.toml:7"}
    monkeypatch.setenv("XTRADER_CONFIG", str(tmp_path / "x.toml"))
    assert main(["config", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["XTRADER_FSYNC_INTERVAL"]["value"] == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sink = 'parquet'", "sink in x.toml line 1 is no setting; did you mean XTRADER_SINK?"),
        ("\nXTRADER_SINKS = 'parquet'", "XTRADER_SINKS in x.toml line 2 is no setting; did you mean XTRADER_SINK"),
        ("[recorder]\nXTRADER_SINK = 'parquet'", "recorder in x.toml line 1 is no setting: the names are those of"),
        ("[XTRADER_SINK]\na = 1", "XTRADER_SINK in x.toml line 1 is neither a text, a number,"),
        ("XTRADER_SINK = parquet", "'x.toml' is not TOML: Invalid value (at line 1, column 16)"),
        ("XTRADER_CONNECTIONS = 3", "XTRADER_CONNECTIONS in x.toml line 1 '3' is neither 1 nor 2"),
        ("XTRADER_SINK = ['parquet', 1]", "XTRADER_SINK in x.toml line 1 is neither"),
        (b"\n\xff", "'x.toml' line 2 is not UTF-8 text"),
        (None, "--config: cannot read 'x.toml': No such file or directory"),
    ],
)
def test_what_a_toml_file_cannot_mean_is_one_sentence(
    text: str | bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "x.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["config", "show", "--config", "x.toml"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"xtrader: {said}")
    assert told.count("\n") == 1


def test_where_files_go_is_said_for_each_kind_of_destination(tmp_path: Path) -> None:
    direct = shown(tmp_path, "XTRADER_OUTPUT_DIRECTORY=s3://bucket/a/\n")
    assert direct["XTRADER_OUTPUT_DIRECTORY"].value == "s3://bucket/a"
    assert (direct["XTRADER_UPLOAD_URL"].value, direct["XTRADER_UPLOAD_KEEP_LOCAL"].value) == (None, False)
    beside = shown(tmp_path, "XTRADER_OUTPUT_DIRECTORY=/data\nXTRADER_UPLOAD_URL=s3://bucket\n")
    assert beside["XTRADER_OUTPUT_DIRECTORY"].value == "/data"
    assert (beside["XTRADER_UPLOAD_URL"].value, beside["XTRADER_UPLOAD_KEEP_LOCAL"].value) == ("s3://bucket", True)
