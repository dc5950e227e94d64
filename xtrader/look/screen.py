"""The full-screen view of a running recorder: ladder, figures and trades, ten times a second.

The rule: a thread of its own follows the journal and hands over pictures; the screen only draws the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import ClassVar, Final

import msgspec
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer, Static

from xtrader.clock import Clock
from xtrader.look import draw
from xtrader.look.picture import Picture
from xtrader.look.watch import Watch

PERIOD: Final = 0.1
"""Seconds between two pictures."""
TRADES_WIDTH: Final = 30
WIDE: Final = 120
"""From this many columns on the trades have half as many again."""


class Screen(App[Exception | None]):
    """Shows `key` until the user quits; the result is what ended it, None if the user did. `open_watch` gives the watch on an
    instrument, and is called in the following thread."""

    CSS = """
    #head { height: 4; }
    #ladder { width: 1fr; }
    #trades { border-left: solid $surface-lighten-2; padding-left: 1; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("p", "pause", "pause"),
        Binding("m", "mode", "mode"),
        Binding("s", "switch", "next instrument"),
        Binding("r", "recentre", "recentre"),
        Binding("up", "scroll(1)", "scroll", key_display="↑↓"),
        Binding("down", "scroll(-1)", "scroll", show=False),
        Binding("pageup", "scroll(10)", "scroll", show=False),
        Binding("pagedown", "scroll(-10)", "scroll", show=False),
    ]

    def __init__(self, key: str, open_watch: Callable[[str], Watch], clock: Clock) -> None:
        super().__init__()
        self.picture: Picture | None = None
        """What is on the screen."""
        self._key = key
        self._open_watch = open_watch
        self._clock = clock
        self._ended = Event()
        self._frozen: Picture | None = None
        self._mode = 0
        self._scroll = 0
        self._keys: list[str] = []

    def compose(self) -> ComposeResult:
        yield Static(f" {self._key}  reading the recording …", id="head")
        with Horizontal():
            yield Static(id="ladder")
            yield Static(id="trades")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.run_worker(self._follow, thread=True, exit_on_error=False)

    def on_unmount(self) -> None:
        self._ended.set()

    def on_resize(self) -> None:
        self._draw()

    def action_pause(self) -> None:
        """Hold the picture, or go on with the present one."""
        self._frozen = self.picture if self._frozen is None else None
        self._draw()

    def action_mode(self) -> None:
        """What the bars show."""
        self._mode = (self._mode + 1) % len(draw.MODES)
        self._scroll = 0
        self._draw()

    def action_switch(self) -> None:
        """The next instrument of the same recorder."""
        if self._keys:
            later = [key for key in self._keys if key > self._key]
            self._key = later[0] if later else self._keys[0]
            self.action_recentre()

    def action_recentre(self) -> None:
        """Back to the middle of the present book."""
        self._scroll = 0
        self._frozen = None
        self._draw()

    def action_scroll(self, lines: int) -> None:
        """Towards higher prices, or lower ones."""
        if self.picture is not None and self.picture.book is not None:
            self._scroll = draw.limit_scroll(self.picture.book, self._scroll + lines)
            self._draw()

    def _follow(self) -> None:
        try:
            watch = self._open_watch(self._key)
            while not self._ended.is_set():
                if watch.key != self._key:
                    watch = self._open_watch(self._key)
                watch.poll()
                self.call_from_thread(self._show, watch.picture(self._clock.now()), watch.subscribed())
                self._ended.wait(PERIOD)
        except Exception as error:
            if not self._ended.is_set():
                self.call_from_thread(self.exit, error)

    def _show(self, picture: Picture, keys: list[str]) -> None:
        self.picture = picture
        self._keys = keys
        self._draw()

    def _draw(self) -> None:
        if self.picture is None:
            return
        picture = self.picture
        if self._frozen is not None:
            # The book is the old one; whether there is a market to go back to is told as it is now.
            picture = msgspec.structs.replace(self._frozen, standing=picture.standing)
        head, ladder, trades = (self.query_one(f"#{name}", Static) for name in ("head", "ladder", "trades"))
        width, height = self.size
        beside = TRADES_WIDTH if width < WIDE else TRADES_WIDTH * 3 // 2
        trades.styles.width = beside
        mode = draw.MODES[self._mode]
        head.update(draw.head(picture, width, self._frozen is not None, mode))
        rows = height - 5
        ladder.update(draw.ladder(picture, width - beside, rows, mode, self._scroll))
        trades.update(draw.trades(picture, beside - 2, rows))
