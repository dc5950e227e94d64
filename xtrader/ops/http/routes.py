"""What is served: health, readiness, status, metrics, the page, and what the recorder may be told.

The rule: every answer is made of facts that are there already, or of one question to the recorder's door at most once a second.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import msgspec
from aiohttp import web

from xtrader.ops.ask import Refused
from xtrader.ops.exposition import TYPE, text
from xtrader.ops.facts import Facts
from xtrader.ops.http.day import LastDay, closed_rows
from xtrader.ops.http.glance import Glance, Hour
from xtrader.ops.http.guard import BODY, BUSY, add_headers, guard, is_token, problem
from xtrader.ops.http.ladders import Full, Ladders
from xtrader.ops.http.latest import Latest
from xtrader.ops.http.spec import ServeSpec
from xtrader.ops.http.standing import Readiness, health, wrong

COMMANDS: Final = {
    "resync": ("subscription",),
    "reconnect": ("connection",),
    "log-level": ("module", "level"),
    "stop": (),
}
"""What the recorder may be told, and which texts belong to it."""
PATIENCE: Final = 20.0
"""Seconds for what the recorder is told to be done."""
DAY: Final = 86_400.0
PAGE: Final = Path(__file__).parent / "page"
SHOWN: Final = 0.9
"""Seconds for which the page's value is not made anew."""
LOOKING: Final = 3600.0
"""Seconds for which somebody may look at a book without asking again."""
TAKING: Final = 10.0
"""Seconds in which each picture of it must be taken."""


def application(spec: ServeSpec, latest: Latest) -> tuple[web.Application, Routes]:
    """The routes, and what answers them."""
    host = spec.address.rpartition(":")[0].strip("[]")
    app = web.Application(middlewares=[guard(spec.hosts, host)], client_max_size=BODY)
    app[BUSY] = WeakSet()
    app.on_response_prepare.append(add_headers)
    routes = Routes(spec, latest)
    app.add_routes(
        [
            web.get("/health", routes.health),
            web.get("/api/health", routes.health),
            web.get("/ready", routes.ready),
            web.get("/status", routes.status),
            web.get("/metrics", routes.metrics),
            web.get("/", routes.asset("page.html", "text/html")),
            web.get("/page.js", routes.asset("page.js", "text/javascript")),
            web.get("/page.css", routes.asset("page.css", "text/css")),
            web.get("/icon.svg", routes.asset("icon.svg", "image/svg+xml")),
            web.get("/page.json", routes.glance),
            web.get("/hour.json", routes.hour),
            web.get("/day.json", routes.day),
            web.get("/live", routes.live),
            web.post("/control/{command}", routes.control),
        ]
    )
    return app, routes


