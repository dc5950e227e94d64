"""The process environment: what is read from it, and what the processes of sinks are given.

Rule: no other file looks at it; everything else is handed a Settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from xtrader import sinks, venues
from xtrader.settings.destination import STORE_VARIABLE, secrets_of
from xtrader.settings.load import Settings, Sources, load, secret_names, sources_of
from xtrader.settings.secrets import with_credentials

LOG_TO = ("XTRADER_LOG_FILE", "XTRADER_LOG_FILE_BYTES", "XTRADER_LOG_FILE_COUNT")


def load_process(flags: Mapping[str, object]) -> Settings:
    """Settings of this process: its environment, and `.env` in the working directory."""
    return load(flags, _variables(), Path(".env"))


def process_sources(flags: Mapping[str, object]) -> Sources:
    """What `load_process` reads."""
    return sources_of(flags, _variables(), Path(".env"))


def _variables() -> Mapping[str, str]:
    return with_credentials(os.environ, secret_names())


def delivery_environment(settings: Settings) -> dict[str, str]:
    """All variables of a sink's process: those of this one, and what the settings say of the sinks and of object stores,
    wherever it came from."""
    own = {*sinks.variables(), *(f"{name}_FILE" for name in sinks.secrets()), *LOG_TO}
    kept = {name: value for name, value in os.environ.items() if name not in own}
    logs = {"XTRADER_LOG": settings.log_level}
    if settings.log_to is not None:
        logs |= dict(zip(LOG_TO, map(str, settings.log_to), strict=True))
    return {**kept, **logs, **settings.sink_options, **settings.store_variables}


def take_sink_variables(settings: Settings) -> None:
    """Have this process find what the settings say of the sinks and of object stores in its environment, as their own have it."""
    os.environ.update({**settings.sink_options, **settings.store_variables})


def bare_environment() -> dict[str, str]:
    """The variables of this process without any that may be a secret of xtrader's, or name the file of one."""
    prefixes = ("XTRADER_", "SUBSCRIPTIONS", "AWS_", "GOOGLE_", "AZURE_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_")
    own = {*sinks.variables(), *venues.variables(), *sinks.secrets(), *venues.secrets()}
    own |= {f"{name}_FILE" for name in own}
    return {name: value for name, value in os.environ.items() if name not in own and not name.startswith(prefixes)}


def sink_options() -> dict[str, str]:
    """What `delivery_environment` gave to this process of the sinks' own variables."""
    return {name: os.environ[name] for name in sinks.variables() if name in os.environ}


def delivery_logs() -> tuple[str, tuple[str, ...], tuple[str, int, int] | None]:
    """The log level, the secrets, and the log file with its largest size and count, that `delivery_environment` gave to this
    process."""
    secrets = tuple(os.environ[name] for name in sinks.secrets() if name in os.environ)
    store = {name: text for name, text in os.environ.items() if STORE_VARIABLE.fullmatch(name)}
    file, most, kept = (os.environ.get(name, "") for name in LOG_TO)
    return os.environ.get("XTRADER_LOG") or "info", secrets + secrets_of(store), (file, int(most), int(kept)) if file else None


def terminal() -> str:
    """The kind of the terminal, empty if nobody says."""
    return os.environ.get("TERM", "")


def service_manager() -> tuple[str, float | None] | None:
    """Where the service manager that started this process hears of it, and within how many seconds it wants a sign of life (None:
    it wants none); None if there is no such manager."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return None
    wanted = os.environ.get("WATCHDOG_USEC", "")
    is_meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return address, int(wanted) / 1e6 if is_meant and wanted.isdecimal() and int(wanted) else None


def bypass_proxies(host: str) -> None:
    """Let this process and its children reach `host` directly, whatever proxies the environment names."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), host)))
