"""Logging: structlog to standard error, JSON lines for machines, columns for people, UTC times.

Rule: what looks like a secret, and every value known to be one, is masked before anything is rendered.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Collection, Mapping

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"
SECRET_KEY = re.compile(r"secret|passw|token|signature|credential|authorization|api_?key|private_?key", re.IGNORECASE)
URL_LOGIN = re.compile(r"(\w://)[^/@\s]+@")
LEVELS = {"error": 40, "warn": 30, "info": 20, "debug": 10, "trace": 0}


def set_up(level: str, secrets: Collection[str] = (), warnings: Collection[str] = ()) -> None:
    """Route structlog and the standard library's loggers to standard error at `level` (see quantities.LEVELS), and log the
    `warnings` that were waiting for it.

    Libraries speak from "warn" up, at "trace" from "info" up. Failing to write a log line is never an error.
    """
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        Redaction(secrets),
    ]
    renderer = _columns() if sys.stderr.isatty() else structlog.processors.JSONRenderer(serializer=_json)
    structlog.configure(
        processors=[*before, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: StandardError(),
        cache_logger_on_first_use=False,
    )
    handler = StandardErrorHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if level == "trace" else logging.WARNING)
    for warning in warnings:
        structlog.get_logger("xtrader").warning("configuration", about=warning)


class StandardError:
    """Writes lines to whatever sys.stderr is at that moment, because a live display may have taken its place."""

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    log = debug = info = warning = warn = error = err = critical = exception = failure = fatal = msg


class StandardErrorHandler(logging.Handler):
    """The same for the standard library's records."""

    def emit(self, record: logging.LogRecord) -> None:
        StandardError().msg(self.format(record))


class Redaction:
    """A structlog processor: masks values under keys that look like secrets, known secrets and logins in URLs anywhere."""

    def __init__(self, secrets: Collection[str]) -> None:
        texts = sorted((re.escape(secret) for secret in secrets if secret), key=len, reverse=True)
        self.known = re.compile("|".join(texts)) if texts else None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {key: self._clean(key, value) for key, value in event.items()}

    def _clean(self, key: object, value: object) -> object:
        if isinstance(key, str) and SECRET_KEY.search(key) and value is not None and not isinstance(value, bool):
            return MASK
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {inner: self._clean(inner, item) for inner, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._clean("", item) for item in value]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._text(bytes(value).decode("utf-8", "replace"))
        return self._text(str(value))

    def _text(self, text: str) -> str:
        if self.known is not None:
            text = self.known.sub(MASK, text)
        return URL_LOGIN.sub(rf"\1{MASK}@", text) if "@" in text else text


def _json(value: object, **_: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _columns() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(timestamp_key="time", exception_formatter=structlog.dev.plain_traceback)
