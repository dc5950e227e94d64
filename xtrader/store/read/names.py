"""Instruments as users name them: the venue's symbol or the alias, with or without the exchange, in any case.

The rule: on each exchange the venue's own symbol goes before an alias; a name without an exchange means every exchange that has
it, and one that fits nothing is an error, not an empty answer.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from xtrader.errors import ConfigError
from xtrader.store.read.part_list import READS_AT_ONCE
from xtrader.store.read.scan import blocks
from xtrader.store.read.view import View

Names: TypeAlias = str | Sequence[str] | None
"""One or several, each `EXCHANGE@NAME` or only `NAME`; None means all."""


def chosen(view: View, names: Names, exchange: str | None = None) -> list[str]:
    """The keys of all instruments that fit, sorted. Raises ConfigError for a name that fits none."""
    keys = sorted(key for key in view.known if exchange is None or key.startswith(f"{exchange.upper()}@"))
    if names is None:
        if not keys and exchange is not None:
            raise ConfigError(f"nothing of {exchange} is recorded here; {_near(exchange, {_exchange(key) for key in view.known})}")
        return keys
    found: set[str] = set()
    for name in [names] if isinstance(names, str) else names:
        fitting = _fitting(view, keys, name.strip().upper())
        if not fitting:
            raise ConfigError(f"nothing of {name} is recorded here; {_near(name, keys)}")
        found |= fitting
    return sorted(found)


def only(view: View, name: str) -> str:
    """The key of the one instrument that fits. Raises ConfigError if several do, or none."""
    found = chosen(view, name)
    if len(found) > 1:
        raise ConfigError(f"{name} may be {', '.join(found)}: say which")
    return found[0]


def aliases(view: View, key: str) -> set[str]:
    """The names that its venue's catalogue ever gave to an instrument, in upper case."""
    tables = [table for source in view.sources("INSTRUMENTS", key) for table in blocks(source, ("alias",))]
    return {alias.upper() for table in tables for alias in table["alias"].unique().to_pylist()}


def _fitting(view: View, keys: Collection[str], name: str) -> set[str]:
    exchange, _, symbol = name.rpartition("@")
    of_exchange = [key for key in keys if not exchange or key.startswith(f"{exchange}@")]
    found = {key for key in of_exchange if key.partition("@")[2].upper() == symbol}
    by_symbol = {_exchange(key) for key in found}
    others = [key for key in of_exchange if _exchange(key) not in by_symbol]
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        named = pool.map(lambda key: symbol in aliases(view, key), others)
        return found | {key for key, is_meant in zip(others, named, strict=True) if is_meant}


def _exchange(key: str) -> str:
    return key.partition("@")[0]


def _near(name: str, keys: Collection[str]) -> str:
    near = difflib.get_close_matches(name.upper(), sorted(keys), n=3, cutoff=0.6)
    if not near and "@" not in name:
        symbols = {key.partition("@")[2].upper() for key in keys}
        fitting = difflib.get_close_matches(name.upper(), sorted(symbols), n=3, cutoff=0.6)
        near = [key for key in sorted(keys) if key.partition("@")[2].upper() in fitting][:3]
    return f"did you mean {', '.join(near)}?" if near else _known(keys)


def _known(names: Collection[str]) -> str:
    if not names:
        return "there is nothing yet"
    some = sorted(names)[:8]
    return f"known are {', '.join(some)}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")
