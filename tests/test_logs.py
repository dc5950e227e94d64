import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from xtrader import logs


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
