"""Who is let in, what every answer carries, and how long anybody may take.

The rule: a page that is open in somebody's browser reaches nothing here by another name (Host), and nothing is told to the recorder
without the token; whoever is slow or silent is cut, and beyond CONNECTIONS nobody is let in.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, WeakSet

import structlog
from aiohttp import web

CONNECTIONS: Final = 512
"""At once; one more is closed as soon as it is made."""
IDLE: Final = 15.0
"""Seconds for which a connection may be without a request that is being answered: sending one, and taking the answer, included."""
HANDLING: Final = 30.0
"""Seconds in which a request must be answered, its body included."""
BODY: Final = 4096
"""Bytes of a request's body."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Server": "xtrader",
}

log = structlog.get_logger("xtrader.http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BUSY: Final = web.AppKey("busy", WeakSet[asyncio.BaseTransport])
"""Transports on which a request is being answered."""


def is_allowed(host: str, names: Collection[str], bound: str, local: str | None) -> bool:
    """Whether a request for `host` (its Host header) is meant for here. `names` are further names; `bound` is the host that is
    listened at, and `local` the address that the client reached, which counts where that is every address."""
    name = _name(host)
    if not name:
        return False
    if name in LOOPBACK or name in names or name == _bracketed(bound).lower():
        return True
    try:
        return ipaddress.ip_address(bound).is_unspecified and local is not None and name == _bracketed(local.partition("%")[0])
    except ValueError:
        return False


def is_token(authorization: str, token: str) -> bool:
    """Whether an Authorization header has the token; in a time that says nothing about it."""
    given = authorization.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, b"Bearer " + token.encode())


def problem(status: int, sentence: str, **headers: str) -> web.Response:
    """An answer that says in one sentence why not."""
    return web.json_response({"error": sentence}, status=status, headers=headers)


def guard(names: Collection[str], bound: str) -> Any:
    """The middleware."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.getall("Host", [""]) != [request.host] or not is_allowed(request.host, names, bound, _local(request)):
            return problem(403, "this is not the host that you mean; further names are let in by XTRADER_HTTP_HOSTS")
        transport = request.transport
        if transport is None:
            return problem(400, "the connection is gone")
        busy = request.app[BUSY]
        busy.add(transport)
        try:
            async with asyncio.timeout(HANDLING) as limit:
                # An answer that does not end by itself takes it away.
                request["limit"] = limit
                return await handler(request)
        except web.HTTPException as answer:
            headers = {"Allow": answer.headers["Allow"]} if "Allow" in answer.headers else {}
            return problem(answer.status, answer.reason, **headers)
        except TimeoutError:
            return problem(503, "that took too long")
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            log.error("http_failed", path=request.path[:200], exc_info=error)
            return problem(500, "that failed by a fault of xtrader's own, which its log has")
        finally:
            busy.discard(transport)

    return guarded


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """A signal: before an answer is sent."""
    for name, value in HEADERS.items():
        response.headers[name] = value


class Welcome:
    """Makes a protocol for each connection of `server`: its own, or one that hangs up at once."""

    def __init__(self, server: web.Server, app: web.Application) -> None:
        self._server = server
        self._app = app
        self._active: WeakKeyDictionary[asyncio.BaseTransport, float] = WeakKeyDictionary()

    def __call__(self) -> asyncio.BaseProtocol:
        if len(self._server.connections) >= CONNECTIONS:
            return _HangUp()
        return self._server()

    async def sweep(self) -> None:
        """Cut who is idle, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for handler in list(self._server.connections):
                transport = handler.transport
                if transport is None:
                    continue
                if transport in self._app[BUSY]:
                    self._active[transport] = now
                elif now - self._active.setdefault(transport, now) > IDLE:
                    transport.abort()


class _HangUp(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


def _name(host: str) -> str:
    """A Host header without its port, in lower case; empty if it is none."""
    text = host.strip().lower()
    name, _, port = text.rpartition(":")
    if text.startswith("["):
        inner, bracket, rest = text.partition("]")
        return inner + bracket if bracket and (not rest or rest[1:].isdecimal()) else ""
    if not name:
        return text
    return name if port.isdecimal() else ""


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _local(request: web.Request) -> str | None:
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return str(name[0]) if isinstance(name, tuple) else None
