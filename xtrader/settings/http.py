"""Where a recorder answers by HTTP, whom, and who may tell it things.

Rule: what can be told needs a token; without one nothing can be told by HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from xtrader.errors import ConfigError
from xtrader.settings.values import Value

VARIABLES: Final = ("XTRADER_HTTP", "XTRADER_HTTP_HOSTS", "XTRADER_HTTP_TOKEN", "XTRADER_METRICS_INSTRUMENTS")
SECRETS: Final = ("XTRADER_HTTP_TOKEN",)
HOST: Final = "127.0.0.1"
PORT: Final = 9090
SHORTEST_TOKEN: Final = 16
INSTRUMENTS: Final = 1000
MOST_INSTRUMENTS: Final = 100_000

_ADDRESS: Final = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*):)?(?P<port>[0-9]{1,5})")
_NAME: Final = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Http:
    """`host` is an address or a name, without brackets; `is_named`: the user gave the address, so that no other port will do.
    `hosts` are further names by which clients may call it, `token` what lets them tell it things (None: nothing does),
    `instruments` how many instruments have metrics of their own."""

    host: str = HOST
    port: int = PORT
    is_named: bool = False
    hosts: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    instruments: int = INSTRUMENTS

    @property
    def address(self) -> str:
        """As in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def http_of(find: Callable[[str], Value | None], token: Value | None) -> Http | None:
    """The value of all VARIABLES, of which `find` gives those that are no secret; None if it is off. Raises ConfigError."""
    hosts, instruments = _hosts(find("XTRADER_HTTP_HOSTS")), _instruments(find("XTRADER_METRICS_INSTRUMENTS"))
    if token is not None and len(token.text) < SHORTEST_TOKEN:
        raise ConfigError(f"{token.origin} is shorter than {SHORTEST_TOKEN} characters; make one with: openssl rand -hex 32")
    if token is not None and not (token.text.isascii() and token.text.isprintable() and " " not in token.text):
        raise ConfigError(f"{token.origin} has characters other than ASCII letters, digits and signs")
    given = find("XTRADER_HTTP")
    host, port = (HOST, PORT) if given is None else _address(given)
    if not port:
        return None
    return Http(host, port, given is not None, hosts, None if token is None else token.text, instruments)


def _address(given: Value) -> tuple[str, int]:
    text = given.text.strip()
    if text.lower() in ("off", "false", "no", "none"):
        return "", 0
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"]) if match else 0
    host = (match["host"] or HOST).strip("[]") if match else ""
    if not 1 <= port <= 65535 or (":" in host and not _is_address(host)):
        raise ConfigError(f"{given.origin} '{given.text}' is neither off nor an address such as {HOST}:{PORT} or 0.0.0.0:{PORT}")
    return host, port


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _hosts(given: Value | None) -> tuple[str, ...]:
    names = [name.strip().lower() for name in given.text.split(",")] if given else []
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{given.origin if given else ''} '{name}' is not a host's name or address without a port")
    return tuple(names)


def _instruments(given: Value | None) -> int:
    if given is None:
        return INSTRUMENTS
    if not given.text.isdecimal() or not given.text.isascii() or int(given.text) > MOST_INSTRUMENTS:
        raise ConfigError(f"{given.origin} '{given.text}' is not a number of instruments from 0 to {MOST_INSTRUMENTS}")
    return int(given.text)
