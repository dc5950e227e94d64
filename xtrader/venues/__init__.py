"""Translators between the venues' own messages and records: no sockets, clocks, environment or logs.

A venue is a module here that says in literals which EXCHANGES it speaks for, which STREAMS beyond books and trades each of them has
(see model/streams.py), which VARIABLES it has (name -> (default, what it is for)), some of them SECRETS, and, in words, what it was
PROVEN on; it is imported when one of its exchanges is used, and not before. It has `market(exchange, options)` and
`rules(exchange)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

from xtrader.declared import declarations
from xtrader.errors import ConfigError
from xtrader.venues.base import Market, Rules
from xtrader.venues.machine.fields import VenueFields


def _said(constant: str) -> Mapping[str, Any]:
    """Module -> what it declares as `constant`."""
    found = declarations(tuple(__path__), __name__, ("EXCHANGES", "STREAMS", "VARIABLES", "SECRETS", "PROVEN"))
    return {module: said[constant] for module, said in found.items() if "EXCHANGES" in said and constant in said}


@cache
def exchanges() -> Mapping[str, str]:
    """Exchange token -> name of the module that speaks its protocol."""
    return {exchange: module for module, tokens in _said("EXCHANGES").items() for exchange in tokens}


@cache
def _further() -> Mapping[str, tuple[str, ...]]:
    return {exchange: streams for own in _said("STREAMS").values() for exchange, streams in own.items()}


def streams(exchange: str) -> tuple[str, ...]:
    """The streams that can be recorded of an exchange: books, trades, and those that its module says in STREAMS."""
    return ("L2", "TRADES", *_further().get(exchange, ()))


def variables() -> Mapping[str, tuple[str, str]]:
    """The venues' own settings by variable name: (default, what it is for)."""
    return {name: about for own in _said("VARIABLES").values() for name, about in own.items()}


def variables_of(module: str) -> Mapping[str, tuple[str, str]]:
    """Those of one module, by its name."""
    found: Mapping[str, tuple[str, str]] = _said("VARIABLES").get(module, {})
    return found


def secrets() -> tuple[str, ...]:
    """Those of `variables` that must never be shown, and may be given as NAME_FILE."""
    return tuple(name for own in _said("SECRETS").values() for name in own)


def proven(exchange: str) -> str:
    """In words, what an exchange's module was proven on."""
    said: str = _said("PROVEN").get(exchanges()[exchange], "its emulated venue")
    return said


def module(exchange: str) -> ModuleType:
    """The module that speaks an exchange's protocol. Raises ConfigError if it cannot be imported."""
    try:
        return importlib.import_module(exchanges()[exchange])
    except ImportError as error:
        raise ConfigError(f"{exchange} cannot be used here: {error}") from error


def market(exchange: str, options: Mapping[str, str]) -> Market:
    """The Market of an exchange token. `options` are the venue's settings by variable name. Raises ConfigError."""
    made: Market = module(exchange).market(exchange, options)
    return made


def known_fields(exchange: str) -> VenueFields | None:
    """What the messages of an exchange look like; None where nobody wrote it down. Raises ConfigError."""
    found: VenueFields | None = getattr(module(exchange), "FIELDS", None)
    return found


def rules(exchange: str) -> Rules | None:
    """What the numbers of an exchange prove; None for one that no module here speaks for. Raises ConfigError."""
    if exchange not in exchanges():
        return None
    found: Rules = module(exchange).rules(exchange)
    return found
