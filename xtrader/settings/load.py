"""Settings: what the user wants, from flags, the environment, `.env`, a TOML file and defaults, in that order.

Rule: everything that a user can set becomes one value here, checked, or one sentence that says what is wrong with it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from xtrader import sinks, venues
from xtrader.errors import ConfigError
from xtrader.settings import values
from xtrader.settings.destination import STORE_SECRETS, STORE_VARIABLE, Upload, require_usable, secrets_of, upload_of
from xtrader.settings.dotenv import read_dotenv
from xtrader.settings.http import SECRETS as HTTP_SECRETS
from xtrader.settings.http import VARIABLES as HTTP_VARIABLES
from xtrader.settings.http import Http, http_of
from xtrader.settings.secrets import read_secret
from xtrader.settings.toml_file import read_toml
from xtrader.settings.values import Value

ENDPOINT = re.compile(r"XTRADER_(?P<exchange>[A-Z0-9_]+)_(?:WS|REST)_URL")
FLAGS = {
    "subscriptions": "SUBSCRIPTIONS",
    "sink": "XTRADER_SINK",
    "output_directory": "XTRADER_OUTPUT_DIRECTORY",
    "verbose": "XTRADER_VERBOSE",
    "shutdown_after": "XTRADER_SHUTDOWN_AFTER",
    "raw_directory": "XTRADER_RAW_DIRECTORY",
    "offline_names": "XTRADER_OFFLINE_NAMES",
    "config": "XTRADER_CONFIG",
    "log_file": "XTRADER_LOG_FILE",
}
VARIABLES = (
    "XTRADER_UPLOAD_URL",
    "XTRADER_UPLOAD_KEEP_LOCAL",
    "XTRADER_JOURNAL_DIRECTORY",
    "XTRADER_CACHE_DIRECTORY",
    "XTRADER_CATALOGUE_INTERVAL",
    "XTRADER_COLLECTOR_ID",
    "XTRADER_WORKERS",
    "XTRADER_FLUSH_INTERVAL",
    "XTRADER_FSYNC_INTERVAL",
    "XTRADER_ROTATE_SECONDS",
    "XTRADER_ROTATE_BYTES",
    "XTRADER_MIN_FREE_BYTES",
    "XTRADER_JOURNAL_MAX_BYTES",
    "XTRADER_CONNECTIONS",
    "XTRADER_DRAIN",
    "XTRADER_LOG",
    "XTRADER_LOG_FILE_BYTES",
    "XTRADER_LOG_FILE_COUNT",
    "XTRADER_TELEMETRY",
    *HTTP_VARIABLES,
)

UNEXPANDED = ("${SUBSCRIPTIONS}", "$(SUBSCRIPTIONS)", "$SUBSCRIPTIONS")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run was asked to do. Directories are absolute, intervals seconds, sizes bytes.

    `venue_options`, `sink_options` and `store_variables` are variables by name and may hold secrets, so they never show in a
    repr. `collector` is None where the user gave none (see `collector_id`), and so is `drain`. `warnings` are sentences to log once
    logging is set up.
    """

    subscriptions: str
    sinks: tuple[str, ...]
    output_directory: Path
    upload: Upload | None
    verbose: bool
    shutdown_after: float | None
    raw_directory: Path | None
    journal_directory: Path
    cache_directory: Path
    catalogue_interval: float
    config: Path | None
    """The TOML file that was read."""
    offline_names: bool
    """Record names that no catalogue was ever seen to list, by what they look like."""
    collector: str | None
    workers: int
    flush_interval: float
    fsync_interval: float
    rotate_seconds: int
    rotate_bytes: int
    min_free_bytes: int
    journal_max_bytes: int
    connections: int
    drain: float | None
    log_level: str
    log_to: tuple[str, int, int] | None
    """The file that the log goes to, the bytes at which a new one begins, and how many older ones are kept."""
    telemetry: str
    """ill | all: of which subscriptions telemetry has a line of their own."""
    http: Http | None
    venue_options: Mapping[str, str] = field(repr=False)
    sink_options: Mapping[str, str] = field(repr=False)
    store_variables: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must never reach a log or a file."""
        secret = {*sinks.secrets(), *(name for name in venues.secrets() if "SECRET" in name)}
        given = {**self.sink_options, **self.venue_options}
        token = (self.http.token,) if self.http is not None and self.http.token else ()
        return tuple(value for name, value in given.items() if name in secret) + secrets_of(self.store_variables) + token

    @property
    def writes_files(self) -> bool:
        """Whether a sink's rows go to files in the output directory."""
        return any(map(sinks.writes_files, self.sinks))


