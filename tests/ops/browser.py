"""A real browser that opens the page of a recorder."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.needs import missing

SIZES = {"desk": (1440, 900), "phone": (390, 844)}
SCREENSHOTS = os.environ.get("XTRADER_SCREENSHOTS")
"""Where they are kept; else in the directory of the test."""
LIMIT = 90_000
"""Milliseconds for anything to appear."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("there is no Chromium (Debian: chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, size: str, scheme: str) -> AsyncIterator[Page]:
    """The page; on the way out nothing may have gone wrong in it."""
    width, height = SIZES[size]
    dark = "dark" if scheme == "dark" else "light"
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark == "dark" else "light"
    )
    context.set_default_timeout(LIMIT)
    page = await context.new_page()
    wrong: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "ERR_" not in message.text:
            wrong.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    await page.goto(url)
    yield page
    assert wrong == []
    await context.close()


async def shot(page: Page, directory: Path, name: str) -> None:
    """Keep what it looks like."""
    into = Path(SCREENSHOTS or directory)
    into.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=into / f"{name}.png", full_page=True)


async def words(page: Page, selector: str, text: str) -> str:
    """What an element says, once it says `text` among it."""
    await page.wait_for_function("([s, t]) => (document.querySelector(s)?.textContent || '').includes(t)", arg=[selector, text])
    return await page.inner_text(selector)
