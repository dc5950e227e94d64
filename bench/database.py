"""A QuestDB server for the contenders that write to one: started once, emptied before each run, on the server's core.

The rule: its own CPU is nobody's; what it holds in the end is read back like files are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import check
from bench.check import Found, Wrong
from bench.cores import Cores
from bench.task import Answer, Task

ARTIFACT = "org.questdb:questdb:9.3.4"
VISIBLE = 30.0
"""Seconds after which what was written must be found."""


@contextlib.contextmanager
def questdb(left_out: dict[str, str]) -> Iterator[int | None]:
    """The HTTP port of a server, or None where there can be none; then `left_out` says why."""
    left_out.pop("QuestDB", None)
    jar = _jar()
    if jar is None:
        left_out["QuestDB"] = "no QuestDB server: it needs Java 17, and XTRADER_BENCH_QUESTDB_JAR or Maven (mvn) to get one"
        print(f"left out: {left_out['QuestDB']}", flush=True)
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="xtrader-bench-questdb-") as root:
        ports = _ports(4)
        (Path(root) / "conf").mkdir()
        names = ("http.bind.to", "http.min.net.bind.to", "line.tcp.net.bind.to", "pg.net.bind.to")
        lines = [f"{name}=127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)]
        lines += ["line.udp.enabled=false", "telemetry.enabled=false", "shared.worker.count=1"]
        (Path(root) / "conf" / "server.conf").write_text("\n".join(lines))
        command = ["java", "--add-exports", "java.base/jdk.internal.math=io.questdb", "-p", str(jar)]
        command += ["-m", "io.questdb/io.questdb.ServerMain", "-d", root]
        core = Cores.here().server
        with (Path(root) / "log").open("wb") as log:
            server = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {core})
            )
        try:
            _wait_until_healthy(server, ports[1])
            yield ports[0]
        finally:
            server.terminate()
            server.wait(30)


def empty(port: int) -> None:
    """Drop every table."""
    for (name,) in check.query(port, "SELECT table_name FROM tables()"):
        check.query(port, f"DROP TABLE '{name}'")


def cryptofeed_tables(task: Task, answer: Answer) -> Found:
    """Rows of cryptofeed's backend; its book is what the last row's ten levels a side say."""
    exchange = {"OKX_SWAP": "OKX"}.get(task.exchange, task.exchange)
    found = Found(books=_settled(task.questdb_port, f"book-{exchange}", task.books), top=10)
    if task.trades:
        found.trades = _settled(task.questdb_port, f"trades-{exchange}", task.trades)
    names = [f"{side}_{level}_{what}" for side in ("bid", "ask") for level in range(10) for what in ("price", "size")]
    last = check.query(task.questdb_port, f"SELECT {', '.join(names)} FROM 'book-{exchange}' LIMIT -1")[0]
    values = [float(str(value)) for value in last]
    found.bids, found.asks = (dict(zip(half[::2], half[1::2], strict=True)) for half in (values[:20], values[20:]))
    return found


def our_tables(task: Task, answer: Answer) -> Found:
    """Rows of xtrader's tables, and the book that its updates rebuild."""
    port = task.questdb_port
    found = Found(books=_settled(port, "book_updates", task.books), levels=0)
    if task.trades:
        found.trades = _settled(port, "trades", task.trades)
    for bids, asks in check.query(port, "SELECT bids, asks FROM 'book_updates' ORDER BY ts, sequence, ts_recv"):
        for side, levels in (("bid", bids), ("ask", asks)):
            prices, sizes = levels if isinstance(levels, list) and levels else ((), ())
            found.levels = (found.levels or 0) + len(prices)
            found.apply((side, price, size) for price, size in zip(prices, sizes, strict=True))
    return found


def _settled(port: int, table: str, wanted: int) -> int:
    """Rows of a table once they are all visible, or when waiting does not help."""
    deadline = time.monotonic() + VISIBLE
    while True:
        try:
            rows = int(str(check.query(port, f"SELECT count() FROM '{table}'")[0][0]))
        except OSError as error:
            raise Wrong(f"QuestDB has no table {table}: {error}") from error
        if rows >= wanted or time.monotonic() > deadline:
            return rows
        time.sleep(0.2)


def _jar() -> Path | None:
    if shutil.which("java") is None:
        return None
    given = os.environ.get("XTRADER_BENCH_QUESTDB_JAR")
    if given:
        return Path(given) if Path(given).exists() else None
    directory = Path(__file__).parent / ".envs"
    version = ARTIFACT.rsplit(":", 1)[1]
    path = directory / f"questdb-{version}.jar"
    if not path.exists() and shutil.which("mvn") is not None:
        directory.mkdir(exist_ok=True)
        command = ["mvn", "-q", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={directory}"]
        with contextlib.suppress(subprocess.SubprocessError):
            subprocess.run(command, capture_output=True, timeout=240, check=False)
    return path if path.exists() else None


def _ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_until_healthy(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            if opener.open(f"http://127.0.0.1:{port}/status", timeout=5).status == 200:
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
        time.sleep(0.1)