@dataclass(frozen=True, slots=True)
class Layer:
    """Variables of one kind of source: those of the process (`file` None), or the lines of a file."""

    texts: Mapping[str, str]
    lines: Mapping[str, int] = field(default_factory=dict)
    file: Path | None = None

    @classmethod
    def of_file(cls, path: Path) -> Layer:
        """What a file says. Raises ConfigError."""
        found = read_dotenv(path)
        return cls({name: one.text for name, one in found.items()}, {name: one.line for name, one in found.items()}, path)

    @classmethod
    def of_toml(cls, given: Value) -> Layer:
        """What a TOML file says. Raises ConfigError."""
        path = Path(os.path.expanduser(given.text))
        found = read_toml(path, given.origin, known_names())
        return cls({name: one.text for name, one in found.items()}, {name: one.line for name, one in found.items()}, path)

    def place(self, name: str) -> str:
        """Where a variable of this layer stands, to follow its name in a sentence."""
        return "" if self.file is None else f" in {self.file} line {self.lines[name]}"

    def value(self, name: str) -> Value:
        """A variable that is here."""
        source = "environment" if self.file is None else f"{self.file}:{self.lines[name]}"
        return Value(self.texts[name], name + self.place(name), source, name)


class Sources:
    """Where values come from, strongest first. An empty variable means the default, and hides weaker sources."""

    def __init__(self, flags: Mapping[str, object], *layers: Layer) -> None:
        self.flags = {
            FLAGS[name]: Value(str(given), flag, flag)
            for name, given in flags.items()
            if given is not None and given is not False
            for flag in ("--" + name.replace("_", "-"),)
        }
        self.layers = layers

    def find(self, *names: str) -> Value | None:
        """The strongest value of a setting; of several names in one source the first counts."""
        for name in names:
            if name in self.flags:
                return self.flags[name]
        return self.variable(*names)

    def variable(self, *names: str) -> Value | None:
        """The same without flags."""
        for layer in self.layers:
            for name in names:
                if name in layer.texts:
                    return layer.value(name) if layer.texts[name] else None
        return None

    def secret(self, name: str) -> Value | None:
        """A value given directly or as the path of a file; both in one source contradict each other."""
        by_file = f"{name}_FILE"
        for layer in self.layers:
            if layer.texts.get(name) and layer.texts.get(by_file):
                raise ConfigError(f"{name} and {by_file} are both set{layer.place(by_file)}; keep one of them")
            if layer.texts.get(by_file):
                given = layer.value(by_file)
                return Value(read_secret(given.text, given.origin), given.origin, given.source, by_file)
            if name in layer.texts:
                return layer.value(name) if layer.texts[name] else None
        return None

    def names(self) -> set[str]:
        """Every variable that is set."""
        return {name for layer in self.layers for name in layer.texts}


def sources_of(flags: Mapping[str, object], environ: Mapping[str, str], dotenv_path: Path | None) -> Sources:
    """Flags (None: not given), then variables, then the `.env` file (None: do not look), then the TOML file that one of these
    names. Raises ConfigError."""
    layers = [Layer(environ)] if dotenv_path is None else [Layer(environ), Layer.of_file(dotenv_path)]
    found = Sources(flags, *layers)
    given = found.find("XTRADER_CONFIG")
    return found if given is None else Sources(flags, *layers, Layer.of_toml(given))


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    dotenv_path: Path | None,
) -> Settings:
    """Settings from flags (None: not given), variables and the `.env` file at `dotenv_path` (None: do not look).

    Raises ConfigError with one sentence.
    """
    return settings_of(sources_of(flags, environ, dotenv_path))


