"""Composition: Settings -> objects -> one event loop. The only place that chooses concrete classes; a sink is made in a process of
its own (`cli/deliver.py`).

The journal comes first: what an earlier run left is recovered and finished even when no venue can be reached.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog
import uvloop

from xtrader import sinks
from xtrader.app.notify import telling
from xtrader.app.recorder import Recorder
from xtrader.app.serving import Listening, Serving, listening
from xtrader.clock import SystemClock
from xtrader.errors import StorageError
from xtrader.feed.fanout import Consumer, consumer
from xtrader.model.subscription import Subscription, parse_subscriptions
from xtrader.pipeline.journal import SEGMENT_BYTES, open_journal
from xtrader.pipeline.process_setup import allow_many_files
from xtrader.pipeline.writer import require_room
from xtrader.settings.check import sink_run
from xtrader.settings.directories import collector_id
from xtrader.settings.environment import service_manager
from xtrader.settings.load import Settings
from xtrader.sinks.manifest import left_open
from xtrader.venues import exchanges, market, streams

log = structlog.get_logger("xtrader.recorder")


def record(settings: Settings, consumers: Sequence[Consumer | str] = (), *, began: Callable[[], None] = lambda: None) -> int:
    """Record until told to stop; returns the exit code. `consumers` are called with every record, inside the event
    loop, after it was handed to the journal (see feed/fanout.py). `began` is called when nothing stands against recording.

    Raises ConfigError for what cannot be recorded, StorageError when the disk fails, CredentialsRejected.
    """
    return record_part(
        settings, parse_subscriptions(settings.subscriptions, exchanges(), streams), consumers=consumers, began=began
    )


def record_part(
    settings: Settings,
    subscriptions: Sequence[Subscription],
    *,
    share: float = 1.0,
    consumers: Sequence[Consumer | str] = (),
    beside: Callable[[Recorder], Coroutine[Any, Any, None]] | None = None,
    began: Callable[[], None] = lambda: None,
) -> int:
    """As `record`, for `subscriptions` in place of those of the settings (none: an earlier run's journal is finished), with a
    `share` of the venues' limits. `beside` runs for as long as the recorder does."""
    # Of several workers, the process that started them serves for all.
    with (
        listening(settings.http if beside is None else None) as where,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_record(settings, subscriptions, share, [consumer(one) for one in consumers], beside, where, began))


async def _record(
    settings: Settings,
    subscriptions: Sequence[Subscription],
    share: float,
    consumers: Sequence[Consumer],
    beside: Callable[[Recorder], Coroutine[Any, Any, None]] | None,
    where: Listening | None,
    began: Callable[[], None],
) -> int:
    clock = SystemClock()
    markets = {exchange: market(exchange, settings.venue_options) for exchange in sorted({s.exchange for s in subscriptions})}
    for one in markets.values():
        if one.environment == "testnet":
            log.warning("testnet", exchange=one.exchange, about="this records the venue's test environment, not its real market")
    collector = collector_id(settings)
    run = sink_run(settings)
    specs = [sinks.module(name).spec(run) for name in settings.sinks]
    for directory in [settings.journal_directory, *([settings.output_directory] if settings.writes_files else [])]:
        require_room(directory, settings.min_free_bytes)
    allow_many_files()
    facts = {exchange: {"environment": one.environment, "depth_window": one.depth_window} for exchange, one in markets.items()}
    # The journal is let go by whole segments: several must fit in its budget, else there is never room again.
    segment = min(SEGMENT_BYTES, settings.journal_max_bytes // 8)
    journal = open_journal(
        settings.journal_directory,
        collector,
        clock,
        facts,
        segment_bytes=segment,
        left=partial(left_open, settings.output_directory, collector),
    )
    for damage in journal.damaged:
        log.error("journal_damaged", damage=damage)
    try:
        # With the journal's lock: who starts a second recorder on one journal is told that, and not what the sinks find.
        for name in settings.sinks:
            sinks.module(name).require(run, collector)
        recorder = Recorder(settings, collector, specs, clock, journal, markets, subscriptions, share, consumers)
        if where is not None:
            recorder.serving = serving = Serving(settings, where)
            recorder.gatherer.beside = serving.processes
        began()
        async with telling(service_manager() if beside is None else None, recorder.progress):
            return await recorder.run(beside)
    finally:
        with contextlib.suppress(StorageError):
            journal.close()
