from pathlib import Path

import platformdirs
import pytest

from xtrader import sinks, venues
from xtrader.errors import ConfigError, StorageError
from xtrader.quantities import log_level, log_levels, seconds, size
from xtrader.settings.destination import STORE_SECRETS
from xtrader.settings.directories import check_directories, collector_id
from xtrader.settings.http import SECRETS as HTTP_SECRETS
from xtrader.settings.load import FLAGS, VARIABLES, Settings, load
from xtrader.settings.secrets import with_credentials


def settings(flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, dotenv: Path | None = None) -> Settings:
    return load(flags or {}, environ or {}, dotenv)


def refusal(flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, dotenv: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(flags, environ, dotenv)
    return str(caught.value)


def dotenv(directory: Path, text: str) -> Path:
    path = directory / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_defaults_are_those_of_the_documentation() -> None:
    found = settings()
    assert found.subscriptions == ""
    assert (found.sinks, found.log_level, found.verbose, found.shutdown_after) == (("parquet",), "info", False, None)
    assert found.output_directory == Path.cwd() / "data"
    assert found.journal_directory == Path.cwd() / "data" / ".journal"
    assert (found.flush_interval, found.fsync_interval) == (0.09, 0.1)
    assert (found.rotate_seconds, found.catalogue_interval) == (900, 3600)
    assert (found.rotate_bytes, found.min_free_bytes, found.journal_max_bytes) == (2**30, 2**29, 2**34)
    assert found.raw_directory is None
    assert found.collector is None
    assert found.cache_directory.is_absolute()
    assert found.venue_options == {}
    assert found.warnings == ()


def test_flag_beats_environment_beats_dotenv_beats_default(tmp_path: Path) -> None:
    file = dotenv(tmp_path, "SUBSCRIPTIONS=from-file\nXTRADER_OUTPUT_DIRECTORY=/file\nXTRADER_LOG=debug\n")
    environ = {"SUBSCRIPTIONS": "from-environment", "XTRADER_OUTPUT_DIRECTORY": "/environment"}
    found = settings({"subscriptions": "from-flag", "output_directory": None}, environ, file)
    assert found.subscriptions == "from-flag"
    assert found.output_directory == Path("/environment")
    assert found.log_level == "debug"
    assert found.sinks == ("parquet",)


def test_an_empty_variable_means_the_default_and_hides_dotenv(tmp_path: Path) -> None:
    file = dotenv(tmp_path, "XTRADER_LOG=debug\nDERIBIT_CLIENT_ID=someone\n")
    found = settings({}, {"XTRADER_LOG": "", "DERIBIT_CLIENT_ID": ""}, file)
    assert found.log_level == "info"
    assert found.venue_options == {}


def test_a_flag_that_was_not_given_leaves_the_variable_alone() -> None:
    assert settings({"verbose": False}, {"XTRADER_VERBOSE": "yes"}).verbose


@pytest.mark.parametrize("text", ["100ms", "0.1", "0.1s", ".1 s", "100 MS"])
def test_an_interval_is_read_in_every_usual_form(text: str) -> None:
    assert settings({}, {"XTRADER_FSYNC_INTERVAL": text}).fsync_interval == pytest.approx(0.1)


@pytest.mark.parametrize(("text", "expected"), [("2ms", 0.002), ("10 ms", 0.01), ("0.09", 0.09)])
def test_rows_wait_as_long_as_the_user_says(text: str, expected: float) -> None:
    assert settings({}, {"XTRADER_FLUSH_INTERVAL": text}).flush_interval == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1048576", 1048576), ("512MiB", 2**29), ("512Mi", 2**29), ("1GB", 10**9), ("1.5kib", 1536), ("i", None), ("-1", None)],
)
def test_a_size_is_read_in_every_usual_form(text: str, expected: int | None) -> None:
    assert size(text) == expected


