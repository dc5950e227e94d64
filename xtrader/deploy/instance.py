"""An instance: what its `.env` says, checked as the recorder checks it, and parted into plain variables and secrets.

Rule: what a recorder would refuse, ignore or be unable to do on a platform is refused here, with the file and line.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from xtrader import sinks, venues
from xtrader.errors import ConfigError
from xtrader.model.subscription import Subscription, parse_subscriptions
from xtrader.settings.destination import STORE_VARIABLE, is_secret
from xtrader.settings.http import PORT
from xtrader.settings.load import Layer, Settings, Sources, secret_names, settings_of
from xtrader.sinks.base import SinkRun

DATA = "/data"
"""Where everything is written, on every platform that has containers."""
NAME = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DIRECTORIES = ("XTRADER_OUTPUT_DIRECTORY", "XTRADER_RAW_DIRECTORY", "XTRADER_JOURNAL_DIRECTORY", "XTRADER_CACHE_DIRECTORY")
PLACES = {
    "XTRADER_JOURNAL_DIRECTORY": f"{DATA}/.journal",
    "XDG_STATE_HOME": f"{DATA}/.state",
    "XTRADER_CACHE_DIRECTORY": f"{DATA}/.cache/xtrader",
    "XTRADER_HTTP": "0.0.0.0:9090",
}
"""What the image sets too: said by every rendering for containers, so that it holds without the image as well."""
RESERVED = ("HOME", "PATH", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "XDG_STATE_HOME", "XDG_CACHE_HOME")
SECRET_LIKE = re.compile(r"SECRET|TOKEN|PASSW|PRIVATE|CREDENTIAL|API_?KEY", re.IGNORECASE)
WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@")
PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
STAND_IN = "x" * 32
"""Stands for a secret that is in a file somewhere else."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One recorder to be. `variables` are those that are no secrets, by name, with directories under DATA; `secrets` the names of
    those that the platform must bring; `lines` where each stands in `file`; `ports` the TCP ports that it calls."""

    name: str
    file: Path
    settings: Settings
    subscriptions: tuple[Subscription, ...]
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    lines: Mapping[str, int]
    ports: tuple[int, ...]

    @property
    def keeps_files(self) -> bool:
        """Whether recorded files stay in DATA, so that only one recorder at a time can have it."""
        return self.settings.writes_files and (self.settings.upload is None or self.settings.upload.keep_local)

    @property
    def bucket(self) -> str:
        """The S3 bucket and prefix that files are put into, or nothing."""
        url = self.settings.upload.url if self.settings.upload and self.settings.writes_files else ""
        return url.removeprefix("s3://") if url.startswith("s3://") else ""

    @property
    def answers_at(self) -> int:
        """The TCP port at which others can ask a container of it; 0 if none can."""
        if "XTRADER_HTTP" not in self.variables:
            return PORT
        http = self.settings.http
        return 0 if http is None or http.host in ("localhost", "::1") or http.host.startswith("127.") else http.port

    def environment(self, root: str = DATA, secrets: str = "") -> dict[str, str]:
        """The variables for a platform that has DATA at `root`, sorted by name; and where its secrets are files in the directory
        `secrets`, the variables that say so."""
        places = PLACES | ({"XTRADER_OUTPUT_DIRECTORY": DATA} if self.settings.writes_files else {})
        found = {name: _moved(name, text, root) for name, text in (places | self.given(DATA)).items()}
        if secrets:
            found |= {f"{name}_FILE": f"{secrets}/{name}" for name in self.secrets}
        return dict(sorted(found.items()))

    def given(self, root: str) -> dict[str, str]:
        """Only what its file says, for a platform that has DATA at `root` and says by itself where things are."""
        return {name: _moved(name, text, root) for name, text in sorted(self.variables.items())}

    def place(self, name: str) -> str:
        """A variable of it, as errors name it."""
        return f"{name} in {self.file} line {self.lines[name]}" if name in self.lines else f"{name} of {self.file}"


def read_instances(paths: Sequence[Path]) -> tuple[Instance, ...]:
    """The instances of several files, by name. Raises ConfigError, also for two of one name."""
    found: dict[str, Instance] = {}
    for path in paths:
        one = read_instance(path)
        if one.name in found:
            raise ConfigError(f"'{found[one.name].file}' and '{path}' are both the instance '{one.name}'; rename one of them")
        found[one.name] = one
    return tuple(sorted(found.values(), key=lambda one: one.name))


def read_instance(path: Path) -> Instance:
    """The instance of a file NAME.env. Raises ConfigError with one sentence that names file and line."""
    name = instance_name(path.name.removesuffix(".env"), f"the name of '{path}'")
    if not path.is_file():
        raise ConfigError(f"'{path}' is not a file; make one with: xtrader deploy new {name} --subscriptions …")
    layer = Layer.of_file(path)
    given = {name: text for name, text in layer.texts.items() if text}
    if "XTRADER_CONFIG" in given:
        raise ConfigError(
            f"'{path}' line {layer.lines['XTRADER_CONFIG']}: an instance is one file; put what XTRADER_CONFIG names here"
        )
    secrets, by_file = _secrets(given)
    known = {name: text for name, text in given.items() if name not in by_file}
    known |= {name.removesuffix("_FILE"): STAND_IN for name in by_file}
    lines = dict(layer.lines) | {name.removesuffix("_FILE"): layer.lines[name] for name in by_file}
    settings = settings_of(Sources({}, Layer(known, lines, path)))
    for warning in settings.warnings:
        word = next((name for name in lines if name in warning), "")
        raise ConfigError(f"'{path}' line {lines[word]}: {warning}" if word else f"'{path}': {warning}")
    try:
        subscriptions = parse_subscriptions(settings.subscriptions, venues.exchanges(), venues.streams)
        ports = tuple(sorted(set(_ports(settings, subscriptions, by_file))))
    except ConfigError as error:
        raise ConfigError(f"'{path}': {error}") from None
    plain = {name: text for name, text in given.items() if name not in by_file and name not in secrets}
    _check(path, plain, lines)
    return Instance(name, path, settings, subscriptions, plain, secrets, lines, ports)


def instance_name(name: str, what: str) -> str:
    """A name that every platform takes. Raises ConfigError, which calls it `what`."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"{what} is not that of an instance: '{name}' must be 1 to 32 of a-z, 0-9 and -, beginning with a letter")
    return name


