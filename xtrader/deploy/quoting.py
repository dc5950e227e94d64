"""How a value is written so that a platform reads back exactly it: systemd's environment files, Compose, YAML, HCL, our own `.env`.

Rule: what a platform cannot carry unharmed is refused with the reason, never changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from xtrader.deploy.instance import Instance
from xtrader.errors import ConfigError

PLAIN_YAML = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*")
YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def systemd(text: str) -> str:
    """A value for EnvironmentFile=, in double quotes where it needs them. Raises ValueError with the reason."""
    if CONTROL.search(text):
        raise ValueError("systemd's environment files hold no control characters but tabs and line ends")
    if any(0xFDD0 <= ord(char) <= 0xFDEF or ord(char) & 0xFFFE == 0xFFFE for char in text):
        raise ValueError("systemd refuses the whole file for a code point that is no character")
    if re.fullmatch(r"[^\s'\"\\]+", text):
        return text  # which `docker run --env-file` understands as well
    return '"' + re.sub(r'(["\\`$])', r"\\\1", text) + '"'


def compose(text: str) -> str:
    """A value of `environment:` before it is written as YAML: $ would begin a variable of the host."""
    return text.replace("$", "$$")


def kubernetes(text: str) -> str:
    """A value of a ConfigMap: itself. Raises ValueError with the reason."""
    if re.search("[\x7f-\x9f\ufffe\uffff]", text):
        raise ValueError("kubectl's kustomize puts control characters into its YAML that it cannot read itself")
    return text


def hcl(text: str) -> str:
    """A quoted string of HCL for a Nomad job. Raises ValueError with the reason."""
    if "${" in text:
        raise ValueError("Nomad replaces ${…} when the task starts, and cannot be told to leave it")
    if unicodedata.normalize("NFC", text) != text:
        raise ValueError("Nomad composes accents (NFC), which changes this text")
    return '"' + _escaped(text.replace("%{", "%%{"), hexadecimal=False) + '"'


def ecs(text: str) -> str:
    """A value in a CloudFormation template: itself. Raises ValueError with the reason."""
    if not text.isascii():
        raise ValueError("CloudFormation gives templates back with ? for every character that is not ASCII")
    if CONTROL.search(text):
        raise ValueError("CloudFormation takes no control characters but tabs and line ends")
    if "{{resolve:" in text:
        raise ValueError("CloudFormation would look up {{resolve:…}} in a store of secrets")
    return text


def dotenv(text: str) -> str:
    """A value for our own `.env`, as `read_dotenv` reads it."""
    if re.fullmatch(r"[A-Za-z0-9_./:@,+=-]+", text):
        return text
    if "\r" in text:  # a reader of text takes any line end for \n
        return '"' + re.sub(r'(["\\])', r"\\\1", text).replace("\r", "\\r") + '"'
    return "'" + re.sub(r"(['\\])", r"\\\1", text) + "'"


def yaml_scalar(text: str) -> str:
    """A string in YAML 1.1 and 1.2: plain where it can only be a string, else in double quotes."""
    if PLAIN_YAML.fullmatch(text) and text.lower() not in YAML_WORDS:
        return text
    return '"' + _escaped(text, hexadecimal=True) + '"'


def _escaped(text: str, *, hexadecimal: bool) -> str:
    """Backslash escapes that YAML (where \\xNN is known) and HCL share; what is not printable is written by its number."""
    made = []
    for char in text:
        number = ord(char)
        if char in '"\\':
            made.append("\\" + char)
        elif char in "\n\r\t":
            made.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char])
        elif char.isprintable():
            made.append(char)
        elif number < 0x100 and hexadecimal:
            made.append(f"\\x{number:02x}")
        else:
            made.append(f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}")
    return "".join(made)


def quoted(instance: Instance, values: Mapping[str, str], platform: str, how: Callable[[str], str]) -> dict[str, str]:
    """The values of an instance as `how` writes them for a platform. Raises ConfigError that names the file and line."""
    found = {}
    for name, text in values.items():
        try:
            found[name] = how(text)
        except ValueError as error:
            raise ConfigError(f"{instance.place(name)} cannot be given to {platform}: {error}") from None
    return found


def yaml(node: Mapping[str, object]) -> str:
    """A mapping of strings, numbers, truth values, lists and mappings as a YAML document in block style."""
    return "\n".join(_block(node, 0)) + "\n"


def _block(node: object, depth: int) -> list[str]:
    pad = "  " * depth
    lines: list[str] = []
    if isinstance(node, Mapping):
        for key, value in node.items():
            head = f"{pad}{yaml_scalar(key)}:"
            lines += [f"{head} {_scalar(value)}"] if _is_flat(value) else [head, *_block(value, depth + 1)]
    elif isinstance(node, (list, tuple)):
        for value in node:
            if _is_flat(value):
                lines.append(f"{pad}- {_scalar(value)}")
            else:
                first, *rest = _block(value, depth + 1)
                lines += [f"{pad}- {first.lstrip()}", *rest]
    else:
        raise TypeError(f"YAML of {type(node).__name__}")
    return lines


def _is_flat(value: object) -> bool:
    return not isinstance(value, (Mapping, list, tuple)) or not value


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return yaml_scalar(value)
    if isinstance(value, (Mapping, list, tuple)):
        return "{}" if isinstance(value, Mapping) else "[]"
    raise TypeError(f"YAML of {type(value).__name__}")
