"""The full-screen view of a running recorder: ladder, metrics, chart and trades, ten times a second.

The rule: a thread of its own follows the journal and lays down pictures and sums; the screen takes the last ones when it stands.
Neither ever waits for the other, or calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import ClassVar, Final

import msgspec
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Static

from xtrader.clock import SECOND, Clock
from xtrader.look import draw, layout
from xtrader.look.live_book import LiveBook
from xtrader.look.picture import Picture
from xtrader.look.statistics import Statistics, Summary
from xtrader.model import analytics

PERIOD: Final = SECOND // 10
"""Nanoseconds between two pictures."""
LOOK: Final = 0.05
"""Seconds between two looks at what the thread laid down."""
FOOTER: Final = 1
MOST_LEVELS: Final = 1000


class Screen(App[Exception | None]):
    """Shows `key`, `levels` of each side (0: as many as fit), until the user quits; the result is what ended it, None if the user
    did. `open_live` gives the live book of an instrument, and is called in the following thread."""

    CSS = "#view { height: 1fr; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        # Textual itself only tells here which key quits.
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("p", "pause", "pause"),
        Binding("m", "metrics", "metrics"),
        Binding("s", "chart", "spread"),
        Binding("r", "reset", "reset"),
        Binding("b", "bars", "bars"),
        Binding("n", "switch", "next"),
        Binding("question_mark", "keys", "help", key_display="?"),
        Binding("up", "scroll(1)", "scroll", key_display="↑↓"),
        Binding("down", "scroll(-1)", show=False),
        Binding("pageup", "scroll(10)", show=False),
        Binding("pagedown", "scroll(-10)", show=False),
        Binding("home", "recentre", show=False),
        Binding("plus", "levels(1)", "levels", show=False),
        Binding("minus", "levels(-1)", show=False),
    ]

    def __init__(self, key: str, open_live: Callable[[str], LiveBook], clock: Clock, levels: int) -> None:
        super().__init__()
        self._key = key
        self._open_live = open_live
        self._clock = clock
        self._choices = layout.Choices(levels)
        self._ended = Event()
        self._reset = Event()
        self._shown: tuple[Picture, Summary] | None = None
        """The newest."""
        self._held: tuple[Picture, Summary] | None = None
        """What is on the screen while it is paused."""
        self._keys: list[str] = []
        self._laid: tuple[Picture, Summary, list[str]] | None = None
        """What the thread laid down last, until it is taken."""
        self._failure: Exception | None = None
        """What the thread died of."""
        self._view: Static | None = None

    def compose(self) -> ComposeResult:
        self._view = Static(f" {self._key}  reading the recording …", id="view")
        yield self._view
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.run_worker(self._follow, thread=True, exit_on_error=False)
        self.set_interval(LOOK, self._take)

    def on_unmount(self) -> None:
        self._ended.set()

    def on_resize(self) -> None:
        self._draw()

    def action_pause(self) -> None:
        """Hold the picture, or go on with the present one."""
        self._held = self._shown if self._held is None else None
        self._choose(paused=self._held is not None)

    def action_metrics(self) -> None:
        """The panel of metrics, or not."""
        self._choose(metrics=not self._choices.metrics)

    def action_chart(self) -> None:
        """The chart of the spread, or not."""
        self._choose(chart=not self._choices.chart)

    def action_keys(self) -> None:
        """What the keys do, or the book again."""
        self._choose(keys=not self._choices.keys)

    def action_reset(self) -> None:
        """Metrics and chart begin anew."""
        self._reset.set()

    def action_bars(self) -> None:
        """What the bars show."""
        after = draw.MODES.index(self._choices.mode) + 1
        self._choose(mode=draw.MODES[after % len(draw.MODES)], scroll=0)

    def action_switch(self) -> None:
        """The next instrument of the same recorder."""
        if self._keys:
            later = [key for key in self._keys if key > self._key]
            self._key = later[0] if later else self._keys[0]
            self._held = None
            self._choose(scroll=0, paused=False)

    def action_recentre(self) -> None:
        """Back to the middle of the book."""
        self._choose(scroll=0)

    def action_scroll(self, lines: int) -> None:
        """Towards higher prices, or lower ones."""
        shown = self._held or self._shown
        if shown is not None and shown[0].book is not None:
            self._choose(scroll=draw.limit_scroll(shown[0].book, self._choices.scroll + lines))

    def action_levels(self, more: int) -> None:
        """More levels of each side, or fewer."""
        _, height = self.size
        fitting = (layout.heights(height - FOOTER - draw.HEAD_HEIGHT, self._choices)[0] - 2) // 2
        self._choose(levels=max(1, min(MOST_LEVELS, (self._choices.levels or fitting) + more)))

    def _choose(self, **choices: object) -> None:
        self._choices = self._choices._replace(**choices)  # type: ignore[arg-type]
        self._draw()

    def _follow(self) -> None:
        try:
            live_book, statistics = self._open()
            while not self._ended.is_set():
                due = self._clock.monotonic() + PERIOD
                if live_book.key != self._key:
                    live_book, statistics = self._open()
                live_book.poll()
                now = self._clock.now()
                statistics.take(live_book.news, now, live_book.alive("L2"))
                if self._reset.is_set():
                    self._reset.clear()
                    statistics = statistics.restarted(now)
                self._laid = live_book.picture(now), statistics.summary(now), live_book.subscribed()
                self._ended.wait(max(0, due - self._clock.monotonic()) / SECOND)
        except Exception as error:
            self._failure = error

    def _open(self) -> tuple[LiveBook, Statistics]:
        live_book = self._open_live(self._key)
        now = self._clock.now()
        picture = live_book.picture(now)
        live = picture.book is not None and picture.standing.live
        return live_book, Statistics(now, analytics.spread_bps(picture.book) if live and picture.book else None)

    def _take(self) -> None:
        """Show what the thread laid down since the last look, or end with what it died of."""
        laid, self._laid = self._laid, None
        if laid is not None:
            self._show(*laid)
        if self._failure is not None:
            self.exit(self._failure)

    def _show(self, picture: Picture, summary: Summary, keys: list[str]) -> None:
        self._shown = picture, summary
        self._keys = keys
        if self._held is not None and summary.since != self._held[1].since:
            # A reset is seen in a held picture too.
            self._held = self._held[0], summary
        self._draw()

    def _draw(self) -> None:
        if self._shown is None or self._view is None or not self._view.is_attached:
            return
        picture, summary = self._held or self._shown
        # The book may be an old one; whether there is a market to go back to is told as it is now.
        picture = msgspec.structs.replace(picture, standing=self._shown[0].standing)
        width, height = self.size
        self._view.update(layout.screen(picture, summary, self._choices, width, height - FOOTER))
