"""Where rows go. A sink never holds the only copy.

A sink is a module here that says in literals its name (SINK), whether its rows go to files in the output directory (FILES), which
VARIABLES it has (name -> (default, what it is for)), some of them SECRETS, which packages it NEEDS that others do without, and what
else it CAN do: `load` (be filled from a recording), `compare` (with a recording), `statements` (print what makes its tables),
`examine` (say how what it writes to is). It is
imported when it is used, and not before, so it imports what is large inside its functions:

- `spec(run)` gives a SinkSpec, and raises ConfigError for settings that cannot be used;
- `require(run, collector)` raises ConfigError for what must be mended before anything is recorded;
- `make(arguments, collector, options)` makes the Sink (see base.py), in a process of its own;
- `examine(run)`, where it can, gives Findings about what it writes to.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

from xtrader.declared import declarations
from xtrader.errors import ConfigError

DEFAULT: Final = "parquet"


def _sinks() -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Name -> module, and what it declares."""
    found = declarations(tuple(__path__), __name__, ("SINK", "FILES", "VARIABLES", "SECRETS", "NEEDS", "CAN"))
    return {said["SINK"]: (module, said) for module, said in found.items() if "SINK" in said}


def names() -> tuple[str, ...]:
    """All of them, the default one first."""
    return tuple(sorted(_sinks(), key=lambda name: (name != DEFAULT, name)))


def able(what: str) -> tuple[str, ...]:
    """The sinks that can do something more than take rows: `load`, `compare` or `statements`."""
    return tuple(name for name in names() if what in can(name))


def can(name: str) -> tuple[str, ...]:
    """What a sink can do more than take rows."""
    return tuple(_sinks()[name][1].get("CAN", ()))


def writes_files(name: str) -> bool:
    """Whether a sink's rows go to files in the output directory."""
    return bool(_sinks()[name][1].get("FILES", False))


def variables() -> Mapping[str, tuple[str, str]]:
    """The sinks' own settings by variable name: (default, what it is for)."""
    return {name: about for _, said in _sinks().values() for name, about in said.get("VARIABLES", {}).items()}


def variables_of(name: str) -> Mapping[str, tuple[str, str]]:
    """Those of one sink."""
    found: Mapping[str, tuple[str, str]] = _sinks()[name][1].get("VARIABLES", {})
    return found


def secrets() -> tuple[str, ...]:
    """Those of `variables` that must never be shown, and may be given as NAME_FILE."""
    return tuple(name for _, said in _sinks().values() for name in said.get("SECRETS", ()))


def module(name: str) -> ModuleType:
    """The module of a sink. Raises ConfigError if it cannot be imported, or what it needs is not installed."""
    lacking = [package for package in _sinks()[name][1].get("NEEDS", ()) if find_spec(package) is None]
    if lacking:
        raise ConfigError(f"the sink {name} cannot be used here: not installed: {', '.join(lacking)}")
    try:
        return importlib.import_module(_sinks()[name][0])
    except ImportError as error:
        raise ConfigError(f"the sink {name} cannot be used here: {error}") from error
