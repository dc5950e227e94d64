"""Reading a venue's options: one sentence for whatever cannot be used, without the text of a URL, in which a login may be."""

from __future__ import annotations

from collections.abc import Mapping

from xtrader.errors import ConfigError


def url_option(options: Mapping[str, str], name: str, schemes: tuple[str, str]) -> str | None:
    """The base URL that replaces a venue's own, without trailing slash; None when `name` is not set or empty."""
    text = options.get(name, "").strip().rstrip("/")
    if not text:
        return None
    scheme, separator, host = text.partition("://")
    if not separator or scheme not in schemes or not host or "?" in host or "#" in host:
        example = f"{schemes[0]}://127.0.0.1:9001 or {schemes[1]}://example.com"
        raise ConfigError(f"{name} must be a base URL like {example}, without a query: paths are added to it")
    return text


def flag_option(options: Mapping[str, str], name: str, default: bool) -> bool:
    """A yes or no; `default` when `name` is not set or empty."""
    text = options.get(name, "").strip().lower()
    if not text:
        return default
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise ConfigError(f"{name} '{text}' is neither true nor false")
