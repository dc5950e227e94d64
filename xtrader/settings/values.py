"""Single settings: from the text that the user gave to a value, or to one sentence that says what is wrong with it.

The rule: a sentence names where the text came from.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final

from xtrader.errors import ConfigError
from xtrader.quantities import LEVELS, MODULES, log_levels, seconds, size, truth
from xtrader.quantities import log_level as level_of

COLLECTOR: Final = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class Value:
    """A text and where it came from: `origin` as errors name it, `source` without the variable's name (`--sink`, `environment`,
    `.env:3`), `variable` the one that gave it, which may be another name of the setting, or NAME_FILE."""

    text: str
    origin: str
    source: str = ""
    variable: str = ""


def truth_of(given: Value | None) -> bool:
    if given is None:
        return False
    value = truth(given.text)
    if value is None:
        raise ConfigError(f"{given.origin} '{given.text}' is neither true nor false")
    return value


def shutdown_after(given: Value | None) -> float | None:
    if given is None:
        return None
    value = seconds(given.text)
    if value is None or value <= 0:
        raise ConfigError(f"{given.origin} '{given.text}' is not a number of seconds above 0")
    return value


def interval(given: Value | None, *, default: float, least: float, most: float, usual: str) -> float:
    """Seconds; `usual` says to people which are allowed, with an example."""
    if given is None:
        return default
    value = seconds(given.text)
    if value is None or not least <= value <= most:
        raise ConfigError(f"{given.origin} '{given.text}' is not an interval from {usual}")
    return value


def drain(given: Value | None) -> float | None:
    """Seconds, None where the user gave none."""
    return None if given is None else interval(given, default=0, least=1, most=600, usual="1s to 10m, such as 40s")


def rotate_seconds(given: Value | None) -> int:
    if given is None:
        return 900
    value = seconds(given.text)
    if not value or value != int(value) or 86_400 % value:
        raise ConfigError(f"{given.origin} '{given.text}' is not a whole number of seconds that divides a day, such as 900")
    return int(value)


def byte_size(given: Value | None, *, default: int, least: int) -> int:
    if given is None:
        return default
    value = size(given.text)
    if value is None or value < least:
        raise ConfigError(f"{given.origin} '{given.text}' is not a size of at least {least} bytes, such as 512MiB")
    return value


def connections(given: Value | None) -> int:
    if given and given.text.strip() not in ("1", "2"):
        raise ConfigError(f"{given.origin} '{given.text}' is neither 1 nor 2")
    return int(given.text) if given else 1


def collector(given: Value | None) -> str | None:
    if given and not COLLECTOR.fullmatch(given.text):
        raise ConfigError(f"{given.origin} '{given.text}' is not 1 to 32 of the characters a-z, 0-9 and -")
    return given.text if given else None


def workers(given: Value | None) -> int:
    if given is None:
        return 1
    if not given.text.isdecimal() or not 1 <= int(given.text) <= 64:
        raise ConfigError(f"{given.origin} '{given.text}' is not a number of processes from 1 to 64")
    return int(given.text)


def log_files(given: Value | None) -> int:
    if given is None:
        return 5
    if not given.text.isdecimal() or int(given.text) > 1000:
        raise ConfigError(f"{given.origin} '{given.text}' is not a number of files from 0 to 1000")
    return int(given.text)


def telemetry(given: Value | None) -> str:
    if given is None:
        return "ill"
    if given.text.strip().lower() not in ("ill", "all"):
        raise ConfigError(f"{given.origin} '{given.text}' is neither ill nor all")
    return given.text.strip().lower()


def log_level(given: Value | None, warnings: list[str]) -> str:
    """A level, with those of modules behind it: `info,feed=debug`. RUST_LOG may be meant for others, and is never an error."""
    if given is None:
        return "info"
    is_ours = not given.origin.startswith("RUST_LOG")
    levels = log_levels(given.text)
    if levels is None:
        sentence = f"{given.origin} '{given.text}' is not one of {', '.join(LEVELS)}, nor such as info,feed=debug"
        if is_ours:
            raise ConfigError(sentence)
        warnings.append(f"{sentence}; info is used")
        return "info"
    others = [module for module in levels if module and module not in MODULES]
    if others and is_ours:
        near = difflib.get_close_matches(others[0], MODULES, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(MODULES)}"
        raise ConfigError(f"{given.origin} '{given.text}' names '{others[0]}', which is no module; {hint}")
    return level_of({module: level for module, level in levels.items() if module not in others})