def settings_of(sources: Sources) -> Settings:
    """What the sources say together. Raises ConfigError with one sentence."""
    warnings = _unknown_variables(sources.names())
    subscriptions = _subscriptions(sources, warnings)
    chosen = _sinks(sources.find("XTRADER_SINK"))
    upload = upload_of(*map(sources.find, ("XTRADER_OUTPUT_DIRECTORY", "XTRADER_UPLOAD_URL", "XTRADER_UPLOAD_KEEP_LOCAL")))
    output = (upload and upload.spool) or _directory(sources, "XTRADER_OUTPUT_DIRECTORY")
    state = Path(platformdirs.user_state_dir("xtrader")) / "journal"
    has_files = any(map(sinks.writes_files, chosen))
    journal = state if output is None and not has_files else (output or Path("data").absolute()) / ".journal"
    rotate_bytes = values.byte_size(sources.find("XTRADER_ROTATE_BYTES"), default=2**30, least=2**16)
    store_variables = _store_variables(sources)
    require_usable(upload, rotate_bytes, store_variables)
    return Settings(
        subscriptions=subscriptions,
        sinks=chosen,
        output_directory=output or Path("data").absolute(),
        upload=upload,
        verbose=values.truth_of(sources.find("XTRADER_VERBOSE")),
        shutdown_after=values.shutdown_after(sources.find("XTRADER_SHUTDOWN_AFTER")),
        raw_directory=_directory(sources, "XTRADER_RAW_DIRECTORY"),
        journal_directory=_directory(sources, "XTRADER_JOURNAL_DIRECTORY") or journal,
        cache_directory=_directory(sources, "XTRADER_CACHE_DIRECTORY") or Path(platformdirs.user_cache_dir("xtrader")),
        catalogue_interval=values.interval(
            sources.find("XTRADER_CATALOGUE_INTERVAL"), default=3600.0, least=1, most=86_400, usual="1s to 24h, such as 1h"
        ),
        config=_directory(sources, "XTRADER_CONFIG"),
        offline_names=values.truth_of(sources.find("XTRADER_OFFLINE_NAMES")),
        collector=values.collector(sources.find("XTRADER_COLLECTOR_ID")),
        workers=values.workers(sources.find("XTRADER_WORKERS")),
        flush_interval=values.interval(
            sources.find("XTRADER_FLUSH_INTERVAL"), default=0.09, least=0.002, most=0.09, usual="2ms to 90ms, such as 10ms"
        ),
        fsync_interval=values.interval(
            sources.find("XTRADER_FSYNC_INTERVAL"), default=0.1, least=0.001, most=60, usual="1ms to 60s, such as 100ms"
        ),
        rotate_seconds=values.rotate_seconds(sources.find("XTRADER_ROTATE_SECONDS")),
        rotate_bytes=rotate_bytes,
        min_free_bytes=values.byte_size(sources.find("XTRADER_MIN_FREE_BYTES"), default=2**29, least=0),
        journal_max_bytes=values.byte_size(sources.find("XTRADER_JOURNAL_MAX_BYTES"), default=2**34, least=2**20),
        connections=values.connections(sources.find("XTRADER_CONNECTIONS")),
        drain=values.drain(sources.find("XTRADER_DRAIN")),
        log_level=values.log_level(sources.variable("XTRADER_LOG", "RUST_LOG"), warnings),
        log_to=_log_to(sources),
        telemetry=values.telemetry(sources.find("XTRADER_TELEMETRY")),
        http=http_of(sources.find, sources.secret("XTRADER_HTTP_TOKEN")),
        venue_options=_venue_options(sources),
        sink_options=_options(sources, sinks.variables(), sinks.secrets()),
        store_variables=store_variables,
        warnings=tuple(warnings),
    )