def test_what_is_no_duration_is_none() -> None:
    assert [seconds(text) for text in ("", "ms", "-1", "nan", "inf", "1e3", "10 minutes")] == [None] * 7
    assert seconds("15m") == 900


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"XTRADER_FLUSH_INTERVAL": "1ms"}, "XTRADER_FLUSH_INTERVAL '1ms' is not an interval from 2ms to 90ms, such as 10ms"),
        ({"XTRADER_FLUSH_INTERVAL": "0.1"}, "XTRADER_FLUSH_INTERVAL '0.1' is not an interval from 2ms to 90ms"),
        ({"XTRADER_FSYNC_INTERVAL": "0"}, "XTRADER_FSYNC_INTERVAL '0' is not an interval from 1ms to 60s"),
        ({"XTRADER_FSYNC_INTERVAL": "soon"}, "XTRADER_FSYNC_INTERVAL 'soon' is not an interval"),
        ({"XTRADER_CONNECTIONS": "3"}, "XTRADER_CONNECTIONS '3' is neither 1 nor 2"),
        ({"XTRADER_ROTATE_SECONDS": "7"}, "XTRADER_ROTATE_SECONDS '7' is not a whole number of seconds that divides a day"),
        ({"XTRADER_CATALOGUE_INTERVAL": "0"}, "XTRADER_CATALOGUE_INTERVAL '0' is not an interval from 1s to 24h, such as 1h"),
        ({"XTRADER_ROTATE_SECONDS": "0"}, "XTRADER_ROTATE_SECONDS '0' is not"),
        ({"XTRADER_ROTATE_SECONDS": "0.5"}, "XTRADER_ROTATE_SECONDS '0.5' is not a whole number"),
        ({"XTRADER_ROTATE_BYTES": "12"}, "XTRADER_ROTATE_BYTES '12' is not a size of at least 65536 bytes"),
        ({"XTRADER_MIN_FREE_BYTES": "lots"}, "XTRADER_MIN_FREE_BYTES 'lots' is not a size"),
        ({"XTRADER_COLLECTOR_ID": "Me!"}, "XTRADER_COLLECTOR_ID 'Me!' is not 1 to 32 of the characters"),
        ({"XTRADER_LOG": "loud"}, "XTRADER_LOG 'loud' is not one of error, warn, info, debug, trace, nor such as info,feed=debug"),
        ({"XTRADER_LOG": "fed=debug"}, "XTRADER_LOG 'fed=debug' names 'fed', which is no module; did you mean feed?"),
        ({"XTRADER_VERBOSE": "perhaps"}, "XTRADER_VERBOSE 'perhaps' is neither true nor false"),
        ({"XTRADER_SINK": "csv"}, "XTRADER_SINK 'csv' is not a sink; use parquet or questdb, or several with commas between"),
    ],
)
def test_a_bad_variable_is_named_with_its_value(environ: dict[str, str], sentence: str) -> None:
    assert refusal({}, environ).startswith(sentence)


@pytest.mark.parametrize("text", ["0", "-5", "soon", "", "nan"])
def test_the_time_after_which_to_stop_must_be_above_zero(text: str) -> None:
    assert refusal({"shutdown_after": text}) == f"--shutdown-after '{text}' is not a number of seconds above 0"


def test_sinks_are_a_list_each_named_once() -> None:
    assert settings({"sink": "parquet, QuestDB,parquet"}).sinks == ("parquet", "questdb")
    assert refusal({"sink": "parquet,"}) == "--sink '' is not a sink; use parquet or questdb, or several with commas between"
    assert refusal({"sink": "parqet"}) == "--sink 'parqet' is not a sink; did you mean parquet?"


def test_without_an_output_directory_the_journal_is_among_the_users_state() -> None:
    assert settings({"sink": "questdb"}).journal_directory == Path(platformdirs.user_state_dir("xtrader")) / "journal"
    assert settings({"sink": "questdb", "output_directory": "/srv/d"}).journal_directory == Path("/srv/d/.journal")
    assert settings({"sink": "parquet,questdb"}).journal_directory == Path("data").absolute() / ".journal"


def test_the_secrets_of_a_database_come_from_files_too_and_never_show(tmp_path: Path) -> None:
    secret_file(tmp_path / "secret", "very-secret-words\n")
    found = settings({}, {"QUESTDB_PASSWORD_FILE": str(tmp_path / "secret"), "QUESTDB_HOST": "db"})
    assert found.sink_options == {"QUESTDB_PASSWORD": "very-secret-words", "QUESTDB_HOST": "db"}
    assert "very-secret-words" in found.secrets
    assert "very-secret-words" not in repr(found)
    both = {"QUESTDB_PASSWORD_FILE": "x", "QUESTDB_PASSWORD": "y"}
    assert refusal({}, both) == "QUESTDB_PASSWORD and QUESTDB_PASSWORD_FILE are both set; keep one of them"


