"""What a run would use: every setting with its value and where that came from, as `xtrader config show` prints it.

Rule: a secret is only ever said to be set or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from xtrader import sinks, venues
from xtrader.settings.check import check_options
from xtrader.settings.destination import STORE_SECRETS, is_secret
from xtrader.settings.http import SECRETS as HTTP_SECRETS
from xtrader.settings.load import UNEXPANDED, Settings, Sources, settings_of
from xtrader.settings.values import Value

DEFAULT = "default"
OWN: Mapping[str, Callable[[Settings], object]] = {
    "SUBSCRIPTIONS": lambda settings: settings.subscriptions,
    "XTRADER_SINK": lambda settings: ",".join(settings.sinks),
    "XTRADER_OUTPUT_DIRECTORY": lambda settings: (
        settings.upload.url if settings.upload and settings.upload.spool else str(settings.output_directory)
    ),
    "XTRADER_UPLOAD_URL": lambda settings: settings.upload.url if settings.upload and not settings.upload.spool else None,
    "XTRADER_UPLOAD_KEEP_LOCAL": lambda settings: settings.upload.keep_local if settings.upload else None,
    "XTRADER_VERBOSE": lambda settings: settings.verbose,
    "XTRADER_SHUTDOWN_AFTER": lambda settings: settings.shutdown_after,
    "XTRADER_RAW_DIRECTORY": lambda settings: settings.raw_directory and str(settings.raw_directory),
    "XTRADER_JOURNAL_DIRECTORY": lambda settings: str(settings.journal_directory),
    "XTRADER_CACHE_DIRECTORY": lambda settings: str(settings.cache_directory),
    "XTRADER_CATALOGUE_INTERVAL": lambda settings: settings.catalogue_interval,
    "XTRADER_CONFIG": lambda settings: settings.config and str(settings.config),
    "XTRADER_OFFLINE_NAMES": lambda settings: settings.offline_names,
    "XTRADER_COLLECTOR_ID": lambda settings: settings.collector,
    "XTRADER_WORKERS": lambda settings: settings.workers,
    "XTRADER_FLUSH_INTERVAL": lambda settings: settings.flush_interval,
    "XTRADER_FSYNC_INTERVAL": lambda settings: settings.fsync_interval,
    "XTRADER_ROTATE_SECONDS": lambda settings: settings.rotate_seconds,
    "XTRADER_ROTATE_BYTES": lambda settings: settings.rotate_bytes,
    "XTRADER_MIN_FREE_BYTES": lambda settings: settings.min_free_bytes,
    "XTRADER_JOURNAL_MAX_BYTES": lambda settings: settings.journal_max_bytes,
    "XTRADER_CONNECTIONS": lambda settings: settings.connections,
    "XTRADER_TELEMETRY": lambda settings: settings.telemetry,
    "XTRADER_DRAIN": lambda settings: settings.drain,
    "XTRADER_LOG": lambda settings: settings.log_level,
    "XTRADER_LOG_FILE": lambda settings: settings.log_to and settings.log_to[0],
    "XTRADER_LOG_FILE_BYTES": lambda settings: settings.log_to and settings.log_to[1],
    "XTRADER_LOG_FILE_COUNT": lambda settings: settings.log_to and settings.log_to[2],
    "XTRADER_HTTP": lambda settings: settings.http.address if settings.http else "off",
    "XTRADER_HTTP_HOSTS": lambda settings: ",".join(settings.http.hosts) or None if settings.http else None,
    "XTRADER_HTTP_TOKEN": lambda settings: None,
    "XTRADER_METRICS_INSTRUMENTS": lambda settings: settings.http.instruments if settings.http else None,
}
"""Variable -> what it came to: intervals in seconds, sizes in bytes, None for what is not done. All of xtrader's own."""
ALIASES = {"XTRADER_LOG": ("XTRADER_LOG", "RUST_LOG")}


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting: `value` (None for what is not set, and for every secret), `source` (`--flag`, `environment`, `.env:3`,
    `xtrader.toml:3`, `default`), `variable` that gave it where that has another name, and whether it `is_set` by the user."""

    name: str
    value: object
    source: str
    variable: str
    secret: bool
    is_set: bool


def effective(sources: Sources) -> tuple[Settings, tuple[Effective, ...]]:
    """What the sources come to: the settings, and each of them by its variable's name. Raises ConfigError."""
    settings = settings_of(sources)
    check_options(sources, settings)
    return settings, tuple(sorted(_all(sources, settings), key=lambda one: (one.name not in OWN, one.name)))


def said(found: Iterable[Effective]) -> dict[str, dict[str, object]]:
    """For one line of a log: what the user `chose`, each with where it came from, and the `defaults` of all else; of secrets only
    that they are set."""
    chosen = {one.name: f"{'(set)' if one.secret else one.value} ({one.source})" for one in found if one.is_set}
    return {"chosen": dict(chosen), "defaults": {one.name: one.value for one in found if not one.is_set and one.value is not None}}


def shown(settings: Settings) -> dict[str, str]:
    """Settings by the names of their variables, as a running recorder tells them: what is set, no secrets."""
    secrets = {*sinks.secrets(), *venues.secrets()}
    own = {name: value(settings) for name, value in OWN.items()}
    options = {**settings.sink_options, **settings.venue_options, **settings.store_variables}
    hidden = {name for name in options if name in secrets or is_secret(name)}
    found = own | {name: text for name, text in options.items() if name not in hidden}
    return {name: _without_login(str(value)) for name, value in found.items() if value not in (None, "")}


def _all(sources: Sources, settings: Settings) -> Iterator[Effective]:
    for name, value in OWN.items():
        is_secret_name = name in HTTP_SECRETS
        given = sources.secret(name) if is_secret_name else _given(sources, name)
        yield _setting(name, value(settings), given, secret=is_secret_name)
    secrets = {*sinks.secrets(), *venues.secrets()}
    defaults = {name: default for name, (default, _) in {**sinks.variables(), **venues.variables()}.items()}
    options = {**settings.sink_options, **settings.venue_options}
    for name in {*defaults, *options}:
        if name in secrets:
            yield _setting(name, None, sources.secret(name), secret=True)
        else:
            yield _setting(name, options.get(name) or defaults.get(name) or None, sources.variable(name))
    for name, text in settings.store_variables.items():
        secret = is_secret(name)
        given = sources.secret(name) if name in STORE_SECRETS else sources.variable(name)
        yield _setting(name, None if secret else text, given, secret=secret)


def _given(sources: Sources, name: str) -> Value | None:
    names = ALIASES.get(name, (name,))
    given = sources.find(*names) if name not in ALIASES else sources.variable(*names)
    return sources.variable(name) if given is not None and given.text.strip() in UNEXPANDED else given


def _setting(name: str, value: object, given: Value | None, *, secret: bool = False) -> Effective:
    value = _without_login(value) if isinstance(value, str) else value
    if given is None:
        return Effective(name, value, DEFAULT, "", secret, is_set=False)
    other = "" if given.variable in (name, given.source) else given.variable
    return Effective(name, value, given.source, other, secret, is_set=True)


def _without_login(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//…@", text)
