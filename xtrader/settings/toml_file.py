"""Reads a TOML file of settings: the names of the variables at its top, with texts, numbers, true and false, or lists.

Rule: what cannot be meant is an error that names file and line, never skipped.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection
from pathlib import Path

from xtrader.errors import ConfigError
from xtrader.settings.destination import STORE_VARIABLE
from xtrader.settings.dotenv import Assignment


def read_toml(path: Path, origin: str, known: Collection[str]) -> dict[str, Assignment]:
    """The variables of the file, which must be `known` or those of an object store; a list is its parts with commas between.
    `origin` says who named the file. Raises ConfigError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        found = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{origin}: cannot read '{path}': {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"'{path}' line {line} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"'{path}' is not TOML: {error}; a line is such as XTRADER_SINK = \"parquet\"") from None
    lines = {name: _line(text, name) for name in found}
    for name in found:
        if name not in known and not STORE_VARIABLE.fullmatch(name):
            raise ConfigError(f"{name} in {path} line {lines[name]} is no setting{_near(name, known)}")
    return {name: Assignment(_text(name, value, f"{path} line {lines[name]}"), lines[name]) for name, value in found.items()}


def _text(name: str, value: object, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str) and "\0" not in value:
        return value
    if isinstance(value, list) and all(isinstance(part, str) and "," not in part for part in value):
        return ",".join(value)
    raise ConfigError(f"{name} in {place} is neither a text, a number, true, false nor a list of texts without commas")


def _line(text: str, name: str) -> int:
    """Of an assignment, or of a table's heading; the first line where it is written in an unusual way."""
    found = re.search(rf"""^[ \t]*\[*[ \t]*["']?{re.escape(name)}["']?[ \t]*[=.\]]""", text, re.MULTILINE)
    return 1 if found is None else text[: found.end()].count("\n") + 1


def _near(name: str, known: Collection[str]) -> str:
    words = (f"XTRADER_{name.upper()}", name.upper())
    near = [word for word in words if word in known] or difflib.get_close_matches(name.upper(), sorted(known), n=2, cutoff=0.7)
    return f"; did you mean {' or '.join(near)}?" if near else ": the names are those of the variables in .env.example"