def test_a_misspelt_variable_of_the_database_is_told() -> None:
    (warning,) = settings({}, {"QUESTDB_HOSTS": "db"}).warnings
    assert warning.startswith("the variable QUESTDB_HOSTS is unknown and ignored; did you mean QUESTDB_HOST")


def test_an_error_from_dotenv_says_so(tmp_path: Path) -> None:
    assert refusal({}, {}, dotenv(tmp_path, "XTRADER_LOG=loud\n")).startswith(
        f"XTRADER_LOG in {tmp_path}/.env line 1 'loud' is not one of"
    )


@pytest.mark.parametrize("literal", ["${SUBSCRIPTIONS}", "$(SUBSCRIPTIONS)", "$SUBSCRIPTIONS", " ${SUBSCRIPTIONS} "])
def test_an_unexpanded_variable_is_refused_with_the_hint(literal: str) -> None:
    sentence = refusal({"subscriptions": literal})
    assert sentence.startswith(f"--subscriptions is the literal text '{literal.strip()}': the platform did not expand it")


def test_an_unexpanded_variable_is_replaced_by_the_variable_with_a_warning(tmp_path: Path) -> None:
    found = settings({"subscriptions": "${SUBSCRIPTIONS}"}, {"SUBSCRIPTIONS": "L2:OKX_SWAP@BTCUSDT"})
    assert found.subscriptions == "L2:OKX_SWAP@BTCUSDT"
    assert found.warnings == ("--subscriptions is the literal text ${SUBSCRIPTIONS}; the variable SUBSCRIPTIONS is used instead",)
    file = dotenv(tmp_path, "SUBSCRIPTIONS=from-file\n")
    assert settings({"subscriptions": "$(SUBSCRIPTIONS)"}, {}, file).subscriptions == "from-file"


def test_a_variable_that_is_itself_unexpanded_is_refused() -> None:
    assert "did not expand it" in refusal({"subscriptions": "${SUBSCRIPTIONS}"}, {"SUBSCRIPTIONS": "${SUBSCRIPTIONS}"})
    assert refusal({}, {"SUBSCRIPTIONS": "$(SUBSCRIPTIONS)"}).startswith("SUBSCRIPTIONS is the literal text '$(SUBSCRIPTIONS)'")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("info", "info"),
        ("WARNING", "warn"),
        ("xtrader=debug,info", "debug"),
        ("info,xtrader::feed=trace", "info,feed=trace"),
        ("feed=debug, rest = error,warn", "warn,feed=debug,rest=error"),
        ("error,hyper=debug", "error,hyper=debug"),
        ("off", "error"),
        ("nonsense", None),
    ],
)
def test_log_levels_are_read_as_rust_writes_them(text: str, level: str | None) -> None:
    levels = log_levels(text)
    assert (None if levels is None else log_level(levels)) == level


def test_rust_log_is_an_alias_that_never_stops_a_start() -> None:
    assert settings({}, {"RUST_LOG": "xtrader=debug,info"}).log_level == "debug"
    assert settings({}, {"RUST_LOG": "error", "XTRADER_LOG": "trace"}).log_level == "trace"
    assert settings({}, {"RUST_LOG": "hyper=debug,xtrader::feed=trace"}).log_level == "info,feed=trace"
    found = settings({}, {"RUST_LOG": "debug/regex"})
    assert found.log_level == "info"
    assert "RUST_LOG 'debug/regex' is not one of" in found.warnings[0]


def test_venue_options_are_collected_by_name(tmp_path: Path) -> None:
    file = dotenv(tmp_path, "DERIBIT_USE_TESTNET=false\nXTRADER_OKX_SWAP_REST_URL=http://file\n")
    environ = {"XTRADER_OKX_SWAP_WS_URL": "ws://host:1", "XTRADER_BINANCE_FUTURES_TRADES": "trade", "HOME": "/root"}
    found = settings({}, environ, file)
    assert found.venue_options == {
        "DERIBIT_USE_TESTNET": "false",
        "XTRADER_BINANCE_FUTURES_TRADES": "trade",
        "XTRADER_OKX_SWAP_REST_URL": "http://file",
        "XTRADER_OKX_SWAP_WS_URL": "ws://host:1",
    }
    assert found.warnings == ()


