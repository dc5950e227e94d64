"""Several recording processes as one: `XTRADER_WORKERS` splits the subscriptions by connection, each process has a journal and
a sink of its own, and this one starts them, shows them as one, and starts again what died.

The rule: no row passes through here. A worker that dies is started again alone, unless trying again cannot help.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import uvloop

from xtrader import __version__, logs
from xtrader.app import status
from xtrader.app.commands import ANSWER, log_level, note, relayed
from xtrader.app.compose import record_part
from xtrader.app.notify import Progress, telling
from xtrader.app.recorder import UNFINISHED, Recorder, drain_seconds
from xtrader.app.serving import Listening, Serving, listening
from xtrader.app.telemetry import Sync
from xtrader.clock import SystemClock
from xtrader.errors import ConfigError, StorageError
from xtrader.model.streams import STREAMS
from xtrader.model.subscription import Subscription, parse_subscriptions
from xtrader.ops.door import Caller, Command, Door
from xtrader.ops.facts import Facts, gone, merge, of_worker
from xtrader.ops.system import host, process_facts, versions
from xtrader.pipeline.children import Child
from xtrader.pipeline.frames import segments
from xtrader.settings.directories import collector_id
from xtrader.settings.effective import shown
from xtrader.settings.environment import service_manager
from xtrader.settings.load import Settings
from xtrader.venues import exchanges, market, streams
from xtrader.venues.base import Link

log = structlog.get_logger("xtrader.workers")

COMMAND: Final = (sys.executable, "-m", "xtrader", "_worker")
NAMES: Final = "worker-*"
SETTLED: Final = 30.0
"""Seconds after which a worker has done something, also where nothing is live."""
PERIOD: Final = 1.0
"""Seconds between two times that a worker tells its facts."""
FINAL: Final = (ConfigError.exit_code, StorageError.exit_code)
"""Exit codes that trying again cannot help."""


class Task(msgspec.Struct, frozen=True):
    """What one worker is told. Without `subscriptions` it finishes what an earlier run left in its journal, and ends."""

    number: int
    settings: Settings
    share: float
    subscriptions: tuple[str, ...]
    consumers: tuple[str, ...] = ()

    @property
    def leftover(self) -> bool:
        return not self.subscriptions


def is_wanted(settings: Settings) -> bool:
    """True if the settings ask for several processes, or an earlier run with several left journals behind."""
    return settings.workers > 1 or any(map(_left, _worker_journals(settings)))


def record(settings: Settings, consumers: Sequence[str] = (), *, began: Callable[[], None] = lambda: None) -> int:
    """Record with several processes until told to stop; returns the exit code. `consumers` are functions, each named as
    `package.module:function`, that every process calls with the records of its own subscriptions; `began` is called
    before they are started. Raises ConfigError."""
    given = [task if task.leftover else msgspec.structs.replace(task, consumers=tuple(consumers)) for task in tasks(settings)]
    began()
    with listening(settings.http) as where, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, given, where))


async def _run(settings: Settings, given: Sequence[Task], where: Listening | None) -> int:
    supervisor = _Supervisor(settings, given)
    if where is not None:
        supervisor.serving = Serving(settings, where)
    async with telling(service_manager(), supervisor.progress):
        return await supervisor.run()


def tasks(settings: Settings) -> list[Task]:
    """What the workers are told, journals that no worker goes on with included. Raises ConfigError."""
    subscriptions = parse_subscriptions(settings.subscriptions, exchanges(), streams)
    links: list[Link] = []
    for exchange in dict.fromkeys(one.exchange for one in subscriptions):
        wanted = [one for one in subscriptions if one.exchange == exchange]
        links += market(exchange, settings.venue_options).links(wanted)
    parts = divide([link.subscriptions for link in links], settings.workers)
    root = settings.journal_directory
    collector = collector_id(settings)
    found = []
    for number, part in enumerate(parts):
        own = settings if settings.workers == 1 else _own(settings, number, len(parts), collector)
        found.append(Task(number, own, 1 / len(parts), tuple(map(str, part))))
    used = {task.settings.journal_directory for task in found}
    for journal in (root, *_worker_journals(settings)):
        if journal not in used and _left(journal):
            rest = replace(settings, journal_directory=journal, collector=None, raw_directory=None, shutdown_after=1.0, http=None)
            found.append(Task(len(found), rest, 1.0, ()))
    return found


def divide(links: Sequence[Sequence[Subscription]], workers: int) -> list[list[Subscription]]:
    """The subscriptions of each worker, none without any. Connections stay whole unless there are fewer than workers; then the
    largest are made two. The same subscriptions always give the same parts."""
    parts = [list(link) for link in links]
    while len(parts) < workers and (largest := max(parts, key=_cost)) and len(largest) > 1:
        parts.remove(largest)
        streams = [[one for one in largest if one.stream == stream] for stream in sorted({one.stream for one in largest})]
        parts.append([one for n, each in enumerate(streams) for one in each[n % 2 :: 2]])
        parts.append([one for n, each in enumerate(streams) for one in each[1 - n % 2 :: 2]])
    shares: list[list[Subscription]] = [[] for _ in range(min(workers, len(parts)))]
    for part in sorted(parts, key=_cost, reverse=True):
        min(shares, key=_cost).extend(part)
    return shares


def run_worker() -> int:
    """A worker's process: reads its Task from standard input. Returns the exit code."""
    told = sys.stdin.buffer.readline()
    if not told.endswith(b"\n"):
        # Whoever started this worker was gone, or wanted it no more, before it had said anything.
        return 0
    task = msgspec.json.decode(told, type=Task, dec_hook=_decode)
    settings = task.settings
    logs.set_up(settings.log_level, settings.secrets, log_to=settings.log_to)
    structlog.contextvars.bind_contextvars(worker=task.number)
    subscriptions = parse_subscriptions(",".join(task.subscriptions), exchanges(), streams) if task.subscriptions else ()
    return record_part(settings, subscriptions, share=task.share, consumers=task.consumers, beside=_answer)


