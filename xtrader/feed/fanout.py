"""Fan-out: each record goes to the journal first, and then to whoever else listens in the recorder's process.

The rule: nobody who listens can harm recording. What a listener raises is counted and logged, and reaches no session; one that
takes too much of the loop's time hears no more.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import structlog

from xtrader.clock import SECOND, Clock
from xtrader.errors import ConfigError
from xtrader.model.market import Record

log = structlog.get_logger("xtrader.feed")

Consumer: TypeAlias = Callable[[Record], None]
"""Is called with every record, in the order of recording, inside the event loop. Records are frozen and may be kept."""
SHARE: Final = 0.1
"""Of the time, at most so much is a consumer's: the sockets wait meanwhile."""
WINDOW: Final = 1 * SECOND
"""The time over which the share is measured."""


def fan_out(journal: Consumer, others: Sequence[Consumer], clock: Clock) -> Consumer:
    """What takes a record for all of them. Raises what `journal` raises; then the others do not hear of the record."""
    if not others:
        return journal
    heard = [_Heard(one, clock) for one in others]

    def put(record: Record) -> None:
        journal(record)
        for one in heard:
            one.take(record)

    return put


def consumer(given: Consumer | str) -> Consumer:
    """A function, or the one that `package.module:name` names. Raises ConfigError."""
    if callable(given):
        return given
    place, colon, name = given.partition(":")
    if not colon:
        raise ConfigError(f"the consumer '{given}' is not of the form package.module:function")
    try:
        found = getattr(importlib.import_module(place), name, None)
    except ImportError as error:
        raise ConfigError(f"the consumer '{given}' cannot be imported: {error}") from error
    if not callable(found):
        raise ConfigError(f"the consumer '{given}' is no function of {place}")
    made: Consumer = found
    return made


class _Heard:
    """One consumer, what it failed at, and the time that it takes."""

    def __init__(self, consumer: Consumer, clock: Clock) -> None:
        self._consumer = consumer
        self._clock = clock
        self._name = getattr(consumer, "__qualname__", type(consumer).__qualname__)
        self._failures = 0
        self._since = clock.monotonic()
        self._taken = 0
        self._is_heard = True

    def take(self, record: Record) -> None:
        if not self._is_heard:
            return
        began = self._clock.monotonic()
        try:
            self._consumer(record)
        except Exception:
            self._taken += self._clock.monotonic() - began
            self._failed()
        else:
            self._taken += self._clock.monotonic() - began
        elapsed = max(WINDOW, self._clock.monotonic() - self._since)
        if self._taken > SHARE * elapsed:
            self._is_heard = False
            log.error(
                "consumer_dropped",
                consumer=self._name,
                about="it took too much of the recorder's time, and hears no more",
                share=round(self._taken / elapsed, 3),
                at_most=SHARE,
            )
        elif elapsed > WINDOW:
            self._since, self._taken = began, 0

    def _failed(self) -> None:
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:
            log.exception("consumer_failed", consumer=self._name, times=self._failures)
