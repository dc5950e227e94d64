"""How much of the time was recorded, and how much room that takes, by the recording itself and the live end of its journal.

The rule: an interval that is open counts as far as somebody is known to have written.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from xtrader.clock import DAY, SECOND
from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.sinks.described import place_of
from xtrader.store.prove.coverage_map import share
from xtrader.store.prove.verify_lists import read_lists
from xtrader.store.read.coverage_fold import Interval
from xtrader.store.read.dataset import open_dataset

LIVE: Final = 0.99
"""Share of the time that a subscription must be live."""
BEGINNING: Final = 36 * SECOND
"""It may take so long to begin, or to come back, however short the time is: the same share of an hour."""
OURS: Final = ("venue_gap", "malformed", "overflow", "storage", "clock_step", "silent")
"""Causes of gaps that are worth a word however short they were: messages were missing, or could not be used."""
SHOWN: Final = 20
"""Subscriptions that are named."""
GROWTH_DAYS: Final = 7


def has_files(root: Path) -> bool:
    """Whether there are finished files."""
    return (root / "_manifest").is_dir()


def judge(root: Path, journal: Path, start: int, now: int, *, is_running: bool) -> Iterator[Diagnosis]:
    """How much of [start, now) (int ns) each subscription was live, and the gaps in it. Raises OSError, XTraderError."""
    found = intervals(root, journal, start, now if is_running else last_write(journal))
    if not found:
        yield wrong("coverage", f"nothing was recorded since {_moment(start)}", "is it the right directory? Does a recorder run?")
        return
    bad, odd = [], []
    for name, rows in sorted(found.items()):
        # What began later, a recorder or a subscription, is judged from then on.
        begun = max(start, min(one.ts_from for one in rows))
        known = share(rows, begun, now)
        part = known.live / max(now - begun, 1)
        causes = Counter(one.cause for one in rows if one.state == "gap" and one.ts_from < now and not one.is_filled)
        said = f"live {part:.2%} of the time since {_moment(begun)}"
        gaps = ", ".join(f"{count} {cause}" for cause, count in causes.most_common())
        words = f"{said}; gaps: {gaps or 'none'}"
        if now - begun - known.live > max((1 - LIVE) * (now - begun), BEGINNING):
            bad.append(
                wrong(f"coverage {name}", words, "xtrader coverage shows when; docs/operations.md says what each cause means")
            )
        elif any(cause in OURS for cause in causes):
            odd.append(warning(f"coverage {name}", words, "docs/operations.md says what each cause means"))
    yield from bad[:SHOWN]
    yield from odd[: SHOWN - len(bad[:SHOWN])]
    count = len(found) - len(bad)
    words = (
        f"{count} of {len(found)} subscriptions were live for {LIVE:.0%} of the time since {_moment(start)}, or missed 36 s at most"
    )
    yield wrong("coverage", words, "see the lines above") if bad else ok("coverage", words)


def intervals(root: Path, journal: Path, start: int, until: int) -> dict[str, list[Interval]]:
    """Subscription -> what is known of it since `start`, in files and in the journal; what is open lasts until `until`."""
    if not has_files(root) and not journal.is_dir():
        return {}
    answer = open_dataset(root, journal=journal if journal.is_dir() else None).coverage(start=start)
    found: defaultdict[str, list[Interval]] = defaultdict(list)
    table = answer.to_arrow()
    # As numbers: Python's times are too coarse.
    times = zip(*(table[name].cast("int64").to_pylist() for name in ("ts_from", "ts_to")), strict=True)
    for row, (begun, ended) in zip(table.drop_columns(["ts_from", "ts_to"]).to_pylist(), times, strict=True):
        name = f"{row['covers']}:{row['exchange']}@{row['instrument']}"
        closed = ended if ended is not None else max(until, begun)
        found[name].append(Interval(row["covers"], row["state"], row["cause"], begun, closed, row["detail"]))
    return found


def growth(root: Path, place: Path, now: int, soon: int, later: int) -> Iterator[Diagnosis]:
    """How much a day takes, by the files of the last days, and when the disk that `place` is on is full. Raises OSError."""
    about = f"disk of '{root}'"
    disk = os.statvfs(place)
    free = disk.f_bavail * disk.f_frsize
    today = datetime.fromtimestamp(now // SECOND, UTC).date()
    wanted = [str(today - timedelta(days=number)) for number in range(1, GROWTH_DAYS + 1)]
    by_date = bytes_by_date(root) if has_files(root) else {}
    whole = [by_date[date] for date in wanted if date in by_date]
    begun = by_date.get(str(today), 0)
    # The first day of a recording is not over yet: it is taken as going on like this.
    a_day = sum(whole) / len(whole) if whole else begun * DAY / max(now % DAY, 1)
    if a_day <= 0:
        yield ok(about, f"{free / 2**30:,.1f} GiB free; nothing is written to it")
        return
    left = free / a_day * 86_400
    words = f"{free / 2**30:,.1f} GiB free, {a_day / 2**20:,.0f} MiB a day: full in {left / 86_400:,.1f} days"
    remedy = "move old days away or into an object store, compact them (`xtrader compact`), or use a larger disk"
    if left < soon:
        yield wrong(about, words, remedy)
    elif left < later:
        yield warning(about, words, remedy)
    else:
        yield ok(about, words)


def bytes_by_date(root: Path) -> dict[str, int]:
    """UTC day -> bytes of its files in force. Raises OSError."""
    found: Counter[str] = Counter()
    for one in read_lists(root).parts:
        place = place_of(one.line.path)
        if place is not None:
            found[place.date] += one.line.bytes
    return dict(found)


def dates(root: Path) -> set[str]:
    """The UTC days of which there are files. Raises OSError."""
    return set(bytes_by_date(root))


def last_write(journal: Path) -> int:
    """When a journal in a directory, or one of its workers', was last written to, int ns; 0 if there is none."""
    files = [*journal.glob("*.journal"), *journal.glob("worker-*/*.journal")]
    return max((file.stat().st_mtime_ns for file in files), default=0)


def _moment(ts: int) -> str:
    return datetime.fromtimestamp(ts // SECOND, UTC).strftime("%m-%d %H:%M UTC")
