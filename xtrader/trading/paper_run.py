"""Trades on paper what a recorder records just now.

The rule: a process of its own that only reads the recorder's journal. Every input is in the log before it is taken, so the run can
be decided again; a halt is kept before anything else happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from xtrader.clock import SystemClock
from xtrader.errors import ConfigError
from xtrader.model.instrument import Instrument
from xtrader.trading.app import Prepared, TradeOptions, TradeRun, run_prepared
from xtrader.trading.core.engine import Engine
from xtrader.trading.halt_latch import HaltLatch, read_latch, write_latch
from xtrader.trading.log.run_log import RunLog
from xtrader.trading.log.taken_inputs import INPUT, as_row
from xtrader.trading.model.inputs import Input
from xtrader.trading.source.journal_inputs import JournalInputs, is_running

FLUSHED: int = 50_000_000
"""Nanoseconds that inputs without a decision are kept back before they are written."""


def paper(options: TradeOptions, stopping: Callable[[], bool], began: Callable[[], None] = lambda: None) -> TradeRun:
    """Follow a running recorder until `stopping` says so; `began` is called when what was given is known to be of use. Raises
    ConfigError, OSError, StorageError."""
    assert options.journal is not None
    if not is_running(options.journal, SystemClock()):
        raise ConfigError(f"no recorder is writing to '{options.journal}': start one, or trade its recording with --mode replay")
    journal = options.journal

    def inputs(prepared: Prepared) -> Iterable[Input]:
        keys = sorted(prepared.tradeables)
        # What the catalogue says was known before: the journal brings only what changes.
        began()
        yield from _catalogue(prepared.instruments)
        yield from JournalInputs(prepared.recording, journal, keys, SystemClock(), stopping)

    return run_prepared(options, inputs, watch=lambda engine, log, found: _watched(options.runs, engine, log, found))


def _catalogue(instruments: Iterable[Instrument]) -> Iterator[Input]:
    now = SystemClock.now()
    for one in instruments:
        yield Input(now, now, one)


def _watched(runs: Path, engine: Engine, log: RunLog, inputs: Iterable[Input]) -> Iterator[Input]:
    """Writes each input before it is taken, and keeps what the breaker did."""
    trips = 0
    flushed = time.monotonic_ns()
    for one in inputs:
        log.write(INPUT, as_row(one))
        yield one
        if len(engine.breaker.trips) != trips:
            trips = len(engine.breaker.trips)
            keep(runs, engine)
        if time.monotonic_ns() - flushed > FLUSHED:
            log.flush()
            flushed = time.monotonic_ns()


def keep(runs: Path, engine: Engine) -> None:
    """Latch what halted or stopped a run."""
    before, state = read_latch(runs), engine.state
    if (state.halted, state.stopped_until) != (before.halted, before.stopped_until):
        write_latch(runs, HaltLatch(state.halted, state.stopped_until, before.resets))
