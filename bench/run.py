"""One contender on one traffic: CPU of all its processes together, memory, what it recorded.

The rule: only what is right counts.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import database, server
from bench.check import Wrong, lost
from bench.contenders import Contender
from bench.cores import Cores
from bench.frames import Traffic
from bench.server import Pace
from bench.task import Answer, Task
from bench.watch import Watch

ROOT = Path(__file__).parents[1]
LONGEST = 90.0
"""Seconds that one run may take."""


@dataclass(frozen=True)
class Run:
    """CPU seconds of all processes of the contender, wall seconds from the start to the end, what is missing."""

    cpu: float
    wall: float
    memory: int
    """Bytes of memory of all its processes together, the most that was seen."""
    lost: dict[str, int]
    answer: Answer
    sent: dict[str, list[int]]
    file_bytes: int
    """Bytes of its Parquet files."""
    watch: Watch


@contextlib.contextmanager
def serving(traffic: Traffic, directory: Path, pace: Pace | None, core: int | None) -> Iterator[tuple[Any, int, int]]:
    """The server as a process: (pipe, TLS port, plain port)."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=server.main, args=(traffic, directory, theirs, pace, core))
    process.start()
    theirs.close()
    try:
        secure, plain = ours.recv()
        yield ours, secure, plain
    finally:
        process.kill()
        process.join()


def run(contender: Contender, traffic: Traffic, cores: Cores, *, pace: Pace | None = None, port_of_questdb: int = 0) -> Run:
    """Run it once. Raises Wrong if the result is not right or it does not end."""
    if contender.questdb:
        database.empty(port_of_questdb)
    with tempfile.TemporaryDirectory(prefix="xtrader-bench-") as temporary:
        directory = Path(temporary)
        with serving(traffic, directory, pace, cores.server) as (pipe, secure, plain):
            port, s = (plain, "") if contender.plain else (secure, "s")
            task = Task(
                exchange=traffic.exchange,
                subscriptions=traffic.subscriptions,
                mode=contender.mode,
                ws=f"ws{s}://localhost:{port}",
                rest=f"http{s}://localhost:{port}",
                directory=temporary,
                books=traffic.books,
                trades=traffic.trades,
                frame_bytes=sum(len(server.framed(payload)) for _, payload in traffic.frames),
                questdb_port=port_of_questdb,
            )
            environment = {name: value for name, value in os.environ.items() if not name.startswith(("XTRADER_", "DERIBIT_"))}
            environment |= {
                "XTRADER_HTTP": "off",
                "SSL_CERT_FILE": str(directory / "ca.pem"),
                "REQUESTS_CA_BUNDLE": str(directory / "ca.pem"),
                "PYTHONPATH": str(ROOT),
                "XDG_CACHE_HOME": str(directory / "cache"),
                "HOME": temporary,
                **contender.environment(task),
            }
            began = time.monotonic()
            cpu, watch, said = _watched(contender, contender.command(task), environment, directory, pipe, cores.contender)
            wall = time.monotonic() - began
            sent = pipe.recv() if pipe.poll(0.5 if pace else 0) else {}
        answer = Answer(**json.loads(said.strip().splitlines()[-1])) if contender.ends_itself else Answer()
        found = contender.found(task, answer)
        missing = {} if found is None else lost(traffic, found)
        size = sum(path.stat().st_size for path in directory.rglob("*.parquet"))
        return Run(cpu, wall, watch.memory, missing, answer, sent, size, watch)


def _watched(
    contender: Contender, command: list[str], environment: dict[str, str], directory: Path, pipe: Any, core: int
) -> tuple[float, Watch, str]:
    """(CPU seconds with children, what was seen on the way, standard output) of a command that runs to its end."""
    errors = directory / "errors"
    with errors.open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    watch = Watch(process.pid)
    hung = threading.Timer(LONGEST, process.kill)
    hung.start()
    watch.start()
    try:
        if not contender.ends_itself:
            if pipe.poll(LONGEST):
                pipe.recv()
            process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        hung.cancel()
        watch.over.set()
    if process.returncode:
        tail = errors.read_text(errors="replace")[-1500:]
        raise Wrong(f"{contender.name} ended with {process.returncode} (killed after {LONGEST:.0f} s if -9):\n{tail}")
    return usage.ru_utime + usage.ru_stime, watch, said


def marginal(contender: Contender, make: Any, messages: int, cores: Cores, port_of_questdb: int = 0) -> dict[str, Any]:
    """CPU microseconds per message: the difference of a long and a short run, so that starting up is not counted."""
    long, short = make(messages), make(max(messages // 8, 200))
    first = run(contender, short, cores, port_of_questdb=port_of_questdb)
    second = run(contender, long, cores, port_of_questdb=port_of_questdb)
    return {
        "cpu_us": (second.cpu - first.cpu) / (long.messages - short.messages) * 1e6,
        "messages": long.messages,
        "wall_s": second.wall,
        "memory": second.memory,
        "lost": second.lost,
        "levels": long.levels,
        "file_bytes": second.file_bytes,
    }


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = sorted(os.sched_getaffinity(0))
    return {"cpu": cpu, "cores": len(cores), "memory_gib": round(memory / 2**30), "kernel": os.uname().release}
