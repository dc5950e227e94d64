"""Translators between the venues' own messages and records: no sockets, clocks, environment or logs.

`market(exchange, …)` finds a venue's module by name: every module here that defines EXCHANGES and `market` is a venue.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from xtrader.venues.base import Market, Rules


@cache
def exchanges() -> Mapping[str, str]:
    """Exchange token -> name of the module that speaks its protocol."""
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(__path__):
        name = f"{__name__}.{module.name}"
        for exchange in getattr(importlib.import_module(name), "EXCHANGES", ()):
            found[exchange] = name
    return found


def market(exchange: str, options: Mapping[str, str]) -> Market:
    """The Market of an exchange token. `options` are the venue's settings by variable name (see the venue's docstring)."""
    made: Market = importlib.import_module(exchanges()[exchange]).market(exchange, options)
    return made


def rules(exchange: str) -> Rules | None:
    """What the numbers of an exchange prove; None for one that no module here speaks for."""
    name = exchanges().get(exchange)
    if name is None:
        return None
    found: Rules = importlib.import_module(name).rules(exchange)
    return found
