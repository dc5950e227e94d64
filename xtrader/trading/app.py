"""The shell of trading: puts a run together, runs it, and writes what came of it.

The rule: all that can be wrong with what a user gave is said before anything runs, and what a run is made of is in its manifest
before its first row.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

import xtrader
from xtrader.clock import SystemClock
from xtrader.durable import replace_file
from xtrader.errors import ConfigError
from xtrader.model.instrument import Instrument
from xtrader.trading.core.engine import Engine, EngineSetup
from xtrader.trading.core.strategy_host import StrategyPlan
from xtrader.trading.halt_latch import HaltLatch, read_latch
from xtrader.trading.log import run_files
from xtrader.trading.log.run_files import RunManifest
from xtrader.trading.log.run_log import RunLog
from xtrader.trading.model.grid import PRECISION, Grid
from xtrader.trading.model.inputs import Input
from xtrader.trading.outcome_facts import facts_of
from xtrader.trading.paper.queue_position import queue_model
from xtrader.trading.paper.venue_rules import Delays, Fees
from xtrader.trading.risk.gate_state import MODES, Tradeable
from xtrader.trading.risk.limit_table import LimitFile, LimitValue, RiskLimits, digest, limits_in_force, read_limits
from xtrader.trading.source import recording_inputs
from xtrader.trading.stats import run_tables
from xtrader.trading.stats.run_report import RunReport, run_report
from xtrader.trading.strategy_files import LoadedStrategy, load_strategy, parameters, params_of

ATTACH: Final = 60_000_000
"""Nanoseconds after which a record is known that comes by a recorder's journal."""
DELAY: Final = 50_000_000
CAPITAL: Final[Mapping[str, Decimal]] = {"USDT": Decimal(10_000)}
LIMITS: Final = Path("config") / "limits.toml"


class TradeOptions(msgspec.Struct, kw_only=True):
    """What a user wants. Times and delays are int ns; `params` as text or numbers; `limits_file` None for config/limits.toml where
    that is."""

    mode: str = "replay"
    strategy: str = ""
    places: Sequence[str] = ()
    markets: Sequence[str] = ()
    start: int | None = None
    end: int | None = None
    params: Mapping[str, Any] = {}
    strategy_config: Path | None = None
    """A TOML file of parameters; without one, that of the strategy's name beside it, if there is one."""
    limits_file: Path | None = None
    profile: str = ""
    capital: Mapping[str, Decimal] | None = None
    fees: Fees = Fees()
    attach_delay: int = ATTACH
    entry_delay: int = DELAY
    response_delay: int = DELAY
    delay_sigma: float = 0.0
    queue: str = "risk_averse"
    seed: int = 0
    runs: Path = Path("runs")
    directory: Path | None = None
    journal: Path | None = None
    """The journal of the recorder that a paper run follows."""


class TradeRun(NamedTuple):
    """What became of a run, and the directory that has all of it."""

    directory: Path
    report: RunReport
    engine: Engine

    @property
    def fills(self) -> Any:
        """Its fills, an Arrow table."""
        return run_tables.fills_table(self.engine.desk.fills)

    @property
    def orders(self) -> Any:
        """Its orders as they ended, an Arrow table."""
        grids = {key: slot.tradeable.grid for key, slot in self.engine.slots.items()}
        return run_tables.orders_table(self.engine.desk.orders.values(), grids)

    @property
    def positions(self) -> Any:
        """What it made of each instrument, an Arrow table."""
        return run_tables.positions_table(self.report.holdings)

    @property
    def pnl(self) -> Any:
        """The worth of its account by the minute, an Arrow table."""
        return run_tables.pnl_table(self.report.curve)


class Prepared(NamedTuple):
    """A run that can begin."""

    options: TradeOptions
    recording: Any
    strategy: LoadedStrategy
    params: Any
    instruments: Sequence[Instrument]
    tradeables: Mapping[str, Tradeable]
    limits: RiskLimits
    capital: Mapping[str, Decimal]
    latch: HaltLatch = HaltLatch()