def test_an_unknown_variable_is_a_warning_with_near_matches() -> None:
    found = settings({}, {"XTRADER_FSYNC_INTERVALL": "1s", "XTRADER_OKX_SWOP_WS_URL": "ws://host", "XTRADER_ZZZ": "1"})
    assert "XTRADER_FSYNC_INTERVALL is unknown and ignored; did you mean XTRADER_FSYNC_INTERVAL or" in found.warnings[0]
    assert "XTRADER_OKX_SWOP_WS_URL is unknown and ignored; did you mean XTRADER_OKX_SWAP_WS_URL" in found.warnings[1]
    assert found.warnings[2] == "the variable XTRADER_ZZZ is unknown and ignored"


def test_every_documented_variable_is_known_and_every_known_one_documented(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
    documented = {line.lstrip("#").split("=")[0] for line in text.splitlines() if "=" in line and " " not in line.split("=")[0]}
    endpoints = {f"XTRADER_{exchange}_{kind}_URL" for exchange in venues.exchanges() for kind in ("WS", "REST")}
    files = {f"{name}_FILE" for name in (*venues.secrets(), *sinks.secrets(), *HTTP_SECRETS)}
    assert documented == {*FLAGS.values(), *VARIABLES, *venues.variables(), *sinks.variables(), *files, *endpoints}
    load({}, {}, dotenv(tmp_path, text))


def test_the_example_gives_the_defaults_that_venues_and_sinks_declare() -> None:
    lines = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8").splitlines()
    for name, (default, about) in {**venues.variables(), **sinks.variables()}.items():
        assert f"#{name}={default}" in lines
        assert not about or any(about in line for line in lines), name


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    secret_file(tmp_path / "secret", "hush\n")
    found = settings({}, {"DERIBIT_CLIENT_ID": "me", "DERIBIT_CLIENT_SECRET_FILE": str(tmp_path / "secret")})
    assert found.venue_options == {"DERIBIT_CLIENT_ID": "me", "DERIBIT_CLIENT_SECRET": "hush"}
    assert found.secrets == ("hush",)


def test_no_secret_shows_in_a_repr() -> None:
    assert "hush" not in repr(settings({}, {"DERIBIT_CLIENT_ID": "me", "DERIBIT_CLIENT_SECRET": "hush"}))


def test_a_secret_given_twice_or_from_an_unusable_file_is_refused(tmp_path: Path) -> None:
    both = {"DERIBIT_CLIENT_SECRET": "hush", "DERIBIT_CLIENT_SECRET_FILE": "/x"}
    assert refusal({}, both) == "DERIBIT_CLIENT_SECRET and DERIBIT_CLIENT_SECRET_FILE are both set; keep one of them"
    missing = refusal({}, {"DERIBIT_CLIENT_SECRET_FILE": str(tmp_path / "no")})
    assert missing == f"DERIBIT_CLIENT_SECRET_FILE: cannot read '{tmp_path / 'no'}': No such file or directory"
    secret_file(tmp_path / "empty", "\n")
    assert "is empty" in refusal({}, {"DERIBIT_CLIENT_SECRET_FILE": str(tmp_path / "empty")})


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_a_secret_that_everybody_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    secret_file(tmp_path / "secret", "hush\n").chmod(mode)
    told = refusal({}, {"QUESTDB_PASSWORD_FILE": str(tmp_path / "secret")})
    assert told.startswith(f"QUESTDB_PASSWORD_FILE: everybody on this machine can read '{tmp_path}/secret' (mode {mode:04o}); ")
    assert "hush" not in told


def test_every_secret_of_a_store_may_be_a_file_and_the_stores_own_files_stay_theirs(tmp_path: Path) -> None:
    given = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token", "AWS_REGION": "eu-west-1"}
    for name in STORE_SECRETS:
        given[f"{name}_FILE"] = str(secret_file(tmp_path / name, f"hush {name}"))
    found = settings({}, given)
    assert found.store_variables == {
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
        "AWS_REGION": "eu-west-1",
        **{name: f"hush {name}" for name in STORE_SECRETS},
    }
    assert {f"hush {name}" for name in STORE_SECRETS} <= set(found.secrets)


def test_what_a_service_manager_hands_over_is_used_where_no_variable_says_otherwise(tmp_path: Path) -> None:
    for name in ("QUESTDB_PASSWORD", "xtrader_DERIBIT_CLIENT_SECRET", "xtrader_AWS_SECRET_ACCESS_KEY", "QUESTDB_TOKEN"):
        secret_file(tmp_path / name, name)
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path), "QUESTDB_TOKEN": "by variable"}
    assert with_credentials(given, ["QUESTDB_PASSWORD", "DERIBIT_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "QUESTDB_TOKEN"]) == {
        **given,
        "QUESTDB_PASSWORD_FILE": str(tmp_path / "QUESTDB_PASSWORD"),
        "DERIBIT_CLIENT_SECRET_FILE": str(tmp_path / "xtrader_DERIBIT_CLIENT_SECRET"),
        "AWS_SECRET_ACCESS_KEY_FILE": str(tmp_path / "xtrader_AWS_SECRET_ACCESS_KEY"),
    }
    assert with_credentials({"A": "b"}, ["QUESTDB_PASSWORD"]) == {"A": "b"}


def test_quotes_round_the_subscriptions_are_not_part_of_them() -> None:
    wanted = "L2:OKX_SWAP@BTCUSDT,TRADES:DERIBIT@BTC-PERPETUAL"
    assert settings({}, {"SUBSCRIPTIONS": f'"{wanted}"'}).subscriptions == wanted


def test_dotenv_values_are_literal(tmp_path: Path) -> None:
    text = "\ufeff# note\nexport A=1\n\nXTRADER_OUTPUT_DIRECTORY='/a ${HOME} #b'  # why\nSUBSCRIPTIONS=\"x,\ny\"\n"
    found = settings({}, {}, dotenv(tmp_path, text))
    assert found.output_directory == Path("/a ${HOME} #b")
    assert found.subscriptions == "x,\ny"


@pytest.mark.parametrize(
    ("text", "line"),
    [("A=1\n\n\nfoo bar\n", 4), ("A=1\nB\n", 2), ("=x\n", 1), ("A=1\n  \nB='open\n", 3), ("A='1\n2'\n[section]\nx\n", 3)],
)
def test_a_broken_dotenv_names_file_and_line(tmp_path: Path, text: str, line: int) -> None:
    file = dotenv(tmp_path, text)
    assert refusal({}, {}, file) == f"'{file}' line {line} is not an assignment such as NAME=value"


def test_an_unreadable_dotenv_is_refused_and_an_absent_one_is_fine(tmp_path: Path) -> None:
    assert refusal({}, {}, tmp_path) == f"cannot read '{tmp_path}': Is a directory"
    (tmp_path / ".env").write_bytes(b"A=1\nB=\xff\n")
    assert refusal({}, {}, tmp_path / ".env") == f"'{tmp_path / '.env'}' line 2 is not UTF-8 text"
    assert settings({}, {}, tmp_path / "absent").sinks == ("parquet",)


def test_directories_are_made_or_refused(tmp_path: Path) -> None:
    check_directories(settings({"output_directory": str(tmp_path / "a" / "b")}))
    assert (tmp_path / "a" / "b" / ".journal").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write to the output directory '.*/file/data': Not a directory"):
        check_directories(settings({"output_directory": str(tmp_path / "file" / "data")}))


def test_a_collector_keeps_its_name_beside_its_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = settings({"output_directory": str(tmp_path)})
    monkeypatch.setattr("socket.gethostname", lambda: "Host_1.example.org")
    first = collector_id(wanted)
    assert first.startswith("host-1-example-org-")
    assert len(first) <= 32
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert collector_id(wanted) == first
    other = settings({"output_directory": str(tmp_path)}, {"XTRADER_COLLECTOR_ID": "mine"})
    with pytest.raises(ConfigError, match=f"belongs to collector '{first}', not to 'mine'"):
        collector_id(other)


def test_a_collector_takes_the_name_it_is_given(tmp_path: Path) -> None:
    assert collector_id(settings({"output_directory": str(tmp_path)}, {"XTRADER_COLLECTOR_ID": "mine"})) == "mine"


def test_a_collector_id_that_cannot_be_kept_is_a_failure_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no directory")
    wanted = settings({"output_directory": str(tmp_path / "data")})
    with pytest.raises(StorageError):
        collector_id(wanted)
