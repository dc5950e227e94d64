"""Looking at a running recorder and at its recording, as a user does: commands, and a real terminal."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from tests.cli.process import xtrader
from tests.cli.terminal import Terminal, require_tmux, terminal
from tests.running import log_of, logged, recorder, stop
from tests.waiting import until, wait_until, within
from xtrader.cli.main import main
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth
from xtrader.look.lines import decimals, stamp

XTRADER = (sys.executable, "-m", "xtrader")
KEY = "OKX_SWAP@BTC-USDT-SWAP"
SYMBOL = "BTC-USDT-SWAP"
OTHER = "OKX_SWAP@ETH-USDT-SWAP"
WANTED = "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT,L2:OKX_SWAP@ETHUSDT"

Side = list[tuple[float, float]]


def true_books(truth: Truth) -> Iterator[tuple[int, Side, Side]]:
    """(sequence, bids, asks) after every true message, best first."""
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    for event in truth.books("OKX_SWAP", SYMBOL):
        for side, levels in zip(sides, (event.bids, event.asks), strict=True):
            for price, size in levels:
                side[float(price)] = float(size)
                if not float(size):
                    del side[float(price)]
        yield event.sequence, sorted(sides[0].items(), reverse=True), sorted(sides[1].items())


class Ran(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ran]]:
    """Runs the command line inside this process: a process of its own for each would cost too much."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        return Ran(code, *capsys.readouterr())

    yield call
    structlog.reset_defaults()


async def run(directory: Path, *arguments: str, within: float = 60) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(xtrader, directory, *arguments, timeout=within)


@asynccontextmanager
async def recording(directory: Path) -> AsyncIterator[tuple[Truth, asyncio.subprocess.Process]]:
    """An emulated venue and a recorder that has books."""
    async with Emulator(["OKX_SWAP"], instruments=2, rate=80, keep_truth=True) as emulator:
        assert emulator.truth is not None
        async with recorder(directory, WANTED, emulator.variables) as process:
            await logged(directory, '"recording"')
            yield emulator.truth, process


async def when_live(directory: Path) -> None:
    """Wait for the first book."""
    await asyncio.to_thread(wait_until, lambda: not xtrader(directory, "book", KEY, "data", "--format", "json").returncode)


def test_book_and_trades_are_what_the_venue_published_while_recording_and_afterwards(
    tmp_path: Path, command: Callable[..., Ran]
) -> None:
    async def session() -> Truth:
        async with recording(tmp_path) as (truth, process):
            await when_live(tmp_path)
            following = [
                await asyncio.create_subprocess_exec(*XTRADER, what, KEY, "data", "-f", "--format", "json", cwd=tmp_path, stdout=-1)
                for what in ("book", "trades")
            ]
            for follower in following:
                assert follower.stdout is not None
                followed.append([json.loads(await within(follower.stdout.readline())) for _ in range(30)])
                follower.terminate()
                await follower.wait()
            now.append(await run(tmp_path, "book", "okx_swap@btcusdt", "data", "--levels", "400", "--format", "json"))
            assert await stop(process) == 0, log_of(tmp_path)
            return truth

    followed: list[list[dict[str, object]]] = []
    now: list[subprocess.CompletedProcess[str]] = []
    truth = asyncio.run(session())
    true = {sequence: (bids, asks) for sequence, bids, asks in true_books(truth)}

    def check(book: dict[str, object], levels: int) -> None:
        bids, asks = true[book["sequence"]]  # type: ignore[index]
        assert [tuple(level) for level in book["bids"]] == bids[:levels]  # type: ignore[attr-defined]
        assert [tuple(level) for level in book["asks"]] == asks[:levels]  # type: ignore[attr-defined]

    books, prints = followed
    for book in books:
        assert book["state"] == "live"
        check(book, 10)
    assert len({book["sequence"] for book in books}) == len(books)
    assert now[0].returncode == 0, now[0].stderr
    check(json.loads(now[0].stdout), 400)
    numbers = [trade.id for trade in truth.trades("OKX_SWAP", SYMBOL)]
    first = numbers.index(str(prints[0]["trade_id"]))
    assert [one["trade_id"] for one in prints] == numbers[first : first + len(prints)]

    # The same book out of the files, at the time at which it was seen.
    then = command("book", KEY, "data", "--at", stamp(books[-1]["ts_recv"], 9), "--format", "json")  # type: ignore[arg-type]
    assert json.loads(then.out)["state"] == "recorded"
    check(json.loads(then.out), 10)
    all_trades = command("trades", KEY, "data", "--from", "2020-01-01", "--format", "json").out.splitlines()
    assert command("trades", KEY, "data", "--last", "7", "--format", "json").out.splitlines() == all_trades[-7:]
    ids = [json.loads(line)["trade_id"] for line in all_trades]
    assert ids == numbers[numbers.index(ids[0]) :][: len(ids)]
    stopped = command("book", KEY, "data", "--format", "compact")
    assert "LIVE" not in stopped.out
    assert "STOPPED (shutdown)" in stopped.out
    for name in ("x.png", "x.html"):
        assert command("plot", KEY, "data", "--output", name).code == 0
        assert (tmp_path / name).stat().st_size > 5000
    check_refusals(command)


