"""Takes secrets out of what is about to be kept. One rule: what is taken out is replaced by stars, the rest stays byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping

STARS = "***"
_NAMES = (
    r"(?:\w*(?:secret|token|signature|passphrase|password|authorization)|(?:set-)?cookie|sign|sig|api_?key|listen_?key"
    r"|ok-access-\w+|x-mbx-apikey)"
)
_NAME = re.compile(_NAMES, re.IGNORECASE)
_VALUE = r"""(?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|(?!null\b|true\b|false\b)[^\s,{}\[\]"]+"?)"""
"""A JSON value that is no object and no list; a damaged one too: cut off anywhere, or without the quote that opens it."""
_JSON = re.compile(rf'("{_NAMES}"\s*:\s*){_VALUE}'.encode(), re.IGNORECASE)
_QUERY = re.compile(rf"(?<=[?&])({_NAMES})=[^&#]*", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/@?#]*@")


def json_text(payload: bytes) -> bytes:
    """A JSON text without the values of keys that look like secrets, at whatever depth, also where it is cut inside of one."""
    return _JSON.sub(rb'\1"%b"' % STARS.encode(), payload)


def url(text: str) -> str:
    """A URL without credentials and without the values of query parameters that look like secrets."""
    return _QUERY.sub(rf"\1={STARS}", _USER.sub(f"{STARS}@", text))


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """HTTP headers without the values of those that look like secrets."""
    return {name: STARS if _NAME.fullmatch(name) else value for name, value in given.items()}
