"""Whether a venue's hosts can be reached: their names, a connection, and the certificate behind it.

The rule: the same way is tried that recording takes; where that leads through a proxy, the proxy is what is tried.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from xtrader.diagnosis import Diagnosis, ok, warning, wrong

PATIENCE: Final = 5.0
"""Seconds for a name, a connection, a certificate."""
SLOW: Final = 1.0
"""Seconds for a name that are worth a word."""
EXPIRES: Final = 14
"""Days before its end at which a certificate is warned of."""
PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}


async def examine_host(url: str) -> list[Diagnosis]:
    """What is found on the way to the host of `url` (http, https, ws or wss)."""
    parts = urlsplit(url)
    host, port = host_and_port(url)
    proxy = proxy_for(url)
    if proxy is not None:
        where = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        about = f"network {host}"
        return [
            await _connected(
                about, where.hostname or "", where.port or 80, f"by way of the proxy {where.hostname}:{where.port or 80}"
            )
        ]
    about = f"network {host}:{port}"
    named = await resolve(about, host)
    if named.level == "wrong":
        return [named]
    if parts.scheme in ("https", "wss"):
        return [named, await encrypted(about, host, port)]
    return [named, await _connected(about, host, port, "not encrypted")]


def host_and_port(url: str) -> tuple[str, int]:
    """Where a URL leads."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 443)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for a URL; None where it is asked directly."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    kinds = getproxies()
    scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
    return kinds.get(scheme) or kinds.get("all")


async def resolve(about: str, host: str) -> Diagnosis:
    """Whether a host has an address, and how long it takes to be told."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except TimeoutError:
        return wrong(about, f"no name server answered in {PATIENCE:.0f} s", "look at /etc/resolv.conf and the network")
    except OSError as error:
        return wrong(
            about,
            f"its name has no address: {error.strerror}",
            f"try: getent hosts {host}; look at /etc/resolv.conf and the network",
        )
    took = time.monotonic() - begun
    words = f"has {len({place[0] for *_, place in found})} addresses, told in {took * 1000:.0f} ms"
    if took > SLOW:
        return warning(about, words, "use a nearer name server: each reconnect waits for it")
    return ok(about, words)


async def encrypted(about: str, host: str, port: int, roots: str | None = None) -> Diagnosis:
    """Whether an encrypted connection can be made, and until when its certificate holds. `roots` is a file of further
    authorities."""
    context = ssl.create_default_context()
    if roots is not None:
        context.load_verify_locations(roots)
    begun = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        remedy = "is the clock right? Does a proxy look into TLS? Then add its authority to the system's, or set SSL_CERT_FILE"
        return wrong(about, f"its certificate is not to be trusted: {error.verify_message}", remedy)
    except TimeoutError:
        return wrong(about, f"no connection in {PATIENCE:.0f} s", "a firewall drops it: let this machine out to that port")
    except (OSError, ssl.SSLError) as error:
        return wrong(about, f"no connection: {_reason(error)}", "look at the firewall, the port, and whether the venue is up")
    took = time.monotonic() - begun
    held = writer.get_extra_info("ssl_object")
    certificate: dict[str, Any] = held.getpeercert() or {}
    version = held.version()
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86_400)
    words = f"connected in {took * 1000:.0f} ms, {version}, certificate good for {days} days"
    if days < EXPIRES:
        return warning(about, words, "whoever runs the host must renew it: after that nothing connects")
    return ok(about, words)


async def _connected(about: str, host: str, port: int, words: str) -> Diagnosis:
    begun = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return wrong(
            about, f"no connection in {PATIENCE:.0f} s ({words})", "a firewall drops it: let this machine out to that port"
        )
    except OSError as error:
        return wrong(
            about, f"no connection: {_reason(error)} ({words})", "does anything listen there? Look at the address and the firewall"
        )
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return ok(about, f"connected in {(time.monotonic() - begun) * 1000:.0f} ms, {words}")


def _reason(error: OSError) -> str:
    text = error.strerror or str(error) or type(error).__name__
    return "connection refused" if isinstance(error, ConnectionRefusedError) else text.partition(" (_ssl")[0]