def check_refusals(command: Callable[..., Ran]) -> None:
    for arguments, said in (
        (("book", "OKX_SWAP@BTCUSD", "data", "--at", "2026-01-01"), "did you mean"),
        (("book", "OKX_SWAP@BTCUSD", "data"), "did you mean"),
        (("book", "OKX_SWOP@BTCUSDT", "data"), "did you mean OKX_SWAP"),
        (("book", "BTCUSDT", "data"), "must be EXCHANGE@INSTRUMENT"),
        (("book", KEY, "nowhere"), "there is no directory"),
        (("book", KEY, "data", "--at", "noon"), "'noon' is no time"),
        (("book", KEY, "data", "--live", "--follow"), "contradict"),
        (("book", KEY, "data", "--live"), "needs a terminal"),
        (("trades", KEY, "data", "--follow", "--to", "2026-01-01"), "contradict"),
        (("trades", OTHER, "data", "--follow"), "are not recorded here"),
        (("trades", OTHER, "data"), "are recorded here; there is L2:OKX_SWAP@ETH-USDT-SWAP from 20"),
        (("trades", KEY, "data", "--from", "2026-01-02", "--to", "2026-01-01"), "--from '2026-01-02' is after --to '2026-01-01'"),
        (("plot", KEY, "data", "--output", "x.html", "--from", "2026-01-02", "--to", "2026-01-01"), "is after --to"),
        (("plot", KEY, "data", "--output", "x.pdf"), "ends in neither .png nor .html"),
        (("plot", KEY, "data", "--output", "x.png", "--to", "2020-01-01"), "there is one from"),
    ):
        ran = command(*arguments)
        assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
        assert said in ran.err
    none = command("trades", KEY, "data", "--to", "2020-01-01")
    assert (none.code, none.out, none.err.count("\n")) == (0, "", 1)
    assert "in this range; there are some from 20" in none.err
    future = command("trades", KEY, "data", "--from", "2100-01-01", "--last", "3")
    assert (future.code, future.out, future.err) == (0, "", none.err)
    early = command("book", KEY, "data", "--at", "2020-01-01")
    assert (early.code, early.err.count("\n")) == (1, 1)


