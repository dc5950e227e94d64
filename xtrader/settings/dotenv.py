"""Reads a `.env` file: assignments, comments and blank lines; values are taken literally, nothing is expanded.

Rule: a line that cannot be meant is an error that names file and line, never skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from xtrader.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Assignment:
    """The text that a line of a file gives to a variable, and the number of that line, from 1."""

    text: str
    line: int


def read_dotenv(path: Path) -> dict[str, Assignment]:
    """The variables of the file, none if it does not exist; of several lines for one the last counts. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"'{path}' line {line} is not UTF-8 text") from None
    found: dict[str, Assignment] = {}
    for binding in parse_stream(StringIO(text)):
        original = binding.original.string
        line = binding.original.line + original[: len(original) - len(original.lstrip())].count("\n")
        if binding.error or (binding.key is not None and binding.value is None):
            raise ConfigError(f"'{path}' line {line} is not an assignment such as NAME=value")
        if binding.key is None or binding.value is None:
            continue
        if "\0" in binding.value:
            raise ConfigError(f"'{path}' line {line} holds a NUL character")
        found[binding.key] = Assignment(binding.value, line)
    return found
