"""Whatever goes wrong at a venue: a recorder that does not record is not ready, the page says what is ill, and it comes back."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from playwright.async_api import Page
from playwright.async_api import TimeoutError as PageTimeout

from tests.ops.browser import chromium, opened, shot, words
from tests.ops.served import served, variables
from tests.pipeline.loops import in_loop
from tests.running import recorder
from tests.waiting import until
from xtrader.emulator.faults import BOOKS_ONLY, KINDS, TRADES_ONLY, parse
from xtrader.emulator.server import Emulator
from xtrader.ops.ask import Asking
from xtrader.ops.facts import Facts
from xtrader.ops.health import SECOND, is_ready

SAMPLE = ("lost", "unknown_field", "refuse")
IS_WHOLE = os.environ.get("XTRADER_FAULTS") == "all"
"""All of them, with a picture of the page for each that can be seen there; takes some ten minutes of an idle machine."""
WANTED = tuple(KINDS) if IS_WHOLE else SAMPLE
SYMBOLS = {"BINANCE_FUTURES": "BTCUSDT", "OKX_SWAP": "BTC-USDT-SWAP"}
FAITHFUL = frozenset(
    (
        *("duplicate", "reorder", "fragmented", "compressed", "huge", "burst", "slow_snapshot", "notice"),
        *("unknown_field", "unknown_event", "unknown_enum", "undeleted", "odd", "behind"),
        *("tick_change", "status_change", "expiry_change", "venue_clock", "no_pong"),
    )
)
"""Faults that need not cost any data: nothing has to be seen of them."""
LASTS = {"silent": 40, "freeze": 40, "delisted": 20, "rest_hang": 12}
"""Seconds."""
SLACK = 15 * SECOND
"""Facts are a second old, and a machine that is busy makes them older."""


def planned(kind: str) -> tuple[str, list[str]]:
    """The exchange that has the fault, and the faults that make it happen there: one for requests waits for a request."""
    place = KINDS[kind].place
    exchange = "OKX_SWAP" if kind in ("notice", "expiry_change") else "BINANCE_FUTURES"
    if kind in ("malformed", "odd"):
        exchange = "OKX_SWAP"
    stream = "L2:" if kind in BOOKS_ONLY else "TRADES:" if kind in TRADES_ONLY else ""
    lasts = f":seconds={LASTS[kind]}" if LASTS.get(kind) else ""
    times = ":times=3" if place == "connect" else ""
    faults = [f"{kind}:{stream}{exchange}{lasts or times}"]
    if place == "rest":
        faults.append(f"lost:L2:{exchange}")
    elif place in ("connect", "subscribe"):
        faults.append(f"close_1006:{exchange}")
    return exchange, faults


def costs(facts: Facts) -> int:
    """How often anything was lost, and seen to be."""
    return sum(one.gaps_total + one.resyncs for one in facts.subscriptions) + sum(
        one.reconnects + one.replaced for one in facts.connections
    )


@pytest.mark.parametrize("kind", WANTED)
@in_loop
async def test_ready_goes_down_in_time_and_comes_back(tmp_path: Path, kind: str) -> None:
    exchange, faults = planned(kind)
    names = [f"{stream}:{exchange}@{SYMBOLS[exchange]}" for stream in ("L2", "TRADES")]
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator([exchange], instruments=1, rate=200))
        await stack.enter_async_context(recorder(tmp_path, ",".join(names), {**emulator.variables, **variables()}))
        url = await served(tmp_path)
        page = await watched(stack, url) if IS_WHOLE else None
        asking = stack.enter_context(Asking(tmp_path / "data" / ".journal"))
        await until(lambda: is_ready(facts := asking.facts(), facts.ts) and all(one.rate for one in facts.subscriptions))
        before = asking.facts()
        limit = max(one.silence_limit or 0.0 for one in before.subscriptions)
        for text in faults:
            emulator.add(parse(text))
        applied = emulator.venues[exchange].strikes.faults.applied
        await until(lambda: any(one.fault == kind for one in applied), lambda: [*applied])
        struck = asking.facts().ts
        down = await seen_down(asking, before, struck + int(2 * limit * SECOND) + SLACK, is_expected=kind not in FAITHFUL)
        if page is not None and down:
            # The page asks once a second. What was over before is a picture of what it left.
            with suppress(PageTimeout):
                await page.wait_for_function(
                    "() => !document.querySelector('#headline').textContent.includes('all 2')", timeout=3000
                )
            await shot(page, tmp_path, f"fault-{kind}")
        await until(lambda: is_ready(facts := asking.facts(), facts.ts) and facts.ts > struck, asking.facts)
        assert down or kind in FAITHFUL or costs(asking.facts()) > costs(before)
        print(f"{kind}: {f'down after {(down - struck) / SECOND:.1f} s' if down else 'never down'}, {costs(asking.facts())} costs")


async def watched(stack: AsyncExitStack, url: str) -> Page:
    """The page, while all is well."""
    page = await stack.enter_async_context(opened(await stack.enter_async_context(chromium()), url, "desk", "light"))
    await words(page, "#headline", "RECORDING, all 2 subscriptions live")
    return page


async def seen_down(asking: Asking, before: Facts, until_ts: int, *, is_expected: bool) -> int:
    """When the recorder was seen not to be ready (wall ns); 0 if it was back before anybody could see that, and knows what it cost,
    or if nothing had to be seen."""
    while True:
        facts = asking.facts()
        if not is_ready(facts, facts.ts):
            return facts.ts
        if costs(facts) > costs(before) and facts.live == facts.wanted:
            return 0
        if facts.ts > until_ts:
            assert not is_expected, f"it is ready, {(facts.ts - until_ts) / SECOND:.0f} s after it should not be: {facts}"
            return 0
        if not is_expected and facts.ts > before.ts + 5 * SECOND:
            return 0
        await asyncio.sleep(0.1)