def _secrets(given: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of secrets, and of those variables that name a secret's file."""
    declared = secret_names()
    own = {name for name in given if STORE_VARIABLE.fullmatch(name) and is_secret(name) and not name.endswith("_FILE")}
    by_file = {name for name in given if name.endswith("_FILE") and name.removesuffix("_FILE") in declared}
    direct = {name for name in given if name in declared} | own
    return tuple(sorted(direct | {name.removesuffix("_FILE") for name in by_file})), tuple(sorted(by_file))


def _ports(settings: Settings, subscriptions: Sequence[Subscription], by_file: Collection[str]) -> Iterator[int]:
    """TCP ports of venues, sinks and stores. Raises ConfigError for settings that a venue or a sink refuses."""
    for exchange in dict.fromkeys(one.exchange for one in subscriptions):
        market = venues.market(exchange, settings.venue_options)
        yield from map(_port, (market.ws_url, market.rest_url))
    if settings.upload is not None:
        yield from map(
            _port, ["https://store", *(v for k, v in settings.store_variables.items() if k.endswith(("URL", "ENDPOINT")))]
        )
    run = SinkRun(
        journal=settings.journal_directory,
        output=settings.output_directory,
        upload=settings.upload.url if settings.upload else "",
        keep_local=settings.upload is None or settings.upload.keep_local,
        rotate_seconds=settings.rotate_seconds,
        rotate_bytes=settings.rotate_bytes,
        options=settings.sink_options,
    )
    for name in settings.sinks:
        module = sinks.module(name)
        own: Mapping[str, tuple[str, str]] = getattr(module, "VARIABLES", {})
        if not any(one.removesuffix("_FILE") in own for one in by_file):
            module.spec(run)
        for variable, (default, _) in own.items():
            text = settings.sink_options.get(variable, default)
            if variable.endswith("_PORT") and text.isdecimal():
                yield int(text)


def _port(url: str) -> int:
    parts = urlsplit(url)
    try:
        return parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigError(f"'{url}' is not an address such as wss://host:443") from None


def _check(path: Path, plain: Mapping[str, str], lines: Mapping[str, int]) -> None:
    for name, text in plain.items():
        place = f"{name} in {path} line {lines[name]}"
        if not VARIABLE.fullmatch(name):
            raise ConfigError(f"{place} is not a name that all platforms take: use letters, digits and _")
        if name in RESERVED:
            raise ConfigError(f"{place} is set by the platform; take it out")
        if WITH_PASSWORD.search(text):
            raise ConfigError(f"{place} holds a password within an address, which would be written into plain files; take it out")
        if SECRET_LIKE.search(name) and not name.endswith("_FILE") and name not in sinks.variables():
            raise ConfigError(f"{place} looks like a secret, but is none that xtrader reads; give it on the platform itself")
        if name in DIRECTORIES and "://" not in text and not _within(text):
            raise ConfigError(
                f"{place} '{text}' is outside {DATA}, the only directory that a deployed recorder may write to; "
                f"leave it away, or name a directory in {DATA}"
            )


def _within(text: str) -> bool:
    return posixpath.normpath(text) == DATA or posixpath.normpath(text).startswith(DATA + "/")


def _moved(name: str, text: str, root: str) -> str:
    if name in (*DIRECTORIES, *PLACES) and _within(text):
        return posixpath.normpath(root + posixpath.normpath(text).removeprefix(DATA))
    return text