def shown_levels(lines: list[str], width: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(bids, asks) of a ladder on the screen as (price, size), best first."""
    found = {mark: [tuple(line[:width].split()[1:3]) for line in lines if line.startswith(f"{mark} ")] for mark in "BS"}
    return found["B"], found["S"][::-1]  # type: ignore[return-value]


def since(lines: list[str]) -> str:
    """When the statistics on the screen begin."""
    return next((line.split()[2] for line in lines if line.startswith("── since")), "")


def is_true(shown: tuple[list[tuple[str, str]], list[tuple[str, str]]], truth: Truth) -> bool:
    """The ladder on the screen is one of the true books."""
    digits = max(decimals([float(size.replace(",", ""))]) for side in shown for _, size in side)
    for _, *sides in true_books(truth):
        if all(
            [(f"{price:,.1f}", f"{size:,.{digits}f}") for price, size in true[: len(side)]] == side
            for true, side in zip(sides, shown, strict=True)
        ):
            return True
    return False


@pytest.mark.parametrize(("width", "height", "quits"), [(80, 24, "q"), (200, 60, "C-c")])
def test_the_ladder_in_a_terminal_shows_the_true_book_obeys_its_keys_and_never_calls_a_dead_one_live(
    tmp_path: Path, width: int, height: int, quits: str
) -> None:
    require_tmux()

    async def session() -> None:
        async with recording(tmp_path) as (truth, process):
            await when_live(tmp_path)
            async with terminal(tmp_path, width, height, [*XTRADER, "book", KEY, "data", "--live"]) as screen:
                await screen.until(lambda text: " LIVE " in text and "spread" in text)
                await check_keys(screen, truth)
                process.kill()
                await process.wait()
                await screen.until(lambda text: " STALLED " in text and " LIVE " not in text)
                screen.press(quits)
                await screen.until(lambda text: "exit 0" in text)

    async def check_keys(screen: Terminal, truth: Truth) -> None:
        screen.press("p")
        await screen.until(lambda text: " PAUSED " in text)
        before: list[str] = []

        def is_still(text: str) -> bool:
            # A screen may be seen while it is being drawn.
            before.append(text.partition("\n")[2])
            return " PAUSED " in text and before[-2:-1] == before[-1:]

        paused = await screen.until(is_still)
        assert len(paused) == height
        assert max(map(len, paused)) <= width
        for named in ("q quit", "p pause", "m metrics", "s spread", "r reset", "b bars", "n next", "? help", "↑↓ scroll"):
            assert named in paused[-1]
        assert "updates/s" in "\n".join(paused)
        assert "spread, bps" in "\n".join(paused)
        still = await screen.until(lambda text: text.split("\n")[4:] == paused[4:])
        shown = shown_levels(still, width)
        # The ladder fills what metrics and chart leave.
        assert min(map(len, shown)) >= (height - 4 - 4 - height // 5 - 3) // 2 - 1
        assert is_true(shown, truth)
        screen.press("Up")
        await screen.until(lambda text: text.split("\n")[4:] != paused[4:])
        screen.press("b")
        await screen.until(lambda text: "bars total" in text)
        screen.press("m")
        await screen.until(lambda text: "updates/s" not in text and "spread, bps" in text)
        screen.press("s")
        await screen.until(lambda text: "spread, bps" not in text)
        screen.press("m")
        first = since(await screen.until(lambda text: "updates/s" in text))
        # Only a reset in another second can be told from the beginning.
        await until(lambda: stamp(time.time_ns(), 0)[11:-1] != first)
        screen.press("r")
        # PAUSED still: a reset is seen at once all the same.
        await screen.until(lambda text: " PAUSED " in text and since(text.split("\n")) != first)
        screen.press("s")
        screen.press("p")
        await screen.until(lambda text: " LIVE " in text and "spread, bps" in text)
        screen.press("n")
        await screen.until(lambda text: OTHER in text and " LIVE " in text)
        screen.press("n")
        await screen.until(lambda text: KEY in text and " LIVE " in text)

    asyncio.run(session())


def test_a_missing_optional_package_is_named_with_the_way_to_install_it() -> None:
    from xtrader.cli.looking import need
    from xtrader.errors import XTraderError

    with pytest.raises(XTraderError, match=r"needs the package no_such_thing, .* pip install 'xtrader\[live\]'"):
        need("live", "no_such_thing", "--live")


def test_following_ends_quietly_when_nobody_reads_any_more(tmp_path: Path) -> None:
    async def session() -> None:
        async with recording(tmp_path):
            await when_live(tmp_path)
            shell = f"{sys.executable} -m xtrader book {KEY} data -f --format compact | head -n 2; exit ${{PIPESTATUS[0]}}"
            reader = await asyncio.create_subprocess_exec("bash", "-c", shell, cwd=tmp_path, stdout=-1, stderr=-1)
            out, err = await within(reader.communicate())
            assert out.count(b"\n") == 2
            assert (reader.returncode, err) == (1, b"")
            followed = await asyncio.create_subprocess_exec(
                *XTRADER, "trades", KEY, "data", "-f", cwd=tmp_path, stdout=-1, stderr=-1
            )
            assert followed.stdout is not None
            await within(followed.stdout.readline())
            followed.send_signal(signal.SIGINT)
            _, err = await within(followed.communicate())
            assert followed.returncode == 130
            assert b"Traceback" not in err

    asyncio.run(session())
