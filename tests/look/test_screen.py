"""The full screen: whatever its thread lays down, and whenever, is shown once the screen stands, and by nobody afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.app import ComposeResult

from tests.look.journals import KEY, deltas, nothing, scribe, snapshot
from tests.waiting import until, wait_until
from xtrader.clock import SystemClock
from xtrader.errors import ConfigError
from xtrader.look.live_book import LiveBook
from xtrader.look.screen import Screen

STARTS = 5


class Late(Screen):
    """Is composed long after its thread has the first picture."""

    def __init__(self, journal: Path) -> None:
        super().__init__(KEY, lambda key: LiveBook(journal, key, nothing), SystemClock(), 5)
        self.early = 0

    def compose(self) -> ComposeResult:
        threading.Thread(target=self._follow, daemon=True).start()
        wait_until(lambda: self._laid is not None)
        self.early += self._laid is not None
        self._take()
        yield from super().compose()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Path]:
    with scribe(tmp_path) as writer:
        writer.cover("live", "start")
        writer.write(snapshot(), *deltas(5))
        yield tmp_path


async def shown(screen: Screen, words: str) -> None:
    await until(lambda: screen._view is not None and words in str(screen._view.render()))


def test_a_picture_that_comes_before_the_screen_stands_is_shown_when_it_does(journal: Path) -> None:
    async def main(screen: Late) -> None:
        async with screen.run_test(size=(100, 30)) as pilot:
            await shown(screen, "spread")
            await pilot.press("q")
        assert (screen.early, screen.return_value, screen.return_code) == (1, None, 0)

    asyncio.run(main(Late(journal)))


def test_a_screen_that_is_left_at_any_moment_ends_quietly(journal: Path) -> None:
    async def main(screen: Screen, number: int) -> None:
        async with screen.run_test(size=(100, 30)) as pilot:
            await asyncio.sleep(number * 0.02)
            await pilot.press("q")
        screen._take()
        assert (screen.return_value, screen.return_code) == (None, 0)

    for number in range(STARTS):
        asyncio.run(main(Screen(KEY, lambda key: LiveBook(journal, key, nothing), SystemClock(), 5), number))


def test_what_the_thread_dies_of_before_the_screen_stands_ends_the_screen(journal: Path) -> None:
    error = ConfigError("nothing is here")

    def refuse(key: str) -> LiveBook:
        raise error

    async def main(screen: Screen) -> None:
        async with screen.run_test(size=(100, 30)):
            await until(lambda: screen.return_value is not None)
        assert screen.return_value is error

    asyncio.run(main(Screen(KEY, refuse, SystemClock(), 5)))
