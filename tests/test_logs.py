import asyncio
import contextlib
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import structlog

from tests.running import log_of, recorder, stop
from tests.waiting import until
from xtrader import logs
from xtrader.emulator.server import Emulator
from xtrader.errors import ConfigError
from xtrader.ops.ask import Asking
from xtrader.quantities import MODULES


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_a_utc_time_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", warnings=["mind the gap"])
    structlog.get_logger("x").info("connected", exchange="OKX_SWAP", seconds=1.5)
    first, second = lines(capsys)
    assert (first["event"], first["level"], first["about"]) == ("configuration", "warning", "mind the gap")
    assert str(second.pop("time")).endswith("Z")
    assert second == {"event": "connected", "level": "info", "exchange": "OKX_SWAP", "seconds": 1.5}


def test_levels_below_the_chosen_one_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("warn")
    structlog.get_logger("x").info("quiet")
    logging.getLogger("websockets").info("quiet")
    structlog.get_logger("x").warning("loud")
    logging.getLogger("asyncio").error("a task failed: %s", "why")
    assert [line["event"] for line in lines(capsys)] == ["loud", "a task failed: why"]


def test_no_secret_reaches_a_line_in_any_shape(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", secrets=["hush", "hush-longer", ""])
    log = structlog.get_logger("x")
    log.info("a hush here", client_secret="abc", params={"refresh_token": "def", "deep": [b"x hush y", ("hush-longer",)]})
    log.info("url", url="wss://user:abc@host/path", api_key="abc", token=None)
    try:
        raise ValueError("hush inside")
    except ValueError:
        log.exception("failed")
    logging.getLogger("lib").warning("said %s", "hush")
    text = capsys.readouterr().err
    assert "hush" not in text
    assert "abc" not in text
    assert "def" not in text.replace("/def", "")
    assert "ValueError: *** inside" in text
    assert "wss://***@host/path" in text


def test_a_short_secret_is_masked_as_a_word_and_other_words_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", secrets=["me", "a", "7"])
    structlog.get_logger("x").info("said", about="some name at 7 of 17: me, a 'me' is meant, user_me", code=17)
    (line,) = lines(capsys)
    assert line["about"] == "some name at *** of 17: ***, *** '***' is meant, user_***"
    assert (line["event"], line["code"]) == ("said", 17)


def test_a_log_file_gets_all_lines_as_json_and_is_rotated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.log"
    logs.set_up("info", secrets=[CANARY], log_to=(str(path), 2000, 2))
    log = structlog.get_logger("x")
    for number in range(200):
        log.info(f"line {number}", about=CANARY)
    assert capsys.readouterr().err == ""
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2"]
    files = [tmp_path / name for name in ("x.log.2", "x.log.1", "x.log")]
    said = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert all(file.stat().st_size <= 2000 for file in files)
    numbers = [int(line["event"].split()[1]) for line in said]
    assert numbers == list(range(numbers[0], 200))
    assert CANARY not in str(said)


def test_a_log_file_that_somebody_moves_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    logs.set_up("info", log_to=(str(path), 2**16, 0))
    structlog.get_logger("x").info("one")
    path.rename(tmp_path / "moved")
    structlog.get_logger("x").info("two")
    assert [json.loads(file.read_text())["event"] for file in (tmp_path / "moved", path)] == ["one", "two"]
    with pytest.raises(ConfigError, match="cannot write the log file"):
        logs.set_up("info", log_to=(str(tmp_path), 2**16, 0))


def test_several_processes_lose_no_line_of_one_log_file(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    code = (
        "import sys, structlog; from xtrader import logs; logs.set_up('info', log_to=(sys.argv[1], 20000, 1000))\n"
        "for n in range(500): structlog.get_logger('x').info(f'{sys.argv[2]} {n}')\n"
        "import warnings; warnings.warn('mind the gap')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(number)]) for number in range(3)]
    assert [one.wait(60) for one in running] == [0, 0, 0]
    said = [json.loads(line)["event"] for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert sum("UserWarning: mind the gap" in one for one in said) == 3
    assert sorted(one for one in said if "UserWarning" not in one) == sorted(
        f"{number} {n}" for number in range(3) for n in range(500)
    )
    assert len(list(tmp_path.iterdir())) > 3


def test_every_process_of_a_recorder_writes_the_log_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "x.log"
    variables = {"XTRADER_SINK": "parquet,questdb", "QUESTDB_HTTP_PORT": "1", "QUESTDB_ILP_PORT": "1", "XTRADER_LOG": "debug"}

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
            environ = {**variables, **emulator.variables, "XTRADER_DRAIN": "1s"}
            async with recorder(tmp_path, "L2:OKX_SWAP@BTCUSDT", environ, "--log-file", str(path)) as process:
                await until(lambda: path.exists() and "sink_waits" in path.read_text())
                assert await stop(process) == 75

    asyncio.run(main())
    assert log_of(tmp_path) == ""
    assert {"settings", "sink_waits", "stopped"} <= {json.loads(line)["event"] for line in path.read_text().splitlines()}


def test_a_closed_standard_error_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    logs.set_up("info")
    with open("/dev/null", "w") as gone:
        pass
    monkeypatch.setattr("sys.stderr", gone)
    structlog.get_logger("x").info("nobody hears this")
    heard = io.StringIO()
    monkeypatch.setattr("sys.stderr", heard)
    structlog.get_logger("x").info("somebody hears this")
    assert [json.loads(line)["event"] for line in heard.getvalue().splitlines()] == ["somebody hears this"]


CANARY = "c4n4ry-of-a-s3cret"


@pytest.mark.parametrize(
    "text",
    [
        f"wss://venue/ws?streams=btcusdt&listenKey={CANARY}&x=1",
        f"GET https://venue/api?symbol=BTC&signature={CANARY}: HTTP 500",
        f"https://me:{CANARY}@proxy:3128",
        f'{{"jsonrpc":"2.0","result":{{"access_token":"{CANARY}","scope":"connection"}}}}',
        f"{{'client_secret': '{CANARY}', 'grant_type': 'client_credentials'}}",
        f"Authorization: Bearer {CANARY}",
        f"headers {{'X-API-KEY': '{CANARY}'}}",
        f"sent Basic {CANARY} to it",
        f"http::addr=db:9000;username=u;password={CANARY};",
        f"AWS_SECRET_ACCESS_KEY={CANARY}",
        f"Cookie: session={CANARY}",
    ],
)
def test_what_stands_behind_the_name_of_a_secret_is_masked_in_any_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    structlog.get_logger("x").info("said", about=text, deep={"list": [text]})
    try:
        raise OSError(text)
    except OSError:
        structlog.get_logger("x").exception("failed")
    logging.getLogger("lib").error(text)
    assert CANARY not in capsys.readouterr().err


@pytest.mark.parametrize("text", ['c4n"ry/ä %s3cret', "back\\slash+and space", CANARY])
def test_a_known_secret_is_masked_however_a_text_writes_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", secrets=[text])
    shapes = [text, json.dumps(text), json.dumps(text, ensure_ascii=False), repr(text), quote(text, safe=""), quote_plus(text)]
    structlog.get_logger("x").info("said", shapes=shapes, frame=text.encode(), about=f"with {text} inside")
    said = capsys.readouterr().err
    assert not any(shape.strip("\"'") in json.loads(said)["about"] + str(json.loads(said)["shapes"]) for shape in shapes)
    assert json.loads(said)["frame"] == "***"


def test_harmless_texts_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    harmless = 'OKX_SWAP: 60012 Invalid request: {"op": "subscribe"}; wss://ws.okx.com:8443/ws/v5/public, key by key'
    structlog.get_logger("x").info("said", about=harmless)
    assert lines(capsys)[0]["about"] == harmless


def test_a_long_frame_is_looked_through_in_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    structlog.get_logger("x").info("said", frame="token" * 200_000, other="x" * 1_000_000, names="a-" * 500_000)
    assert len(capsys.readouterr().err) > 3_000_000


def test_modules_have_levels_of_their_own_which_can_be_changed(capsys: pytest.CaptureFixture[str]) -> None:
    def say() -> list[object]:
        for module in ("feed", "rest"):
            for level in ("debug", "info", "warning"):
                getattr(structlog.get_logger(f"xtrader.{module}"), level)(f"{module} {level}")
        return [line["event"] for line in lines(capsys)]

    logs.set_up("warn,feed=debug")
    assert say() == ["feed debug", "feed info", "feed warning", "rest warning"]
    assert logs.change("rest", "info") == "warn,feed=debug,rest=info"
    assert say() == ["feed debug", "feed info", "feed warning", "rest info", "rest warning"]
    assert logs.change("all", "error") == "error"
    assert say() == []
    for module, level in (("fed", "debug"), ("feed", "loud")):
        with pytest.raises(ConfigError):
            logs.change(module, level)


def test_every_logger_of_ours_belongs_to_a_module_that_can_be_named() -> None:
    found = set()
    for path in Path(logs.__file__).parent.rglob("*.py"):
        found |= set(re.findall(r"get_logger\((.*?)\)", path.read_text()))
    assert found == {"OWN", '"xtrader"', *(f'"xtrader.{module}"' for module in MODULES)}


def test_what_is_said_again_and_again_is_said_a_few_times_and_counted() -> None:
    now = [0.0]
    limit = logs.Repetition(lambda: now[0])
    logger = logs.Output("xtrader.feed")

    def passes(event: str) -> dict[str, object] | None:
        with contextlib.suppress(structlog.DropEvent):
            return dict(limit(logger, "warning", {"event": event}))
        return None

    heard = [passes("lost") for _ in range(1000)]
    assert heard[: logs.BURST] == [{"event": "lost"}] * logs.BURST
    assert set(map(str, heard[logs.BURST :])) == {"None"}
    assert passes("found") == {"event": "found"}
    now[0] = logs.PERIOD
    assert passes("lost") == {"event": "lost", "not_logged": 1000 - logs.BURST}
    assert passes("lost") == {"event": "lost"}
    for number in range(3 * logs.KINDS):
        assert passes(f"event {number}") is not None
    assert len(limit._seen) <= logs.KINDS


def test_no_secret_of_a_running_recorder_reaches_its_log_or_its_facts_from_any_of_its_processes(tmp_path: Path) -> None:
    variables = {
        "XTRADER_SINK": "parquet,questdb",
        "QUESTDB_HOST": "127.0.0.1",
        "QUESTDB_HTTP_PORT": "1",
        "QUESTDB_ILP_PORT": "1",
        "QUESTDB_USERNAME": "me",
        "QUESTDB_PASSWORD": CANARY,
        "DERIBIT_CLIENT_ID": "me",
        "DERIBIT_CLIENT_SECRET": CANARY,
        "AWS_SECRET_ACCESS_KEY": CANARY,
        "HTTPS_PROXY": f"http://me:{CANARY}@127.0.0.1:1",
        "NO_PROXY": "127.0.0.1",
        "XTRADER_LOG": "debug",
    }

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=100) as emulator:
            wanted = "L2:OKX_SWAP@BTCUSDT,L2:DERIBIT@BTC-PERPETUAL"
            dead = {"XTRADER_DERIBIT_WS_URL": f"ws://me:{CANARY}@127.0.0.1:1", "XTRADER_DERIBIT_REST_URL": "http://127.0.0.1:1"}
            async with recorder(tmp_path, wanted, {**variables, **emulator.variables, **dead}, "--verbose", "--offline-names"):
                await until(lambda: all(word in log_of(tmp_path) for word in ("sink_waits", "disconnected")))
                with Asking(tmp_path / "data" / ".journal") as asking:
                    assert CANARY not in asking.ask("facts").decode()

    asyncio.run(main())
    assert CANARY not in log_of(tmp_path)
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    waits = [json.loads(line) for line in log_of(tmp_path).splitlines() if "sink_waits" in line]
    assert waits[0]["level"] == "warning"
