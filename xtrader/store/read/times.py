"""Times and periods as users write them, as int nanoseconds, and times as people read them.

The rule: what names no zone is UTC, and no digit is lost on the way.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from xtrader.clock import SECOND
from xtrader.errors import ConfigError
from xtrader.quantities import seconds

Time: TypeAlias = datetime | str | int
"""A datetime, ISO 8601 text, or int nanoseconds since the epoch."""
Period: TypeAlias = timedelta | str | int
"""A timedelta, text such as `100ms`, `1s`, `5m`, `1h`, or int nanoseconds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION: Final = re.compile(r"(\d\d:\d\d:\d\d)[.,](\d{1,9})(?!\d)")


def nanoseconds(time: Time) -> int:
    """Nanoseconds since the epoch. Raises ConfigError for text that is no time."""
    if isinstance(time, int):
        return time
    fraction = 0
    if isinstance(time, str):
        text = time.strip()
        found = _FRACTION.search(text)
        if found:
            fraction = int(found[2].ljust(9, "0"))
            text = text[: found.end(1)] + text[found.end() :]
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            raise ConfigError(f"'{text}' is no time: give ISO 8601 text such as 2026-11-21T12:00:00Z") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000 + fraction


def period(every: Period) -> int:
    """A positive number of nanoseconds. Raises ConfigError."""
    if isinstance(every, timedelta):
        length = every // timedelta(microseconds=1) * 1000
    elif isinstance(every, str):
        length = round((seconds(every) or 0) * SECOND)
    else:
        length = every
    if length <= 0:
        raise ConfigError(f"'{every}' is no period: give text such as 100ms, 1s, 5m or 1h")
    return length


def stamp(ts: int) -> str:
    """A time for people: UTC, to the millisecond."""
    return datetime.fromtimestamp(ts // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{ts // 10**6 % 1000:03d}"
