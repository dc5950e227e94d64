"""The last day of each subscription as a strip of quarters of an hour, each as good as the worst that is known of it.

The rule: what nobody knows is not called live. What went before this process is read from the coverage rows in the files, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from xtrader.ops.facts import Facts
from xtrader.ops.health import SECOND

WIDTH: Final = 900 * SECOND
COUNT: Final = 96
UNKNOWN: Final = ord(".")
WORSE: Final = {ord(letter): rank for rank, letter in enumerate(".lsg")}
LETTERS: Final = {"live": ord("l"), "syncing": ord("s"), "gap": ord("g"), "rejected": ord("g")}
ROWS: Final = 200_000
"""Coverage rows that are read at most."""


class LastDay:
    """A strip for each subscription: a letter for each of COUNT stretches of WIDTH, . unknown, l live, s syncing, g gap."""

    def __init__(self, now: int) -> None:
        self._strips: dict[str, bytearray] = {}
        self._end = now // WIDTH
        """The number of the last stretch."""
        self._seen: dict[str, int] = {}
        self._observed = 0

    def observe(self, facts: Facts) -> None:
        """What holds at the time of the facts, and has held since the last ones."""
        self._move(facts.ts)
        for one in facts.subscriptions:
            start = max(one.since, self._observed) if one.name in self._seen else one.since
            self._mark(one.name, LETTERS[one.state], start, facts.ts)
            gaps = one.gaps_total
            if gaps > self._seen.get(one.name, gaps):
                # It began and ended between two looks.
                self._mark(one.name, LETTERS["gap"], self._observed, facts.ts)
            self._seen[one.name] = gaps
        self._observed = facts.ts

    def add(self, rows: list[tuple[str, str, int, int]]) -> None:
        """Closed coverage rows: name, state, from, to."""
        for name, state, start, end in rows:
            if state in LETTERS:
                self._mark(name, LETTERS[state], start, end)

    def value(self) -> dict[str, Any]:
        """For the page: when the first stretch begins and how long one is (milliseconds), and the strips."""
        strips = {name: strip.decode() for name, strip in self._strips.items()}
        return {"from": (self._end - COUNT + 1) * WIDTH // 1_000_000, "step": WIDTH // 1_000_000, "strips": strips}

    def _move(self, now: int) -> None:
        """Forget what is older than a day."""
        end = now // WIDTH
        moved = min(max(end - self._end, 0), COUNT)
        if moved:
            for strip in self._strips.values():
                strip[:] = strip[moved:] + bytes([UNKNOWN]) * moved
            self._end = end

    def _mark(self, name: str, letter: int, start: int, end: int) -> None:
        strip = self._strips.setdefault(name, bytearray([UNKNOWN]) * COUNT)
        first = self._end - COUNT + 1
        for place in range(max(start // WIDTH - first, 0), min(end // WIDTH - first, COUNT - 1) + 1):
            if WORSE[letter] > WORSE[strip[place]]:
                strip[place] = letter


def closed_rows(root: Path, now: int) -> list[tuple[str, str, int, int]]:
    """The closed coverage rows of the last day in the files below `root`: name of the subscription, state, from, to (int ns); of
    damaged files none. Takes a while."""
    found: list[tuple[str, str, int, int]] = []
    for path in _files(root, now):
        if len(found) >= ROWS:
            break
        found += _rows(path, now)
    return found


def _files(root: Path, now: int) -> Iterator[Path]:
    """Newest first."""
    today = datetime.fromtimestamp(now // SECOND, UTC).date()
    for date in (today, today - timedelta(days=1)):
        yield from sorted(root.glob(f"stream=COVERAGE/exchange=*/instrument=*/date={date}/*.parquet"), reverse=True)


def _rows(path: Path, now: int) -> Iterator[tuple[str, str, int, int]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = dict(part.partition("=")[::2] for part in path.parts if "=" in part)
    key = f"{unquote(parts['exchange'])}@{unquote(parts['instrument'])}"
    try:
        table = pq.ParquetFile(path).read(["covers", "state", "ts_from", "ts_to"])
    except (OSError, pa.ArrowException, KeyError):
        return
    starts, ends = (table[name].cast(pa.int64()).to_pylist() for name in ("ts_from", "ts_to"))
    states = zip(table["covers"].to_pylist(), table["state"].to_pylist(), starts, ends, strict=True)
    for covers, state, start, end in states:
        if end is not None and end > now - COUNT * WIDTH:
            yield f"{covers}:{key}", state, start, end
