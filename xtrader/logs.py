"""Logging: structlog to standard error or to a file that is rotated; JSON lines for machines, columns for people, UTC times.

Rule: what looks like a secret, and every value known to be one, is masked before anything is rendered. What is said again and again
is said a few times and counted.
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote, quote_plus

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from xtrader.errors import ConfigError
from xtrader.quantities import LEVELS, MODULES, OWN, log_level, log_levels

MASK: Final = "***"
SECRET_NAME: Final = "|".join(
    ("secret", "passw", "token", "signature", "credential", "authorization", "cookie", "(?:api|access|private|listen)[_-]?key")
)
SECRET_KEY: Final = re.compile(SECRET_NAME, re.IGNORECASE)
URL_LOGIN: Final = re.compile(r"(\w://)[^/@\s]+@")
IN_TEXT: Final = re.compile(
    # What a text says behind a name that looks like that of a secret: JSON, a header, a query or an assignment. Of "Bearer …" both
    # words go.
    rf"""((?:{SECRET_NAME})[\w-]{{0,40}}["']?\s{{0,3}}[=:]\s{{0,3}})("[^"]*"|'[^']*'|(?:(?:bearer|basic|token)\s+)?[^\s&,;"'}}\])]+)""",
    re.IGNORECASE,
)
BEARER: Final = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
NUMBERS: Final = {"error": 40, "warn": 30, "info": 20, "debug": 10, "trace": 0}
BURST: Final = 20
"""So often one event is logged in PERIOD; what comes beyond is counted, and told with the first one after it."""
PERIOD: Final = 10.0
"""Seconds."""
KINDS: Final = 1000
"""Events that are counted apart; beyond it all counts begin anew."""
SHORT: Final = 8
"""Characters: a secret with fewer is masked where it stands alone; as a part of words it would be found in what is no secret."""
LogTo: TypeAlias = tuple[str, int, int]
"""A file, the bytes at which a new one begins, and how many older ones are kept."""
UNLIMITED: Final = (f"{OWN}.telemetry",)
"""Loggers that say much by their nature, and were told to."""


def set_up(level: str, secrets: Collection[str] = (), warnings: Collection[str] = (), log_to: LogTo | None = None) -> None:
    """Route structlog, the standard library's loggers and Python's warnings to standard error, or as JSON to `log_to`, at `level`
    (`info`, or `info,feed=debug`: see quantities.log_levels), and log the `warnings` that were waiting for it.

    Libraries speak from "warn" up, at "trace" from "info" up. Failing to write a log line is never an error; a file that cannot be
    opened at the start is a ConfigError.
    """
    file = None if log_to is None else LogFile(*log_to)
    levels = log_levels(level)
    if levels is None:
        raise ConfigError(f"the log level '{level}' is not one of {', '.join(LEVELS)}, nor such as info,feed=debug")
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        Redaction(secrets),
    ]
    renderer = _columns() if file is None and sys.stderr.isatty() else structlog.processors.JSONRenderer(serializer=_json)
    structlog.configure(
        processors=[Threshold(levels), Repetition(), *before, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(min(NUMBERS[one] for one in levels.values())),
        logger_factory=lambda *names: Output(names[0] if names else OWN, file),
        cache_logger_on_first_use=False,
    )
    handler = OutputHandler(file)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.captureWarnings(True)
    root.setLevel(logging.INFO if levels[""] == "trace" else logging.WARNING)
    for warning in warnings:
        structlog.get_logger(OWN).warning("configuration", about=warning)


def change(module: str, level: str) -> str:
    """From now on a module (one of MODULES, or "all") speaks from `level` up; returns the levels that hold. Raises ConfigError."""
    if level not in LEVELS:
        raise ConfigError(f"'{level}' is no log level; there are {', '.join(LEVELS)}")
    if module not in (*MODULES, "all"):
        near = difflib.get_close_matches(module, (*MODULES, "all"), n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are all, {', '.join(MODULES)}"
        raise ConfigError(f"'{module}' is no module; {hint}")
    found = next((one for one in structlog.get_config()["processors"] if isinstance(one, Threshold)), None)
    if found is None:
        raise ConfigError("this process does not log")
    found.levels = {"": level} if module == "all" else {**found.levels, module: level}
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(min(NUMBERS[one] for one in found.levels.values())))
    return log_level(found.levels)


def set_levels(text: str) -> None:
    """From now on the levels of `text` hold (`info,feed=debug`), and no others. What is no such text changes nothing."""
    levels = log_levels(text)
    found = next((one for one in structlog.get_config()["processors"] if isinstance(one, Threshold)), None)
    if found is not None and levels is not None:
        found.levels = dict(levels)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(min(NUMBERS[one] for one in levels.values())))


class LogFile:
    """A file to which several processes write whole lines. Whoever finds it at `most` bytes renames it to `.1`, that to `.2`, and
    so on; `kept` of those stay. Raises ConfigError if it cannot be opened at the start."""

    def __init__(self, path: str, most: int, kept: int) -> None:
        self._path = Path(path)
        self._most = most
        self._kept = kept
        self._mine = threading.Lock()
        try:
            self._file = self._open()
        except OSError as error:
            raise ConfigError(f"cannot write the log file '{path}': {error.strerror or error}") from None

    def write(self, line: str) -> None:
        """Append one line. Raises OSError."""
        data = line.encode("utf-8", "replace") + b"\n"
        with self._mine:
            if not self._is_current():
                os.close(self._file)
                self._file = self._open()
            if os.fstat(self._file).st_size + len(data) > self._most:
                self._rotate()
            os.write(self._file, data)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        """Begin a new file, unless another process has done so meanwhile or this one is empty."""
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            if self._is_current() and os.fstat(self._file).st_size:
                names = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, self._kept + 1))]
                for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
                    with contextlib.suppress(FileNotFoundError):
                        newer.replace(older)
                if not self._kept:
                    self._path.unlink(missing_ok=True)
        finally:
            os.close(directory)
        os.close(self._file)
        self._file = self._open()


class Output:
    """Writes lines to a file, or to whatever sys.stderr is at that moment, because a live display may have taken its place. `name`
    is the logger's."""

    def __init__(self, name: str = OWN, file: LogFile | None = None) -> None:
        self.name = name
        self._file = file

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._file is not None:
                self._file.write(line)
                return
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    log = debug = info = warning = warn = error = err = critical = exception = failure = fatal = msg


