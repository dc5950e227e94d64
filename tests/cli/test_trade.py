"""`xtrader trade` as a user types it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from tests.cli.process import xtrader
from tests.trading.days import recording, strategy_file
from xtrader.cli.main import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recording(tmp_path_factory.mktemp("day"), seconds=8)


@pytest.fixture
def command(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """Runs the command line inside this process, in a directory with a strategy and the recording `day`."""
    monkeypatch.chdir(tmp_path)
    strategy_file(tmp_path)
    (tmp_path / "day").symlink_to(day)

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(("trade", *arguments))
        return Ran(code, *capsys.readouterr())

    yield call
    structlog.reset_defaults()


def digest(ran: Ran) -> str:
    return re.findall(r"^digest ([0-9a-f]{64})$", ran.out, re.MULTILINE)[0]


def test_a_run_is_listed_reported_and_decided_again(command: Callable[..., Ran]) -> None:
    first = command("--strategy", "follower.py", "day")
    assert (first.code, first.err) == (0, "")
    name = first.out.splitlines()[-1].rpartition("/")[2]
    listed = command("runs")
    assert name in listed.out
    assert digest(first)[:12] in listed.out
    assert command("report", name).out == "\n".join(first.out.splitlines()[:-1]) + "\n"
    found = json.loads(command("report", name, "--json", "-").out)
    assert found["digest"] == digest(first)
    assert command("report", name, "--json", "r.json").code == 0
    assert json.loads(Path("r.json").read_text()) == found
    assert command("report", name, "--html", "r.html").code == 0
    assert digest(first) in Path("r.html").read_text()
    again = command("verify", name)
    assert (again.code, again.out.split(":")[0]) == (0, "the same")


def test_a_digest_that_is_not_the_expected_one_ends_with_3(command: Callable[..., Ran]) -> None:
    first = command("run", "--strategy", "follower.py", "day")
    same = command("--mode", "replay", "--strategy", "follower.py", "day", "--expect-digest", digest(first)[:8])
    assert same.code == 0
    other = command("--strategy", "follower.py", "--param", "size=0.1", "day", "--expect-digest", digest(first))
    assert other.code == 3
    assert "the decisions differ" in other.err


def test_a_run_whose_decisions_differ_is_shown_with_1(command: Callable[..., Ran]) -> None:
    path = Path(command("--strategy", "follower.py", "day").out.splitlines()[-1].removeprefix("everything is in "))
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["params"] = {"size": "0.1"}
    (path / "manifest.json").write_text(json.dumps(manifest))
    found = command("verify", str(path))
    assert found.code == 1
    assert "row 0 differs after 0 that are the same" in found.out


def test_the_limits_in_force_say_who_set_them(command: Callable[..., Ran]) -> None:
    Path("config").mkdir()
    Path("config/limits.toml").write_text("[max_loss]\ndaily_usd = 300\n")
    found = command("limits", "--profile", "conservative").out
    assert re.search(r"^max_loss\.daily_usd +100  profile conservative$", found, re.MULTILINE)
    assert re.search(r"^max_loss\.daily_usd +300  config/limits\.toml:2$", command("limits").out, re.MULTILINE)
    assert re.search(r"^slippage\.max_bps +25  default$", found, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--strategy", "simple_spred", "day"), "did you mean simple_spread?"),
        (("--strategy", "none.py", "day"), "cannot be read: No such file"),
        (("--strategy", "follower.py", "nowhere"), "there is no recording in nowhere"),
        (("--strategy", "follower.py", "day", "--param", "size"), "give NAME=VALUE"),
        (("--strategy", "follower.py", "day", "--param", "sise=1"), "did you mean size?"),
        (("--strategy", "follower.py", "day", "--capital", "USDT"), "give ASSET=AMOUNT"),
        (("--strategy", "follower.py", "day", "--maker-bps", "x"), "--maker-bps 'x' is no fee"),
        (("--strategy", "follower.py", "day", "--entry-delay", "soon"), "--entry-delay 'soon' is no delay"),
        (("--strategy", "follower.py", "day", "--queue", "fifo"), "there is no queue model 'fifo'"),
        (("--strategy", "follower.py", "day", "--expect-digest", "xyz"), "is no digest"),
        (("--strategy", "follower.py", "day", "--from", "noon"), "'noon' is no time"),
        (("--strategy", "follower.py", "day", "--mode", "live"), "'live' is not one of 'replay', 'paper', 'simulated'"),
        (("--strategy", "follower.py", "day", "--shutdown-after", "1s"), "--shutdown-after is for paper runs"),
        (("--strategy", "follower.py", "day", "--mode", "paper", "--shutdown-after", "x"), "--shutdown-after 'x' is no time"),
        (("--strategy", "follower.py", "day", "--mode", "paper"), "xtrader: there is no journal of a recorder in"),
        (("--strategy", "follower.py"), "Missing argument"),
        (("report", "none"), "there is no run 'none' in 'runs'"),
        (("verify", "none"), "there is no run 'none' in 'runs'"),
        (("limits", "--limits", "none.toml"), "cannot be read: No such file"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(command: Callable[..., Ran], arguments: tuple[str, ...], words: str) -> None:
    found = command(*arguments)
    assert (found.code, found.out) == (2, "")
    assert words in found.err
    assert "Traceback" not in found.err
    assert not Path("runs").exists()


def test_the_command_that_prints_trades_is_another_one(tmp_path: Path) -> None:
    shown = xtrader(tmp_path, "trade", "--help")
    assert shown.returncode == 0
    assert {"run", "runs", "report", "verify", "limits"} <= set(shown.stdout.split())
    assert "Show the trades of an instrument" in xtrader(tmp_path, "trades", "--help").stdout


def test_other_commands_do_not_load_it(tmp_path: Path) -> None:
    import subprocess

    code = "import xtrader.cli.main, sys; print([name for name in sys.modules if name.startswith('xtrader.trading')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_breaker_of_paper_runs_is_shown_and_reset(command: Callable[..., Ran], capsys: pytest.CaptureFixture[str]) -> None:
    from xtrader.trading.halt_latch import HaltLatch, write_latch

    assert main(("breaker", "show")) == 0
    assert capsys.readouterr().out == "nothing is latched\n"
    assert main(("breaker", "reset", "--reason", "x")) == 2
    assert "no breaker is latched" in capsys.readouterr().err
    write_latch(Path("runs"), HaltLatch("the price jumped", 10**18))
    assert main(("breaker", "show")) == 0
    assert "halted: the price jumped\nstopped by a loss until 2001-09-09" in capsys.readouterr().out
    assert main(("breaker", "reset", "--reason", "it was a test")) == 0
    assert "it was: the price jumped" in capsys.readouterr().out
    assert main(("breaker", "show")) == 0
    assert "it was a test (was: the price jumped)" in capsys.readouterr().out


def test_a_strategy_is_begun_by_name(command: Callable[..., Ran], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("strategy", "new", "my_maker")) == 0
    assert capsys.readouterr().out.split() == ["my_maker.py", "my_maker.toml", "test_my_maker.py"]
    assert command("--strategy", "my_maker.py", "day").code == 0
    assert main(("strategy", "new", "my_maker")) == 2
    assert "is there already" in capsys.readouterr().err


def test_the_shipped_files_say_what_holds_without_them(command: Callable[..., Ran]) -> None:
    shipped = Path(__file__).parents[2] / "config"
    found, without = (command("limits", *more).out.splitlines()[-1] for more in (("--limits", str(shipped / "limits.toml")), ()))
    assert found == without
    from xtrader.trading.strategies.simple_spread import SimpleSpreadParams
    from xtrader.trading.strategy_files import load_strategy, parameters, params_of

    name, told = params_of("simple_spread", shipped / "strategy.toml")
    assert parameters(load_strategy("simple_spread"), told, str(name)) == SimpleSpreadParams()