def limits_of(file: Path | None, profile: str) -> RiskLimits:
    """The limits in force: of the file, else of config/limits.toml where that is, else the defaults. Raises ConfigError."""
    found: LimitFile | None = None
    if file is not None or LIMITS.is_file():
        path = file or LIMITS
        try:
            found = read_limits(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ConfigError(f"the limits '{path}' cannot be read: {why}") from None
    return limits_in_force(found, profile=profile)


def prepare(options: TradeOptions, text: str | None = None, limits: RiskLimits | None = None) -> Prepared:
    """Find all that a run needs; `text` is the strategy's source where it is not that of the file. Raises ConfigError, OSError."""
    if options.mode not in MODES:
        raise ConfigError(f"there is no mode '{options.mode}'; there are {' and '.join(MODES)}")
    if options.mode == "paper" and (options.start is not None or options.end is not None):
        raise ConfigError("a paper run begins now and ends when it is stopped: --from and --to are for replay")
    if options.mode == "paper" and len(options.places) != 1:
        raise ConfigError("a paper run follows one recorder: give one DIR")
    strategy = load_strategy(options.strategy, text)
    file, own = params_of(options.strategy, options.strategy_config)
    given = {name: options.params.get(name, value) for name, value in own.items()} | dict(options.params)
    parameters(strategy, own, f"'{file}'")
    params = parameters(strategy, given, "--param")
    queue_model(options.queue)
    if options.start is not None and options.end is not None and options.start >= options.end:
        raise ConfigError("the range is empty: --from is not before --to")
    found = limits_of(options.limits_file, options.profile) if limits is None else limits
    recording = xtrader.open(*options.places)
    instruments = recording_inputs.instruments(recording, options.markets, options.start)
    tradeables = {one.key: tradeable(one) for one in instruments if options.markets or _is_gridded(one)}
    if not tradeables:
        raise ConfigError("no instrument of the recording has a tick and a lot: without them nothing can be traded")
    if options.mode == "replay" and not recording_inputs.is_ever_live(recording, sorted(tradeables), options.start, options.end):
        raise ConfigError(f"no book of {', '.join(sorted(tradeables))} is live in this range: see `xtrader coverage`")
    capital = CAPITAL if options.capital is None else options.capital
    chosen = [one for one in instruments if one.key in tradeables]
    latch = read_latch(options.runs) if options.mode == "paper" else HaltLatch()
    return Prepared(options, recording, strategy, params, chosen, tradeables, found, capital, latch)


def prepare_again(manifest: RunManifest) -> Prepared:
    """A run as its manifest says. Raises ConfigError, OSError."""
    options, limits = options_of(manifest)
    text = manifest.strategy_text or None
    if options.mode == "replay":
        return prepare(options, text, limits)
    strategy = load_strategy(options.strategy, text)
    params = parameters(strategy, options.params, "the manifest")
    tradeables = {one.key: tradeable(one) for one in manifest.tradeables}
    latch = HaltLatch(manifest.halted, manifest.stopped_until)
    return Prepared(options, None, strategy, params, manifest.tradeables, tradeables, limits, options.capital or {}, latch)


def _is_gridded(one: Instrument) -> bool:
    return bool(one.tick_size and (one.lot_size or one.min_size))


def tradeable(one: Instrument) -> Tradeable:
    """What is known of an instrument, as the gate has it."""
    return Tradeable(Grid(one), one.exchange, one.status, one.ts, one.expiry)


def replay(options: TradeOptions) -> TradeRun:
    """Trade a recording. Raises ConfigError, OSError, StorageError."""
    return run_prepared(options, inputs_of)


def run_prepared(
    options: TradeOptions,
    inputs: Callable[[Prepared], Iterable[Input]],
    *,
    watch: Callable[[Engine, RunLog, Iterable[Input]], Iterable[Input]] | None = None,
) -> TradeRun:
    """Prepare a run, and run it on its inputs. `watch` sees every input on its way. Raises ConfigError, OSError, StorageError."""
    with localcontext(prec=PRECISION):
        prepared = prepare(options)
        now = SystemClock.now()
        if options.directory is not None:
            directory = run_files.given_directory(options.directory, options.mode)
        else:
            directory = run_files.new_directory(options.runs, options.mode, prepared.strategy.name, now)
        manifest = manifest_of(prepared, directory.name, run_files.utc(now))
        run_files.save(directory, manifest)
        return _run(prepared, manifest, directory, inputs(prepared), watch)


def _run(prepared: Prepared, manifest: RunManifest, directory: Path, inputs: Iterable[Input], watch: Any) -> TradeRun:
    log = RunLog(directory / run_files.LOG, is_live=watch is not None)
    try:
        engine = Engine(setup_of(prepared, log.write, time.perf_counter_ns))
        engine.run(inputs if watch is None else watch(engine, log, inputs))
        log.write("end", {"digest": log.digest})
    finally:
        log.close()
    report = run_report(facts_of(engine, manifest.run, prepared.options.mode, log.digest))
    replace_file(directory / run_files.REPORT, msgspec.json.encode(report) + b"\n")
    if manifest.mode == "replay" and manifest.end is None and engine.last is not None:
        # What is recorded later, by a recorder that still runs, is no part of this run.
        manifest.end = engine.last + 1
    manifest.digest, manifest.ended = log.digest, run_files.utc(SystemClock.now())
    run_files.save(directory, manifest)
    return TradeRun(directory, report, engine)


def inputs_of(prepared: Prepared) -> Iterator[Input]:
    """The inputs of a run."""
    options = prepared.options
    keys = sorted(prepared.tradeables)
    return recording_inputs.inputs(prepared.recording, keys, options.start, options.end, options.attach_delay)


def setup_of(prepared: Prepared, write: Callable[[str, object], None], stopwatch: Callable[[], int]) -> EngineSetup:
    """What the engine is made of."""
    options = prepared.options
    keys = sorted(prepared.tradeables)
    plan = StrategyPlan(prepared.strategy.name, prepared.strategy.make, prepared.params, keys)
    return EngineSetup(
        mode=options.mode,
        plans=(plan,),
        tradeables=prepared.tradeables,
        limits=prepared.limits,
        capital=prepared.capital,
        fees=lambda _: options.fees,
        delays=Delays(options.entry_delay, options.response_delay, sigma=options.delay_sigma, seed=options.seed),
        queue=options.queue,
        write=write,
        stopwatch=stopwatch,
        halted=prepared.latch.halted,
        stopped_until=prepared.latch.stopped_until,
    )


def manifest_of(prepared: Prepared, name: str, created: str) -> RunManifest:
    """What the run is made of, so that it can be decided again."""
    options, limits = prepared.options, prepared.limits
    params = {} if prepared.params is None else msgspec.to_builtins(prepared.params)
    manifest = RunManifest(
        run=name,
        mode=options.mode,
        created=created,
        strategy=options.strategy,
        strategy_hash=prepared.strategy.digest,
        strategy_text=prepared.strategy.text if options.strategy.endswith(".py") else "",
        params=params,
        instruments=sorted(prepared.tradeables),
        places=[str(Path(place).absolute()) if "://" not in place else place for place in options.places],
        start=options.start,
        end=options.end,
        capital={asset: str(amount) for asset, amount in prepared.capital.items()},
        fees={"maker_bps": str(options.fees.maker_bps), "taker_bps": str(options.fees.taker_bps), "asset": options.fees.asset},
        attach_delay=options.attach_delay,
        entry_delay=options.entry_delay,
        response_delay=options.response_delay,
        delay_sigma=options.delay_sigma,
        queue=options.queue,
        seed=options.seed,
        limits={key: f"{one.value:f}" for key, one in sorted(limits.values.items())},
        limits_hash=limits.digest,
        config_hash="",
        versions=run_files.versions(xtrader.__version__),
        halted=prepared.latch.halted,
        stopped_until=prepared.latch.stopped_until,
        tradeables=prepared.instruments if options.mode == "paper" else (),
    )
    manifest.config_hash = hashlib.sha256(msgspec.json.encode([manifest.params, manifest.capital, manifest.fees])).hexdigest()
    return manifest


def options_of(manifest: RunManifest) -> tuple[TradeOptions, RiskLimits]:
    """The options and limits that a manifest says. Raises ConfigError if its limits are not those of its hash."""
    values = {key: LimitValue(Decimal(text), "manifest") for key, text in manifest.limits.items()}
    if digest(values) != manifest.limits_hash:
        raise ConfigError(f"the manifest of {manifest.run} was changed: its limits are not those of its hash")
    fees = Fees(Decimal(manifest.fees["maker_bps"]), Decimal(manifest.fees["taker_bps"]), manifest.fees["asset"])
    options = TradeOptions(
        mode=manifest.mode,
        strategy=manifest.strategy,
        places=manifest.places,
        markets=manifest.instruments,
        strategy_config=Path(os.devnull),
        start=manifest.start,
        end=manifest.end,
        params=manifest.params,
        capital={asset: Decimal(text) for asset, text in manifest.capital.items()},
        fees=fees,
        attach_delay=manifest.attach_delay,
        entry_delay=manifest.entry_delay,
        response_delay=manifest.response_delay,
        delay_sigma=manifest.delay_sigma,
        queue=manifest.queue,
        seed=manifest.seed,
    )
    return options, RiskLimits(values, manifest.limits_hash)


def amounts(texts: Sequence[str]) -> dict[str, Decimal]:
    """`ASSET=AMOUNT` as capital. Raises ConfigError."""
    found = {}
    for text in texts:
        asset, _, amount = text.partition("=")
        try:
            value = Decimal(amount)
        except InvalidOperation:
            value = Decimal("NaN")
        if not asset or not value.is_finite() or value <= 0:
            raise ConfigError(f"'{text}' is no capital: give ASSET=AMOUNT with an amount above 0, such as USDT=10000")
        found[asset.upper()] = value
    return found