class OutputHandler(logging.Handler):
    """The same for the standard library's records."""

    def __init__(self, file: LogFile | None = None) -> None:
        super().__init__()
        self._output = Output(file=file)

    def emit(self, record: logging.LogRecord) -> None:
        self._output.msg(self.format(record))


class Threshold:
    """A structlog processor: drops what is below the level of its logger's module."""

    def __init__(self, levels: Mapping[str, str]) -> None:
        self.levels = dict(levels)

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        module = getattr(logger, "name", OWN).partition(".")[2].partition(".")[0]
        level = self.levels.get(module, self.levels[""])
        if NUMBERS.get({"warning": "warn", "critical": "error", "exception": "error"}.get(method, method), 40) < NUMBERS[level]:
            raise structlog.DropEvent
        return event


class Repetition:
    """A structlog processor: lets the first BURST of one event in PERIOD pass, and counts the others; the next that passes says how
    many there were."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: dict[tuple[str, str, Any], tuple[float, int]] = {}
        """(logger, level, event) -> (when its period began, how many since)"""

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        name = getattr(logger, "name", OWN)
        if name in UNLIMITED:
            return event
        key, now = (name, method, str(event.get("event"))), self._now()
        began, count = self._seen.get(key, (now, 0))
        if now - began >= PERIOD:
            if count > BURST:
                event["not_logged"] = count - BURST
            began, count = now, 0
        if len(self._seen) >= KINDS:
            self._seen.clear()
        self._seen[key] = (began, count + 1)
        if count >= BURST:
            raise structlog.DropEvent
        return event


class Redaction:
    """A structlog processor: masks values under keys that look like secrets, known secrets, logins in URLs, and what a text says
    behind the name of a secret, anywhere."""

    def __init__(self, secrets: Collection[str]) -> None:
        shapes = sorted({shape for secret in secrets if secret for shape in _shapes(secret)}, key=len, reverse=True)
        texts = [re.escape(one) if len(one) >= SHORT else rf"(?<![^\W_]){re.escape(one)}(?![^\W_])" for one in shapes]
        self.known = re.compile("|".join(texts)) if texts else None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {key: self._clean(key, value) for key, value in event.items()}

    def _clean(self, key: object, value: object) -> object:
        if isinstance(key, str) and SECRET_KEY.search(key) and value is not None and not isinstance(value, bool):
            return MASK
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {self._text(str(inner)): self._clean(inner, item) for inner, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._clean("", item) for item in value]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._text(bytes(value).decode("utf-8", "replace"))
        return self._text(str(value))

    def _text(self, text: str) -> str:
        if self.known is not None:
            text = self.known.sub(MASK, text)
        if "@" in text:
            text = URL_LOGIN.sub(rf"\1{MASK}@", text)
        if "=" in text or ":" in text:
            text = IN_TEXT.sub(rf"\1{MASK}", text)
        return BEARER.sub(rf"\1 {MASK}", text)


def _shapes(secret: str) -> set[str]:
    """A secret as it is, and as JSON, a URL and a Python text write it."""
    return {secret, msgspec.json.encode(secret).decode()[1:-1], quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}


def _json(value: object, **_: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _columns() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(timestamp_key="time", exception_formatter=structlog.dev.plain_traceback)
