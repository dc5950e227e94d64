"""Tables with a time to live: what they drop on arrival, because it is older than they keep.

The rule: only a row that is missing, and older than its table's time to live, counts as dropped; any other is sent again.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from xtrader.sinks.questdb.sql import Server

_HOUR: Final = 3600 * 10**9
_UNITS: Final = {"HOUR": _HOUR, "DAY": 24 * _HOUR, "WEEK": 168 * _HOUR, "MONTH": 672 * _HOUR, "YEAR": 8760 * _HOUR}
"""At least so long is each."""


class Keep(NamedTuple):
    """What a table keeps: the words of its TTL, and the time (int ns) from which on no row is dropped."""

    ttl: str
    since: int


def keep_of(server: Server, table: str) -> Keep | None:
    """What a table keeps; None if it keeps everything. Raises SinkRetry."""
    found = server.rows(f"SELECT ttlValue, ttlUnit FROM tables() WHERE table_name = '{table}' AND ttlValue > 0")
    if not found:
        return None
    value, unit = int(found[0][0]), str(found[0][1])
    newest = next((row[0] for row in server.rows(f"SELECT max(ts)::long FROM '{table}'")), None)
    # The server goes by the newest row, or by its clock where that is behind: by neither does a row as young as this go.
    return Keep(f"{value} {unit}", max(time.time_ns(), int(newest or 0)) - value * _UNITS[unit])
