"""What is served: health, readiness, status, metrics, the page, and what the recorder may be told.

The rule: every answer is made of facts that are there already, or of one question to the recorder's door at most once a second.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

import msgspec
from aiohttp import web

from xtrader.ops.ask import Refused
from xtrader.ops.exposition import TYPE, text
from xtrader.ops.http.guard import BODY, BUSY, STREAMING, add_headers, guard, is_token, problem
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


def application(spec: ServeSpec, latest: Latest) -> tuple[web.Application, Routes]:
    """The routes, and what answers them."""
    host = spec.address.rpartition(":")[0].strip("[]")
    app = web.Application(middlewares=[guard(spec.hosts, host)], client_max_size=BODY)
    app[BUSY], app[STREAMING] = WeakSet(), WeakSet()
    app.on_response_prepare.append(add_headers)
    routes = Routes(spec, latest)
    app.add_routes(
        [
            web.get("/health", routes.health),
            web.get("/api/health", routes.health),
            web.get("/ready", routes.ready),
            web.get("/status", routes.status),
            web.get("/metrics", routes.metrics),
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

    async def look(self) -> None:
        """Take note of how the recorder is."""
        await self._latest.refresh()
        self.readiness.look(self._latest, time.time_ns())

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
