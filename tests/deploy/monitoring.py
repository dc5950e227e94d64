"""A real Prometheus and a real Alertmanager, with the files of deploy/monitoring, and people who are told by a webhook.

The rule: expressions, labels and inhibitions are those of the files; only how long things take is shortened (`quick`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.needs import missing
from tests.objectstore import free_port
from tests.processes import kept_track_of
from tests.waiting import until, wait_until
from xtrader.ops.metrics import METRICS

FILES = Path(__file__).parents[2] / "deploy" / "monitoring"
RULES = FILES / "rules"
LONGEST = 10
"""Seconds that an alert must hold at most, or goes on, where things are to be quick."""
PROGRAMS = {"prometheus": "prometheus", "promtool": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}
SECONDS = {"s": 1, "m": 60, "h": 3600}


def needed(*programs: str) -> None:
    """Skip where one of them is missing; fail in CI."""
    for one in programs:
        if shutil.which(one) is None:
            missing(f"{one} is not installed (Debian: {PROGRAMS.get(one, one)})")


def rules(kind: str) -> list[dict[str, Any]]:
    """All alerts (`alert`), or all recorded series (`record`), as they stand in the files."""
    found = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    return [rule for file in found for group in file["groups"] for rule in group["rules"] if kind in rule]


def loaded(name: str) -> Any:
    """A module of deploy/monitoring."""
    spec = importlib.util.spec_from_file_location(name, FILES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def served_series() -> set[str]:
    """The names of all series that a recorder may serve."""
    parts = ("_bucket", "_sum", "_count")
    return {f"{name}{part}" for name, one in METRICS.items() for part in (parts if one.kind == "histogram" else ("",))}


def named(expression: str) -> set[str]:
    """The metrics that an expression names."""
    plain = re.sub(r'"[^"]*"|\[\w+\]|\b(?:by|on|ignoring|without|group_left|group_right) *\([^)]*\)', " ", expression)
    plain = re.sub(r"\{[^}]*\}", " ", plain)
    return {word for word in re.findall(r"[a-zA-Z_:][\w:]*(?!\w* *\()", plain) if re.search("[_:]|^up$|^ALERTS$", word)}


def expressions(dashboard: str) -> list[str]:
    """What the panels of a dashboard ask, as it is where all is chosen."""
    panels = json.loads((FILES / "grafana" / "dashboards" / f"{dashboard}.json").read_text(encoding="utf-8"))["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [re.sub(r"\$(instance|exchange)\b", ".+", one).replace("$__rate_interval", "1m") for one in found]


def quick(text: str) -> str:
    """Rules that wait, and go on, for at most LONGEST seconds, and are judged every second."""

    def shortened(found: re.Match[str]) -> str:
        seconds = int(found[2]) * SECONDS[found[3]]
        return f"{found[1]}: {min(seconds, LONGEST)}s"

    text = re.sub(r"(\bfor|keep_firing_for): (\d+)([smh])\b", shortened, text)
    return re.sub(r"^( +interval): \w+$", r"\1: 1s", text, flags=re.MULTILINE)


class People:
    """Whoever is told: what came by the webhook, in order."""

    def __init__(self) -> None:
        told = self.told = list[dict[str, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.append(json.loads(body) | {"path": self.path})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def pages(self, path: str = "/people", exchange: str | None = None) -> list[tuple[str, str]]:
        """(name of the alert, instance) of each notification that something fires, of an exchange or of all, in order."""
        firing = [one["groupLabels"] for one in self.told if one["status"] == "firing" and one["path"] == path]
        return [(one["alertname"], one.get("instance", "")) for one in firing if exchange in (None, one.get("exchange"))]


class Stack:
    """Both, with a directory of their own."""

    def __init__(self, directory: Path, people: People) -> None:
        self.directory = directory
        self.people = people
        self._prometheus, self._alertmanager = free_port(), free_port()
        self.targets({})

    def start(self) -> None:
        """Start both; returns when they answer."""
        shutil.copy(FILES / "alertmanager.sh", self.directory)
        self._copy("alertmanager.yml", {"wait: 20s": "wait: 1s", "interval: 2m": "interval: 5s", "interval: 1m": "interval: 5s"})
        ports = {"alertmanager:9093": f"127.0.0.1:{self._alertmanager}"}
        # Of a recorder that hangs the answer takes two seconds.
        times = {"interval: 5s": "interval: 3s", "timeout: 4s": "timeout: 3s", "refresh_interval: 15s": "refresh_interval: 1s"}
        self._copy("prometheus.yml", ports | times)
        (self.directory / "rules").mkdir()
        for path in RULES.glob("*.yml"):
            (self.directory / "rules" / path.name).write_text(quick(path.read_text()))
        told = {
            "XTRADER_ALERT_WEBHOOK_URL": f"{self.people.url}/people",
            "XTRADER_ALERT_WATCHDOG_URL": f"{self.people.url}/watchdog",
        }
        self._run(
            *("sh", self.directory / "alertmanager.sh", f"--storage.path={self.directory / 'alertmanager'}"),
            *("--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{self._alertmanager}"),
            environment=told | {"ALERTMANAGER": "prometheus-alertmanager", "TMPDIR": str(self.directory)},
        )
        self._run(
            *("prometheus", f"--config.file={self.directory / 'prometheus.yml'}", f"--storage.tsdb.path={self.directory / 'tsdb'}"),
            f"--web.listen-address=127.0.0.1:{self._prometheus}",
        )
        wait_until(lambda: self._answers(self._prometheus) and self._answers(self._alertmanager), self.log)

    def targets(self, urls: Mapping[str, str]) -> None:
        """Have the recorders scraped that serve at `urls`; their instance is the name."""
        entries = [{"targets": [urllib.parse.urlsplit(url).netloc], "labels": {"instance": name}} for name, url in urls.items()]
        place = self.directory / "targets" / "recorders.yml"
        place.parent.mkdir(exist_ok=True)
        place.with_suffix(".new").write_text(json.dumps(entries))
        place.with_suffix(".new").rename(place)

    def firing(self) -> set[tuple[str, str]]:
        """(name, instance) of the alerts that fire, whoever is told of them."""
        found = self._json(self._prometheus, "/api/v1/alerts")["data"]["alerts"]
        return {(one["labels"]["alertname"], one["labels"].get("instance", "")) for one in found if one["state"] == "firing"}

    def known(self) -> dict[tuple[str, str], str]:
        """What Alertmanager knows: (name, instance) -> active, or suppressed where something inhibits it."""
        found = self._json(self._alertmanager, "/api/v2/alerts")
        return {(one["labels"]["alertname"], one["labels"].get("instance", "")): one["status"]["state"] for one in found}

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression gives now."""
        query = urllib.parse.urlencode({"query": expression})
        found: list[dict[str, Any]] = self._json(self._prometheus, f"/api/v1/query?{query}")["data"]["result"]
        return found

    def log(self) -> str:
        return (self.directory / "log").read_text()[-3000:]

    def _copy(self, name: str, instead: Mapping[str, str]) -> None:
        text = (FILES / name).read_text()
        for old, new in instead.items():
            assert old in text, f"{name} has no '{old}'"
            text = text.replace(old, new)
        (self.directory / name).write_text(text)

    def _run(self, *command: str | Path, environment: Mapping[str, str] | None = None) -> None:
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log, env=os.environ | (environment or {}))
        kept_track_of(process)

    def _answers(self, port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _json(self, port: int, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return json.load(answer)


class Session:
    """What fired so far, and what Alertmanager made of it: alerts are (name, instance)."""

    def __init__(self, running: Stack) -> None:
        self.stack = running
        self.fired: set[tuple[str, str]] = set()
        self.now: set[tuple[str, str]] = set()
        self.active: set[tuple[str, str]] = set()
        self.inhibited: set[tuple[str, str]] = set()

    async def look(self) -> None:
        """Look for ever."""
        while True:
            self.now = await asyncio.to_thread(self.stack.firing)
            self.fired |= self.now
            known = await asyncio.to_thread(self.stack.known)
            self.active |= {one for one, state in known.items() if state == "active"}
            self.inhibited |= {one for one, state in known.items() if state == "suppressed"}
            await asyncio.sleep(0.3)

    def restarts(self, instance: str) -> int:
        """How often its sinks' processes were started again."""
        found = self.stack.ask(f'sum(xtrader_sink_restarts_total{{instance="{instance}"}})')
        return int(found[0]["value"][1])

    async def fires(self, instance: str, *names: str) -> None:
        """Wait until these alerts have fired."""
        wanted = {(name, instance) for name in names}
        await until(lambda: wanted <= self.fired, lambda: (sorted(wanted - self.fired), sorted(self.now)))

    async def clears(self, instance: str, *names: str) -> None:
        """Wait until these alerts, which had fired, do so no more."""
        wanted = {(name, instance) for name in names}
        assert wanted <= self.fired
        await until(lambda: not wanted & self.now, lambda: sorted(wanted & self.now))


@contextmanager
def stack(directory: Path) -> Iterator[Stack]:
    """Both running; they end with the test."""
    needed("prometheus", "prometheus-alertmanager")
    people = People()
    try:
        made = Stack(directory, people)
        made.start()
        yield made
    finally:
        people.close()