def _subscriptions(sources: Sources, warnings: list[str]) -> str:
    given = sources.find("SUBSCRIPTIONS")
    if given is None:
        return ""
    text = given.text
    if len(text) > 1 and text[0] == text[-1] == '"':
        # `docker run --env-file` keeps the quotes that every other dialect of such files takes away.
        text = text[1:-1]
    if text.strip() not in UNEXPANDED:
        return text
    variable = sources.variable("SUBSCRIPTIONS")
    if variable is not None and variable.text.strip() not in UNEXPANDED:
        warnings.append(f"{given.origin} is the literal text {given.text.strip()}; the variable SUBSCRIPTIONS is used instead")
        return variable.text
    raise ConfigError(
        f"{given.origin} is the literal text '{given.text.strip()}': the platform did not expand it; "
        "set the variable SUBSCRIPTIONS and leave the flag away"
    )


def _sinks(given: Value | None) -> tuple[str, ...]:
    if given is None:
        return (sinks.DEFAULT,)
    names = [name.strip().lower() for name in given.text.split(",")]
    for name in names:
        if name not in sinks.names():
            near = difflib.get_close_matches(name, sinks.names(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"use {' or '.join(sinks.names())}, or several with commas between"
            raise ConfigError(f"{given.origin} '{name}' is not a sink; {hint}")
    return tuple(dict.fromkeys(names))


def _directory(sources: Sources, name: str) -> Path | None:
    given = sources.find(name)
    if given is None:
        return None
    if not given.text or "\0" in given.text:
        raise ConfigError(
            f"{given.origin} {given.text!r} is not the name of a {'file' if name == 'XTRADER_LOG_FILE' else 'directory'}"
        )
    return Path(os.path.expanduser(given.text)).absolute()


def _log_to(sources: Sources) -> tuple[str, int, int] | None:
    file = _directory(sources, "XTRADER_LOG_FILE")
    most = values.byte_size(sources.find("XTRADER_LOG_FILE_BYTES"), default=2**26, least=2**16)
    kept = values.log_files(sources.find("XTRADER_LOG_FILE_COUNT"))
    return None if file is None else (str(file), most, kept)


def _venue_options(sources: Sources) -> dict[str, str]:
    names = {name for name in sources.names() if ENDPOINT.fullmatch(name)} | set(venues.variables())
    return _options(sources, names, venues.secrets())


def _options(sources: Sources, names: Collection[str], secrets: Collection[str]) -> dict[str, str]:
    found = {name: sources.secret(name) if name in secrets else sources.variable(name) for name in sorted(names)}
    return {name: value.text for name, value in found.items() if value is not None}


def _store_variables(sources: Sources) -> dict[str, str]:
    names = {name for name in sources.names() if STORE_VARIABLE.fullmatch(name)} | set(STORE_SECRETS)
    return _options(sources, names - {f"{name}_FILE" for name in STORE_SECRETS}, STORE_SECRETS)


def secret_names() -> frozenset[str]:
    """Every variable that is a secret of xtrader's own, and may be given as NAME_FILE."""
    return frozenset((*sinks.secrets(), *venues.secrets(), *STORE_SECRETS, *HTTP_SECRETS))


def known_names() -> frozenset[str]:
    """Every variable that is a setting of xtrader's own."""
    endpoints = [f"XTRADER_{exchange}_{kind}_URL" for exchange in venues.exchanges() for kind in ("WS", "REST")]
    files = [f"{name}_FILE" for name in secret_names()]
    own = (*FLAGS.values(), *VARIABLES, *venues.variables(), *sinks.variables())
    return frozenset((*own, *files, *endpoints, "RUST_LOG"))


def _unknown_variables(names: Collection[str]) -> list[str]:
    known = sorted(known_names())
    prefixes = tuple({name.partition("_")[0] + "_" for name in (*VARIABLES, *venues.variables(), *sinks.variables())})
    warnings = []
    for name in sorted(names):
        if not name.startswith(prefixes) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.8)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        warnings.append(f"the variable {name} is unknown and ignored{hint}")
    return warnings
