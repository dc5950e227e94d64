"""The page of a running recorder in a real browser: what is ill can be seen at a glance, by whoever looks, on whatever screen."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.objectstore import free_port
from tests.ops.browser import chromium, opened, shot, words
from tests.ops.made import facts, sink, subscription
from tests.ops.served import answers, served, variables
from tests.pipeline.loops import in_loop
from tests.running import in_sync, recorder
from xtrader.app.serving import listening
from xtrader.emulator.server import Emulator
from xtrader.ops.door import Caller, Door
from xtrader.ops.facts import ConnectionFacts, ExchangeFacts, Facts, Histogram, JournalFacts
from xtrader.ops.http.spec import ServeSpec
from xtrader.settings.http import Http

SECOND = 10**9
LIST = "L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:OKX_SWAP@BTC-USDT-SWAP,L2:BINANCE_FUTURES@BTCUSDT,TRADES:BINANCE_FUTURES@BTCUSDT"


CLOSED = "the venue closed the connection [1006]"


def connection(name: str, state: str, since: int, carries: int, lost: int, error: str) -> ConnectionFacts:
    place = (f"BINANCE_FUTURES/{name}", "BINANCE_FUTURES", "fstream.example:443")
    return ConnectionFacts(*place, state, since, since, 5, carries, lost, {"disconnect": lost}, 0, error, 0, 0.1, 0.2)


def thousand() -> Facts:
    """A thousand subscriptions, seven of which are not well, as of now."""
    now = time.time_ns()
    names = [f"{stream}:BINANCE_FUTURES@S{n:03}USDT" for n in range(500) for stream in ("L2", "TRADES")]
    ill: dict[int, dict[str, Any]] = {
        402: {"state": "gap", "cause": "disconnect", "detail": CLOSED, "gaps": {"disconnect": 3}},
        118: {"state": "rejected", "cause": "unsubscribed", "detail": "Invalid symbol.", "gaps": {"unsubscribed": 1}},
        77: {"state": "syncing", "cause": "venue_gap", "detail": "waiting for a snapshot", "gaps": {"venue_gap": 1}},
        250: {"book": "shallow", "depth": 1000, "deepest": 5000},
        600: {"ts_last": now - 95 * SECOND, "silence_limit": 20.0},
    }
    found = []
    for n, name in enumerate(names):
        plain: dict[str, Any] = {"since": now - 7200 * SECOND, "ts_last": now - SECOND // 3, "rate": 12.5, "silence_limit": 3600.0}
        plain |= {"connections": ("BINANCE_FUTURES/0",)}
        if n in ill and n not in (250, 600):
            plain |= {"since": now - (400 + n) * SECOND, "rate": 0.0, "connections_live": 0}
        found.append(subscription(name, **{**plain, **ill.get(n, {})}))
    lag = Histogram((*[0] * 22, 900, 80, 15, 4, 1), 3.0, 0.06)
    commits = Histogram((*[0] * 20, 500, 30, 2), 1.0, 0.004)
    return facts(
        *found,
        ts=now,
        started=now - 7200 * SECOND,
        versions={"xtrader": "1.2.3"},
        sinks=(sink("files", since=now, rows=123_456, behind_bytes=3 << 20, behind_seconds=0.4),),
        exchanges=(ExchangeFacts("BINANCE_FUTURES", "production", lag, lag, lag, -0.0021, 0.001),),
        journals=(JournalFacts("j", 3 << 30, 16 << 30, 80 << 30, 1 << 29, True, 5, 5, 0.1, 9, commits, 0),),
        connections=(connection("0", "open", now, 900, 0, ""), connection("1", "waiting", now - 9 * SECOND, 100, 3, CLOSED)),
    )


@asynccontextmanager
async def serving(directory: Path, told: list[Facts]) -> AsyncIterator[str]:
    """The real process that serves, for a door that tells the last of `told`, brought up to now; where it serves."""

    async def tell(caller: Caller, said: Mapping[str, Any]) -> Facts:
        return msgspec.structs.replace(told[-1], ts=time.time_ns())

    door = Door(directory, {"facts": tell})
    await door.open()
    with listening(Http(port=free_port(), is_named=True)) as where:
        assert where is not None
        spec = ServeSpec(str(directory), "", where.socket.fileno(), where.address, (), None, 1000, "info")
        command = (sys.executable, "-m", "xtrader", "_serve")
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, pass_fds=(spec.descriptor,)
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(spec) + b"\n")
        try:
            yield where.url
        finally:
            process.kill()
            await process.wait()
            await door.close()


@in_loop
async def test_of_a_thousand_subscriptions_the_ill_ones_are_seen_first_in_every_light_and_size(tmp_path: Path) -> None:
    async with serving(tmp_path, [thousand()]) as url, chromium() as browser:
        await answers(f"{url}/page.json", lambda one: one.status == 200 and one.value["facts"])
        for size, scheme in (("desk", "light"), ("desk", "dark"), ("phone", "light"), ("phone", "dark")):
            began = time.monotonic()
            async with opened(browser, url, size, scheme) as page:
                await page.wait_for_selector("#rows .row")
                print(f"{size}, {scheme}: rows after {time.monotonic() - began:.2f} s")
                assert await words(page, "#headline", "ill") == "RECORDING, but 4 subscriptions are ill"
                first = await page.locator("#rows .row").all_inner_texts()
                order = ("L2:BINANCE_FUTURES@S059USDT", "L2:BINANCE_FUTURES@S201USDT", "L2:BINANCE_FUTURES@S300USDT")
                assert [text.split()[0] for text in first[:3]] == list(order)
                assert "rejected" in first[0]
                assert len(first) < 80
                troubles = await page.inner_text("#troubles")
                assert "the venue closed the connection [1006]" in troubles
                assert " UTC, " in troubles
                await page.wait_for_function("() => document.querySelector('#rows canvas').width > 1 || innerWidth < 720")
                await shot(page, tmp_path, f"thousand-{size}-{scheme}")
                if size == "desk":
                    await page.keyboard.press("/")
                    await page.keyboard.type("s499 trades")
                    await words(page, "#count", "1 of 1,000")
                    await page.keyboard.press("Escape")
                    await words(page, "#count", "1,000")
                    for _ in range(3):
                        await page.keyboard.press("ArrowDown")
                    assert (await page.inner_text("#rows .chosen")).startswith("L2:BINANCE_FUTURES@S300USDT")


@in_loop
async def test_what_the_venue_says_is_text_and_never_markup(tmp_path: Path) -> None:
    text = "<img src=x onerror=document.title='broken'><script>document.title='broken'</script>"
    odd = facts(subscription("L2:OKX_SWAP@<b>X", state="gap", cause="malformed", detail=text), collector=text, sinks=(sink(),))
    async with serving(tmp_path, [odd]) as url, chromium() as browser:
        await answers(f"{url}/page.json", lambda one: one.status == 200 and one.value["facts"])
        async with opened(browser, url, "desk", "light") as page:
            assert text in await words(page, "#troubles", "onerror")
            assert await page.locator("#troubles img, #rows img, #rows b").count() == 0
            assert "broken" not in (await page.title()).replace(text, "")


@in_loop
async def test_a_real_recorder_is_watched_from_well_to_ill_to_blind(tmp_path: Path) -> None:
    async with chromium() as browser:
        async with AsyncExitStack() as venues:
            emulator = await venues.enter_async_context(Emulator(["OKX_SWAP", "BINANCE_FUTURES"], instruments=1, rate=200))
            async with recorder(tmp_path, LIST, {**emulator.variables, **variables()}) as process:
                url = await served(tmp_path)
                await in_sync(tmp_path)
                await answers(f"{url}/ready", lambda one: one.status == 200)
                async with opened(browser, url, "desk", "light") as page:
                    await words(page, "#headline", "RECORDING, all 4 subscriptions live")
                    await page.focus("#rows")
                    await page.keyboard.press("ArrowDown")
                    await page.keyboard.press("Enter")
                    await words(page, "#standing", "Book live")
                    await page.wait_for_function("() => document.querySelectorAll('#ladder .bid, #ladder .ask').length > 12")
                    await page.wait_for_function("() => document.querySelectorAll('#tape tr').length > 3")
                    bid = float(await page.locator("#ladder tr.middle + tr td:nth-child(2)").inner_text())
                    ask = float(await page.locator("#ladder tr:has(+ tr.middle) td:nth-child(2)").inner_text())
                    assert bid < ask
                    await page.wait_for_function("() => document.querySelector('#p-rate').textContent > '0'")
                    await shot(page, tmp_path, "real-well")
                    await venues.aclose()
                    await words(page, "#headline", "NOT RECORDING")
                    assert "disconnect" in await words(page, "#rows .row .why", "disconnect")
                    await shot(page, tmp_path, "real-venues-away")
                    process.send_signal(signal.SIGSTOP)
                    await words(page, "#headline", "BLIND since")
                    await words(page, "#subline", "has told nothing for")
                    await shot(page, tmp_path, "real-hung")
                    process.send_signal(signal.SIGCONT)
                    await words(page, "#headline", "NOT RECORDING")
                    process.kill()
                    await words(page, "#subline", "Nobody answers")
                    await shot(page, tmp_path, "real-killed")
