"""A real QuestDB server for tests: installed once below the user's cache directory, each test's data in a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import platformdirs

from tests.needs import missing
from tests.waiting import LIMIT, wait_until

VERSION = "9.3.4"
SMALL = {
    "cairo.writer.data.append.page.size": "128K",
    "cairo.wal.writer.data.append.page.size": "128K",
    "cairo.writer.data.index.key.append.page.size": "64K",
    "cairo.writer.data.index.value.append.page.size": "64K",
    "cairo.o3.column.memory.size": "128K",
    "cairo.system.writer.data.append.page.size": "32K",
    "cairo.system.wal.writer.data.append.page.size": "32K",
}


def jar() -> Path:
    """The server's jar. Skips where it cannot be had; fails in CI."""
    directory = platformdirs.user_cache_path("xtrader-tests")
    path = directory / f"questdb-{VERSION}.jar"
    absent = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if not absent and not path.exists():
        # Beside the place where it belongs, then renamed: other test processes look for it at the same time.
        aside = directory / str(os.getpid())
        aside.mkdir(parents=True, exist_ok=True)
        command = ["mvn", "-q", "dependency:copy", f"-Dartifact=org.questdb:questdb:{VERSION}", f"-DoutputDirectory={aside}"]
        subprocess.run(command, capture_output=True, timeout=240, check=False)
        for found in aside.glob("*.jar"):
            found.replace(path)
        shutil.rmtree(aside)
    if absent or not path.exists():
        missing(f"no QuestDB server: {' and '.join(absent) or 'the jar'} cannot be had")
    return path


def free_ports(count: int) -> list[int]:
    """Ports that stay free while a server is down: the system gives none of these to connections that are made meanwhile."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(10_000, first_given)
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            found.append(port)
    return found


class Server:
    """One server: its ports stay the same over restarts."""

    def __init__(self, root: Path, **settings: str) -> None:
        self.root = root
        self.http, self.ilp, self._health, self._pg = free_ports(4)
        self._process: subprocess.Popen[bytes] | None = None
        lines = {
            "http.bind.to": f"127.0.0.1:{self.http}",
            "http.min.net.bind.to": f"127.0.0.1:{self._health}",
            "line.tcp.net.bind.to": f"127.0.0.1:{self.ilp}",
            "pg.net.bind.to": f"127.0.0.1:{self._pg}",
            "line.udp.enabled": "false",
            "telemetry.enabled": "false",
            "metrics.enabled": "true",
            "shared.worker.count": "1",
            "dev.mode.enabled": "true",
            **SMALL,
            **settings,
        }
        (root / "conf").mkdir(parents=True, exist_ok=True)
        (root / "conf" / "server.conf").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    def start(self) -> None:
        # Servers live for seconds: compiling well costs more than it gives.
        light = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        command = ["java", "-Xmx512m", *light, "--add-exports", "java.base/jdk.internal.math=io.questdb", "-p", str(jar())]
        command += ["-m", "io.questdb/io.questdb.ServerMain", "-d", str(self.root)]
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.root)
        wait_until(lambda: not self.alive() or self._healthy(), lambda: (self.root / "log").read_text()[-3000:])
        if not self.alive():
            raise RuntimeError((self.root / "log").read_text()[-3000:])

    @property
    def metrics_url(self) -> str:
        """Where it serves its own metrics."""
        return f"http://127.0.0.1:{self._health}/metrics"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def sql(self, query: str) -> list[list[Any]]:
        """Rows of a query."""
        return self.answer(query).get("dataset", [])

    def answer(self, query: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.http}/exec?" + urllib.parse.urlencode({"query": query})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=LIMIT) as answer:
                found: dict[str, Any] = json.loads(answer.read(), strict=False)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{query}: {error.read().decode()}") from None
        return found

    def exists(self, table: str) -> bool:
        return bool(self.sql(f"SELECT table_name FROM tables() WHERE table_name = '{table}'"))

    def rows(self, table: str) -> int:
        """How many rows a table shows; 0 while there is no such table, which may go at any moment."""
        try:
            return int(self.sql(f"SELECT count() FROM '{table}'")[0][0])
        except RuntimeError as error:
            if "table does not exist" not in str(error):
                raise
            return 0

    def settle(self) -> None:
        """Wait until what was acknowledged is visible."""
        waiting = "SELECT name FROM wal_tables() WHERE sequencerTxn > writerTxn"
        wait_until(lambda: not self.sql(waiting), lambda: self.sql(waiting))

    def variables(self) -> dict[str, str]:
        return {"QUESTDB_HOST": "127.0.0.1", "QUESTDB_HTTP_PORT": str(self.http), "QUESTDB_ILP_PORT": str(self.ilp)}

    def _healthy(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self._health}/status", timeout=2) as answer:
                return "Healthy" in answer.read().decode()
        except OSError:
            return False
