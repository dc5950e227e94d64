"""What the page shows of a recorder, as one small value: what is ill first, then everything that there is.

The rule: it is made of facts only, and of a thousand subscriptions it is a tenth of a megabyte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from xtrader.ops.facts import Facts, Histogram, add
from xtrader.ops.health import SECOND, Trouble
from xtrader.ops.http.latest import Latest
from xtrader.ops.http.standing import Readiness, health

POINTS: Final = 720
"""Of the last hour."""
EVERY: Final = 5 * SECOND
"""Between two of them."""
MS: Final = 1_000_000


class Hour:
    """Numbers of the last hour, for plots: told facts often, it keeps some."""

    NAMES: Final = ("ts", "rate", "live", "ill", "lag", "late", "commit", "loop", "journal", "behind")
    """Milliseconds UTC; messages a second; subscriptions; then seconds: the worst exchange's median and 99th percentile of the lag,
    the 99th percentile of the commits and of the loops' delays; journal bytes; seconds that the worst sink is behind."""

    def __init__(self) -> None:
        self._points: deque[tuple[float | None, ...]] = deque(maxlen=POINTS)
        self._before: Facts | None = None

    def note(self, facts: Facts, found: Sequence[Trouble]) -> None:
        """The facts of a moment and what is wrong with them."""
        before = self._before
        if before is not None and facts.ts - before.ts < EVERY:
            return
        self._before = facts
        lags = recent_lags(facts, before)
        ill = {one.subject for one in found}
        self._points.append(
            (
                facts.ts / MS,
                sum(one.rate for one in facts.subscriptions),
                facts.live,
                sum(one.name in ill for one in facts.subscriptions),
                _worst([lag.quantile(0.5) for lag in lags.values()]),
                _worst([lag.quantile(0.99) for lag in lags.values()]),
                _recent(_commits(facts), None if before is None else _commits(before)).quantile(0.99),
                _recent(_loops(facts), None if before is None else _loops(before)).quantile(0.99),
                sum(one.bytes for one in facts.journals),
                max((one.behind_seconds for one in facts.sinks), default=0.0),
            )
        )

    def json(self) -> bytes:
        """By name, a list each."""
        columns = zip(*self._points, strict=True) if self._points else [()] * len(self.NAMES)
        return msgspec.json.encode(dict(zip(self.NAMES, columns, strict=True)))


class Glance:
    """Makes the page's value; the lags in it are those since the facts before."""

    def __init__(self) -> None:
        self._lags: dict[str, Histogram] = {}
        self._marks: deque[Facts] = deque(maxlen=12)

    def note(self, facts: Facts) -> None:
        """The facts of a moment, each once."""
        if not self._marks or facts.ts - self._marks[-1].ts >= EVERY:
            self._marks.append(facts)
        self._lags = recent_lags(facts, self._marks[0] if self._marks[0] is not facts else None)

    def value(self, latest: Latest, readiness: Readiness, found: Sequence[Trouble], now: int) -> dict[str, Any]:
        """What there is to show at wall time `now`; times are milliseconds UTC."""
        facts = latest.facts
        told: dict[str, Any] = {
            "now": now // MS,
            "alive": health(latest, now)[0],
            "ready": not any(one.blocks for one in found),
            "ready_since": readiness.since and readiness.since // MS,
            "error": latest.error,
            "stopping": latest.stopping,
            "wrong": [[one.subject, one.kind, one.since // MS, one.words, one.blocks] for one in found],
            "facts": None,
        }
        if facts is not None:
            told["facts"] = self._facts(facts)
        return told

    def _facts(self, facts: Facts) -> dict[str, Any]:
        return {
            "ts": facts.ts // MS,
            "started": facts.started // MS,
            "collector": facts.collector,
            "host": facts.host,
            "version": facts.versions.get("xtrader", ""),
            "wanted": facts.wanted,
            "live": facts.live,
            "subscriptions": [
                [
                    one.name,
                    one.state,
                    one.since // MS,
                    one.cause,
                    one.detail,
                    round(one.rate, 1),
                    one.ts_last // MS,
                    one.silence_limit,
                    one.gaps,
                    one.resyncs,
                    one.connections_live,
                    one.connections,
                    one.book,
                ]
                for one in facts.subscriptions
            ],
            "exchanges": [
                {
                    "name": one.exchange,
                    "environment": one.environment,
                    "live": sum(s.state == "live" for s in facts.subscriptions if s.exchange == one.exchange),
                    "wanted": sum(s.exchange == one.exchange for s in facts.subscriptions),
                    "rate": round(sum(s.rate for s in facts.subscriptions if s.exchange == one.exchange), 1),
                    "lag": self._lags.get(one.exchange, Histogram()).quantile(0.5),
                    "late": self._lags.get(one.exchange, Histogram()).quantile(0.99),
                    "offset": one.clock_offset,
                    "rest": max((r.used / r.limit for r in facts.rest if one.exchange in r.exchanges and r.limit), default=None),
                }
                for one in facts.exchanges
            ],
            "connections": [
                [one.name, one.host, one.state, one.since // MS, one.subscriptions, one.reconnects, one.error]
                for one in facts.connections
            ],
            "journals": [
                {
                    **{
                        name: getattr(one, name) for name in ("bytes", "bytes_max", "free", "free_min", "room", "silence", "worker")
                    },
                    "commit": one.commits.quantile(0.99),
                }
                for one in facts.journals
            ],
            "sinks": [
                {
                    **{
                        name: getattr(one, name)
                        for name in ("name", "alive", "error", "behind_bytes", "behind_seconds", "held_seconds")
                    },
                    **{name: getattr(one, name) for name in ("rows", "restarts", "set_aside", "worker")},
                }
                for one in facts.sinks
            ],
            "processes": [
                [one.name, one.worker, one.pid, one.cpu, one.memory, one.loop.quantile(0.99) if one.loop else None]
                for one in facts.processes
            ],
        }


def recent_lags(facts: Facts, before: Facts | None) -> dict[str, Histogram]:
    """By exchange, the receive lag of what came after the facts `before`."""
    earlier = {} if before is None else {one.exchange: one.lag for one in before.exchanges}
    return {one.exchange: _recent(one.lag, earlier.get(one.exchange)) for one in facts.exchanges}


def _recent(histogram: Histogram, before: Histogram | None) -> Histogram:
    return histogram if before is None else histogram.since(before)


def _named(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _commits(facts: Facts) -> Histogram:
    return add([one.commits for one in facts.journals])


def _loops(facts: Facts) -> Histogram:
    return add([one.loop for one in facts.processes if one.loop is not None])


def _worst(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
