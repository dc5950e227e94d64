"""Readers of the small texts that settings are made of: durations, sizes, truth values and log levels.

Rule: None for what is no such thing; the caller knows what to say about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LEVELS = ("error", "warn", "info", "debug", "trace")
OWN = "xtrader"
"""What our modules begin with where Rust's way of writing levels is used."""
MODULES = ("catalogue", "door", "feed", "http", "pipeline", "recorder", "rest", "sinks", "telemetry", "workers")
"""What may have a level of its own."""
DURATION = re.compile(r"(\d+\.?\d*|\.\d+)\s*(ms|s|m|h|d|)", re.IGNORECASE)
DURATION_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZE = re.compile(r"(\d+\.?\d*|\.\d+)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
TRUTHS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def seconds(text: str) -> float | None:
    """Seconds of `0.1`, `0.1s`, `100ms`, `15m`, `1h` or `90d`."""
    match = DURATION.fullmatch(text.strip())
    return float(match[1]) * DURATION_UNITS[match[2].lower()] if match else None


def size(text: str) -> int | None:
    """Bytes of `1048576`, `512MiB` (powers of 1024; the B may be left away) or `1GB` (powers of 1000)."""
    match = SIZE.fullmatch(text.strip())
    if not match or (match[3] and not match[2]):
        return None
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** " kmgt".index(match[2].lower() or " "))


def truth(text: str) -> bool | None:
    """True or false from the usual words."""
    return TRUTHS.get(text.strip().lower())


def log_levels(text: str) -> dict[str, str] | None:
    """Module -> level of directives such as `info,feed=debug` or, as Rust writes them, `xtrader=debug,xtrader::feed=trace`; the
    module "" is all that are not named, and those of others (`hyper=warn`) are as they are written. None if a level is none."""
    found: dict[str, str] = {}
    general = "info"
    for directive in text.split(","):
        target, has_target, name = directive.strip().lower().rpartition("=")
        level = {"warning": "warn", "off": "error"}.get(name.strip(), name.strip())
        if level not in LEVELS:
            return None
        parts = re.split(r"::|\.", target.strip())
        if not has_target:
            general = level
        elif parts[0] != OWN:
            found[target.strip()] = level
        else:
            found[parts[1] if len(parts) > 1 else ""] = level
    return {"": general, **found}


def log_level(levels: Mapping[str, str]) -> str:
    """The shortest text of such levels: `info`, `info,feed=debug`."""
    return ",".join([levels[""], *(f"{module}={level}" for module, level in sorted(levels.items()) if module)])
