"""One run of the recorder: feed -> fan-out -> journal -> deliveries, from the first look-up to the last finished file.

The rule: it stops in the order in which rows flow, so that what was received is in the journal, and the sinks get what they can in
the time there is.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import structlog

from xtrader.app import status
from xtrader.app.beginning import Beginning
from xtrader.app.commands import Commands
from xtrader.app.gather import Gatherer
from xtrader.app.notify import Progress
from xtrader.app.serving import Serving
from xtrader.app.telemetry import Sync, report, watch
from xtrader.clock import Clock
from xtrader.errors import StorageError, XTraderError
from xtrader.feed.catalogue import Catalogue, body_of
from xtrader.feed.conversation import Raw
from xtrader.feed.fanout import Consumer, fan_out
from xtrader.feed.feed import Feed
from xtrader.feed.lookup import Lookup
from xtrader.feed.refresh import Refresh
from xtrader.feed.rest import Rest
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.ops.door import Door
from xtrader.pipeline.deliveries import Deliveries
from xtrader.pipeline.delivery import DeliverySpec
from xtrader.pipeline.journal import Journal
from xtrader.pipeline.writer import Writer, free_bytes
from xtrader.recordings.raw import RawWriter
from xtrader.settings.environment import delivery_environment
from xtrader.settings.load import Settings
from xtrader.sinks.base import SinkSpec
from xtrader.venues.base import Link, Market

log = structlog.get_logger("xtrader.recorder")

DRAIN, DRAIN_WATCHED = 40.0, 20.0
"""Seconds that the sinks have to finish on shutdown, unless XTRADER_DRAIN says otherwise; fewer where somebody waits for it."""
CLOSING = 5.0
"""Seconds after those at which the process ends whatever is left; the journal keeps it."""
DRAIN_TOLD = (2.0, 5.0)
"""Seconds of draining after which it is told who is waited for, first and again."""
UNFINISHED = 75
"""Exit code: stopped as asked, but the next start has to finish what the sinks were offered (EX_TEMPFAIL)."""
PERIOD = 10.0
"""Seconds between two telemetry reports."""


class Recorder:
    """Made of parts that `compose` chose; `run` is called once."""

    def __init__(
        self,
        settings: Settings,
        collector: str,
        specs: Sequence[SinkSpec],
        clock: Clock,
        journal: Journal,
        markets: Mapping[str, Market],
        subscriptions: Sequence[Subscription],
        share: float,
        consumers: Sequence[Consumer],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.journal = journal
        self._markets = markets
        self._subscriptions = subscriptions
        self._share = share
        self._stop = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._full = asyncio.Event()
        self._keep_seconds = max(spec.keep_seconds for spec in specs)
        self.deliveries = Deliveries(
            [DeliverySpec(str(settings.journal_directory), collector, spec) for spec in specs],
            journal.durable,
            on_cursor=self._release,
            environment=delivery_environment(settings),
        )
        self.writer = Writer(
            journal,
            clock,
            min_free=settings.min_free_bytes,
            max_bytes=settings.journal_max_bytes,
            flush_interval=settings.flush_interval,
            fsync_interval=settings.fsync_interval,
            on_durable=self.deliveries.advance,
            on_room=self._on_room,
        )
        self.feed: Feed | None = None
        self.rest: Rest | None = None
        self.instruments: dict[str, Instrument] = {}
        """What is recorded, by key."""
        self.serving: Serving | None = None
        """Serves HTTP, where that is wanted."""
        self._is_ending = False
        self._put = fan_out(self.writer.put, consumers, clock)
        self._sync = Sync(clock)
        self.gatherer = Gatherer(
            settings,
            collector,
            len(subscriptions),
            markets,
            clock,
            feed=lambda: self.feed,
            rest=lambda: self.rest,
            writer=self.writer,
            journal=journal,
            deliveries=self.deliveries,
        )
        self._door = Door(journal.directory, Commands(self, clock).by_name())

    async def run(self, beside: Callable[[Recorder], Coroutine[Any, Any, None]] | None = None) -> int:
        """Record until a signal, the time given, or what trying again cannot help; then drain. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        if self._settings.shutdown_after is not None:
            loop.call_later(self._settings.shutdown_after, self.stop, "the time given is over")
        told = status.show(lambda: self.gatherer.facts, self._note) if beside is None else beside(self)
        works: list[Coroutine[Any, Any, None]] = [self.writer.run(), self.deliveries.run(), self._feeds()]
        works += [self.gatherer.run(), self._answer(), watch(lambda: self.feed, self._sync), told]
        if self._settings.verbose:
            works.append(self._report())
        tasks = [asyncio.create_task(work) for work in works]
        stopping = asyncio.create_task(self._stop.wait())
        serving = asyncio.create_task(_none() if self.serving is None else self.serving.run())
        # Who asks meanwhile hears that it is stopping, until it has.
        writing, deliveries, feeding, _, _, *others = tasks
        try:
            # The lines on the terminal end by themselves where there is no terminal; everything else that ends is a failure.
            await asyncio.wait([writing, deliveries, feeding, stopping], return_when=asyncio.FIRST_COMPLETED)
            self._is_ending = True
            if self.serving is not None:
                self.serving.stopping("the recorder finishes its files")
            drain = drain_seconds(self._settings)
            hard = loop.call_later(drain + CLOSING, self._hard_stop, drain + CLOSING)
            failure = next((task.exception() for task in (writing, deliveries, feeding) if task.done()), None)
            await _cancel(feeding, stopping, *others)
            if self.feed is not None:
                self.feed.stop("shutdown", "the recorder was stopped" if failure is None else str(_leaf(failure)))
            if isinstance(_leaf(failure), StorageError):
                raise _leaf(failure)
            await self.writer.close()
            finished = await self._drain(drain) and self.deliveries.settled
            log.info("stopped", finished=finished, records=self.writer.rows)
            hard.cancel()
            if failure is not None:
                raise _leaf(failure)
            return 0 if finished else UNFINISHED
        finally:
            await _cancel(*tasks, stopping, serving)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _drain(self, seconds: float) -> bool:
        """Wait for the sinks, at most so long, and tell for whom; True if all have finished."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        finishing = asyncio.create_task(self.deliveries.finish(seconds))
        pause, again = DRAIN_TOLD
        while not (await asyncio.wait([finishing], timeout=pause))[0]:
            waiting = {name: status.error for name, status in self.deliveries.unfinished.items()}
            left = max(0, round(deadline - loop.time()))
            for name, error in waiting.items():
                about = "stopped once more, it ends at once; the journal keeps what is missing"
                log.warning("waiting_for_sink", sink=name, error=error, seconds_left=left, about=about)
            pause = again
        return finishing.result()

    def progress(self) -> Progress:
        """How it is, for the service manager."""
        live, total = (0, 0) if self.feed is None else (self.feed.live(), self.feed.total)
        return Progress(live, total, self.writer.silence, self._is_ending)

    async def _feeds(self) -> None:
        """Look the instruments up, then record; stop while the disk has no room."""
        async with Rest(self._clock, self._share) as rest:
            self.rest = rest
            settings = self._settings
            catalogue = Catalogue(settings.cache_directory, body_of(rest.get), self._clock, guesses=settings.offline_names)
            refresh = Refresh(
                catalogue,
                self._markets,
                self.instruments,
                tell=self._put,
                clock=self._clock,
                seconds=settings.catalogue_interval,
            )
            feed = Feed(
                self._markets,
                (),
                rest=rest,
                clock=self._clock,
                put=self._put,
                raw=self._raw,
                share=self._share,
                connections=settings.connections,
                relisted=refresh.notice,
                expiry=partial(_expiry, self.instruments),
            )
            beginning = Beginning(feed, refresh, self.journal, self._put, self._clock)
            lookup = Lookup(
                catalogue,
                self._markets,
                self._subscriptions,
                found=beginning.found,
                pending=beginning.pending,
                now=self._clock.now,
            )
            await lookup.begin()
            self.feed = feed
            beginning.close_others(self._markets)
            waiting = {"waiting": len(feed.pending)} if feed.pending else {}
            log.info(
                "recording",
                subscriptions=len(feed.subscriptions),
                sinks=",".join(settings.sinks),
                directory=self._place(),
                **waiting,
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(lookup.go_on())
                await self._record_where_there_is_room(feed, refresh)

    async def _record_where_there_is_room(self, feed: Feed, refresh: Refresh) -> None:
        cause = "start"
        while True:
            await self._room.wait()
            running = asyncio.create_task(feed.run(cause))
            refreshing = asyncio.create_task(refresh.run())
            full = asyncio.create_task(self._full.wait())
            try:
                await asyncio.wait([running, refreshing, full], return_when=asyncio.FIRST_COMPLETED)
                for ended in (running, refreshing):
                    if ended.done():
                        await ended
            finally:
                await _cancel(running, refreshing, full)
            log.error("no_room", about="recording stops until the disk has room again", directory=str(self.journal.directory))
            feed.stop("storage", "no room on the disk or in the journal's budget")
            cause = "storage"

    def _raw(self, link: Link) -> Raw | None:
        if self._settings.raw_directory is None:
            return None
        return RawWriter(self._settings.raw_directory, link.exchange, link.name, link.url, self._clock.now())

    def _place(self) -> str:
        """Where a user finds what is recorded, or what waits to be delivered."""
        settings = self._settings
        return str(settings.output_directory if settings.writes_files else settings.journal_directory)

    def _release(self, cursor: int) -> None:
        """Let go of what all sinks have. A database can lose what it had: for it, some is kept while there is room."""
        settings = self._settings
        roomy = free_bytes(settings.journal_directory) > 2 * settings.min_free_bytes
        self.journal.release(cursor, self._keep_seconds if roomy else 0.0, settings.journal_max_bytes // 4)

    def _on_room(self, room: bool) -> None:
        (self._room.set if room else self._room.clear)()
        (self._full.clear if room else self._full.set)()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            report(self.gatherer.facts, self._sync, self._clock.now(), every=self._settings.telemetry == "all")

    def _note(self) -> str:
        facts = self.gatherer.facts
        url = "" if self.serving is None else self.serving.url
        return "  ".join(filter(None, (url, self._sync.told(facts.live, facts.wanted))))

    async def _answer(self) -> None:
        """Have a door for as long as the recorder runs; where there can be none, it records all the same."""
        try:
            await self._door.open()
        except OSError as error:
            log.warning(
                "no_door", directory=str(self.journal.directory), error=error.strerror, about="nobody can ask this recorder"
            )
            return
        try:
            await asyncio.Event().wait()
        finally:
            await self._door.close()

    def _on_signal(self, number: int) -> None:
        if self._stop.is_set():
            log.warning("stopped_at_once", about="the journal is intact; the next start finishes the files")
            _exit(128 + number)
        self.stop(signal.Signals(number).name)

    def stop(self, why: str) -> None:
        """Begin to drain and finish."""
        if not self._stop.is_set():
            log.info("stopping", why=why)
            self.gatherer.stopping(why)
            self._stop.set()

    def _hard_stop(self, after: float) -> None:
        log.error("hard_stop", after=after, about="the journal is intact; the next start finishes the files")
        _exit(1)


def drain_seconds(settings: Settings) -> float:
    """How long the sinks may take to finish once the recorder's own data is safe."""
    return settings.drain or (DRAIN_WATCHED if sys.stderr.isatty() else DRAIN)


def _expiry(instruments: Mapping[str, Instrument], key: str) -> int | None:
    """When an instrument expires, by the catalogue's latest reading; a rule's guess does not count."""
    known = instruments.get(key)
    return known.expiry if known is not None and known.source != "rule" else None


async def _none() -> None:
    """Nothing is served."""


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _leaf(error: BaseException | None) -> BaseException:
    """The first error inside groups; of several, one of ours."""
    if isinstance(error, BaseExceptionGroup):
        leaves = [_leaf(one) for one in error.exceptions]
        return next((leaf for leaf in leaves if isinstance(leaf, XTraderError)), leaves[0])
    return error if error is not None else RuntimeError("no error")


def _exit(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