async def _answer(recorder: Recorder) -> None:
    """Send facts to whoever started this worker, and stop when they are gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(0), "rb", 0))
    writer, _ = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(os.dup(1), "wb", 0))
    gone = asyncio.ensure_future(reader.read())
    while not gone.done():
        if not writer.is_closing() and not writer.get_write_buffer_size():
            writer.write(recorder.gatherer.json() + b"\n")
        await asyncio.wait([gone], timeout=PERIOD)
    recorder.stop("the process that started this worker wants it to, or is gone")


class _Worker:
    """One process. `run` keeps it alive until it was told to stop; returns its last exit code."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.told: Facts | None = None
        """The facts that it sent last."""
        # A session of its own: the terminal's Ctrl-C must reach it once, by way of the process that started it.
        self._child = Child(f"worker {task.number}", COMMAND, talk=self._tell, hear=self._hear)
        self._is_stopped = False
        self._began = self._heard = 0.0
        self._was_live = False

    @property
    def silence(self) -> float | None:
        """Seconds for which its journal was not written, as far as it says; None while it does not run."""
        if self.told is None or not self.speaks:
            return None
        return max((one.silence for one in self.told.journals), default=0.0) + asyncio.get_running_loop().time() - self._heard

    @property
    def speaks(self) -> bool:
        """It runs and has told facts."""
        return self._child.speaks

    async def run(self) -> int:
        """Raises nothing: a code that trying again cannot help ends it, every other end is followed by a new start."""
        return await self._child.run(self._is_over, self._has_achieved)

    def stop(self) -> None:
        """Tell it to drain and finish; told twice it stops at once. The end of its input says the first, because a signal kills a
        process that has only just begun."""
        was_stopped, self._is_stopped = self._is_stopped, True
        self._child.hurry()
        process = self._child.process
        if process is None or process.returncode is not None:
            return
        if was_stopped:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        elif process.stdin is not None:
            process.stdin.close()

    async def _tell(self, stdin: asyncio.StreamWriter) -> None:
        self._began = asyncio.get_running_loop().time()
        with contextlib.suppress(ConnectionError):
            stdin.write(msgspec.json.encode(self.task, enc_hook=str) + b"\n")
            await stdin.drain()
        if self._is_stopped:
            stdin.close()

    def _hear(self, line: bytes) -> None:
        told = msgspec.json.decode(line, type=Facts)
        self.told = of_worker(told, self.task.number)
        self._heard = asyncio.get_running_loop().time()
        self._was_live = self._was_live or told.live > 0

    def _is_over(self, code: int) -> bool:
        task = self.task
        if task.leftover and code == 0 and task.settings.journal_directory.match(NAMES):
            shutil.rmtree(task.settings.journal_directory, ignore_errors=True)
        return code in (0, *FINAL) or (code == UNFINISHED and not task.leftover) or self._is_stopped

    def _has_achieved(self) -> bool:
        was_live, self._was_live = self._was_live, False
        return was_live or asyncio.get_running_loop().time() - self._began > SETTLED