class Routes:
    """The handlers."""

    def __init__(self, spec: ServeSpec, latest: Latest) -> None:
        self._spec = spec
        self._latest = latest
        self.readiness = Readiness()
        self._hour = Hour()
        self._glance = Glance()
        self._day = LastDay(time.time_ns())
        self._ladders = Ladders(Path(spec.journal))
        self._value: tuple[float, bytes] = (-math.inf, b"")
        self._noted: Facts | None = None

    async def look(self) -> None:
        """Take note of how the recorder is."""
        facts = await self._latest.refresh()
        found = self.readiness.look(self._latest, time.time_ns())
        if facts is not None and facts is not self._noted:
            self._noted = facts
            self._hour.note(facts, found)
            self._glance.note(facts)
            self._day.observe(facts)

    async def look_back(self) -> None:
        """Read what the files say of the last day."""
        if self._spec.output:
            rows = await asyncio.to_thread(closed_rows, Path(self._spec.output), time.time_ns())
            self._day.add(rows)

    async def health(self, request: web.Request) -> web.Response:
        """200 while the recorder's loop and journal turn, else 503."""
        await self._latest.refresh()
        return _answer(*health(self._latest, time.time_ns()))

    async def ready(self, request: web.Request) -> web.Response:
        """200 while data flows for every subscription and the sinks take it, for `?grace=` seconds already, else 503."""
        given = request.query.get("grace", "0")
        grace = math.nan
        with suppress(ValueError):
            grace = float(given)
        if not 0 <= grace <= DAY:
            return problem(400, "grace is a number of seconds from 0 to 86400")
        await self._latest.refresh()
        return _answer(*self.readiness.answer(self._latest, time.time_ns(), grace))

    async def status(self, request: web.Request) -> web.Response:
        """The facts, and what they come to."""
        await self._latest.refresh()
        now = time.time_ns()
        told = {
            "ts": now,
            "alive": health(self._latest, now)[0],
            "ready": self.readiness.answer(self._latest, now, 0.0)[0],
            "wrong": wrong(self._latest, now),
            "facts": msgspec.Raw(self._latest.text),
        }
        return _json(told)

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus."""
        await self._latest.refresh()
        body = text(self._latest.facts, time.time_ns(), self._spec.instruments)
        return web.Response(body=body, headers={"Content-Type": TYPE})

    def asset(self, name: str, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        """What serves a file of the page."""
        body = (PAGE / name).read_bytes()

        async def serve(request: web.Request) -> web.Response:
            return web.Response(body=body, content_type=kind, charset="utf-8")

        return serve

    async def glance(self, request: web.Request) -> web.Response:
        """What the page shows."""
        at, text = self._value
        if time.monotonic() - at > SHOWN:
            await self.look()
            now = time.time_ns()
            found = wrong(self._latest, now)
            text = msgspec.json.encode(self._glance.value(self._latest, self.readiness, found, now))
            self._value = (time.monotonic(), text)
        return web.Response(body=text, content_type="application/json")

    async def hour(self, request: web.Request) -> web.Response:
        """The numbers of the page's plots."""
        return web.Response(body=self._hour.json(), content_type="application/json")

    async def day(self, request: web.Request) -> web.Response:
        """The strips of the last day."""
        return _json(self._day.value())

    async def live(self, request: web.Request) -> web.StreamResponse:
        """A book and its trades, again and again."""
        key = request.query.get("book", "")
        facts = await self._latest.refresh()
        if facts is None or key not in {f"{one.exchange}@{one.instrument}" for one in facts.subscriptions}:
            return problem(404, "that instrument is not recorded here")
        try:
            followed = self._ladders.follow(key)
        except Full as full:
            return problem(503, str(full))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            request["limit"].reschedule(None)
            await answer.prepare(request)
            end = time.monotonic() + LOOKING
            while time.monotonic() < end:
                text = await followed.next()
                async with asyncio.timeout(TAKING):
                    await answer.write(b"data: " + text + b"\n\n")
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self._ladders.leave(followed)
        return answer

    async def control(self, request: web.Request) -> web.Response:
        """Tell the recorder something: with the token only."""
        token = self._spec.token
        if token is None:
            return problem(401, "nothing can be told to this recorder by HTTP: XTRADER_HTTP_TOKEN is not set")
        if not is_token(request.headers.get("Authorization", ""), token):
            return problem(401, "this needs the header Authorization: Bearer, with the token", **{"WWW-Authenticate": "Bearer"})
        command = request.match_info["command"]
        if command not in COMMANDS:
            return problem(404, f"there is no such command; there are {', '.join(COMMANDS)}")
        try:
            body = await request.read()
            said = msgspec.json.decode(body, type=dict[str, str]) if body.strip() else {}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return problem(400, "the body is one JSON object of texts")
        if set(said) != set(COMMANDS[command]):
            return problem(400, f"{command} takes {' and '.join(COMMANDS[command]) or 'nothing'}")
        try:
            result = await self._latest.tell(command, {**said, "by": f"http from {request.remote}"}, PATIENCE)
        except Refused as refused:
            return problem(422, str(refused))
        except (OSError, EOFError, TimeoutError, ValueError):
            return problem(503, "the recorder does not answer")
        return web.Response(body=result, content_type="application/json")


def _answer(is_well: bool, told: dict[str, Any]) -> web.Response:
    return _json(told, 200 if is_well else 503)


def _json(told: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(told), status=status, content_type="application/json")
