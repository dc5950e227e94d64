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
    lines = [f"{name}={SECRET}" for name in secrets - {by_file}]
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


def test_where_files_go_is_said_for_each_kind_of_destination(tmp_path: Path) -> None:
    direct = shown(tmp_path, "XTRADER_OUTPUT_DIRECTORY=s3://bucket/a/\n")
    assert direct["XTRADER_OUTPUT_DIRECTORY"].value == "s3://bucket/a"
    assert (direct["XTRADER_UPLOAD_URL"].value, direct["XTRADER_UPLOAD_KEEP_LOCAL"].value) == (None, False)
    beside = shown(tmp_path, "XTRADER_OUTPUT_DIRECTORY=/data\nXTRADER_UPLOAD_URL=s3://bucket\n")
    assert beside["XTRADER_OUTPUT_DIRECTORY"].value == "/data"
    assert (beside["XTRADER_UPLOAD_URL"].value, beside["XTRADER_UPLOAD_KEEP_LOCAL"].value) == ("s3://bucket", True)