class _Supervisor:
    """All workers of one recording."""

    def __init__(self, settings: Settings, given: Sequence[Task]) -> None:
        self._workers = [_Worker(task) for task in given]
        self._stops = 0
        self.serving: Serving | None = None
        """Serves HTTP, where that is wanted."""
        self._clock = SystemClock()
        self._sync = Sync(self._clock)
        self._directory = settings.journal_directory
        own: dict[str, Command] = {"facts": self._answer_facts, "log-level": self._change_levels, "stop": self._answer_stop}
        self._relayed = {name: relayed(self._journals, name) for name in ("book", "resync", "reconnect", "log-level")}
        self._door = Door(self._directory, {**self._relayed, **own})
        self._whole = Facts(
            ts=self._clock.now(),
            started=self._clock.now(),
            collector=collector_id(settings),
            host=host(),
            stopping="",
            versions=versions(__version__),
            settings=shown(settings),
            wanted=sum(len(task.subscriptions) for task in given),
        )

    async def run(self) -> int:
        """Record until a signal, the workers' time is over, or one of them failed for good. Returns the highest exit code."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self._stop, signal.Signals(number).name)
        log.info("workers", workers=sum(not worker.task.leftover for worker in self._workers))
        shown = asyncio.create_task(status.show(self.facts, self._note))
        runs = [asyncio.create_task(worker.run()) for worker in self._workers]
        await self._open_door()
        serving = None if self.serving is None else asyncio.create_task(self.serving.run())
        codes = []
        try:
            for done in asyncio.as_completed(runs):
                codes.append(await done)
                if codes[-1] in FINAL and not self._stops:
                    self._stop("a worker failed for good")
            return max(codes)
        finally:
            shown.cancel()
            if serving is not None:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
            await self._door.close()
            await asyncio.gather(shown, *runs, return_exceptions=True)

    def progress(self) -> Progress:
        """How all are together, for the service manager; one that is being started again delays nothing."""
        silences = [worker.silence for worker in self._workers if worker.silence is not None]
        facts = self.facts()
        return Progress(facts.live, facts.wanted, max(silences, default=None), self._stops > 0)

    def _stop(self, why: str) -> None:
        self._stops += 1
        log.info("stopping", why=why)
        self._whole = msgspec.structs.replace(self._whole, stopping=why)
        if self.serving is not None:
            self.serving.stopping("the recorder finishes its files")
        for worker in self._workers:
            worker.stop()

    async def _open_door(self) -> None:
        try:
            await self._door.open()
        except OSError as error:
            log.warning("no_door", directory=str(self._directory), error=error.strerror, about="nobody can ask this recorder")

    async def _answer_facts(self, caller: Caller, said: Mapping[str, Any]) -> Facts:
        return self.facts()

    def _journals(self) -> dict[int, Path]:
        """Where the workers that run have their doors."""
        return {one.task.number: one.task.settings.journal_directory for one in self._workers if one.speaks}

    async def _change_levels(self, caller: Caller, said: Mapping[str, Any]) -> Any:
        levels = await log_level(caller, said)
        if self.serving is not None:
            self.serving.set_levels(levels["levels"])
        await self._relayed["log-level"](caller, said)
        return levels

    async def _answer_stop(self, caller: Caller, said: Mapping[str, Any]) -> Any:
        note("stop", caller, said)
        if not self._stops:
            asyncio.get_running_loop().call_later(ANSWER, self._stop, f"asked for at the door by {caller.name or caller.uid}")
        return {"stopping": True}

    def facts(self) -> Facts:
        """Those of all workers as one; a worker that does not run is missing, and what it recorded is a gap."""
        now = self._clock.now()
        recording = [worker for worker in self._workers if not worker.task.leftover]
        parts = [
            worker.told if worker.speaks else gone(worker.told, "its recording process does not run", now)
            for worker in recording
            if worker.told is not None
        ]
        served = [] if self.serving is None else self.serving.processes()
        whole = msgspec.structs.replace(
            self._whole,
            ts=now,
            processes=tuple(process_facts(name, pid) for name, pid in (("supervisor", os.getpid()), *served)),
            missing=tuple(worker.task.number for worker in recording if not worker.speaks),
        )
        return merge(whole, parts)

    def _note(self) -> str:
        facts = self.facts()
        self._sync.look(facts.live, facts.wanted)
        url = "" if self.serving is None else self.serving.url
        return "  ".join(filter(None, (url, self._sync.told(facts.live, facts.wanted))))


def _own(settings: Settings, number: int, of: int, collector: str) -> Settings:
    name = f"worker-{number}"
    return replace(
        settings,
        journal_directory=settings.journal_directory / name,
        collector=f"{collector[:28]}-w{number}",
        http=None,
        raw_directory=settings.raw_directory / name if settings.raw_directory is not None else None,
        journal_max_bytes=settings.journal_max_bytes // of,
        drain=drain_seconds(settings),
    )


def _worker_journals(settings: Settings) -> list[Path]:
    return sorted(settings.journal_directory.glob(NAMES))


def _left(journal: Path) -> bool:
    return journal.is_dir() and bool(segments(journal))


def _cost(part: Sequence[Subscription]) -> int:
    return sum(STREAMS[one.stream].cost for one in part)


def _decode(kind: type, value: Any) -> Any:
    return kind(value)
