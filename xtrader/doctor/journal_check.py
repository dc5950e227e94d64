"""How the journal is: whose it is, whether it can be read, how large it is, and whether the sinks have all of it.

The rule: it is only looked at, without its lock, so that a recorder that runs or starts is not disturbed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.doctor.disk import existing
from xtrader.pipeline.cursors import read_cursor
from xtrader.pipeline.follow import journals
from xtrader.pipeline.frames import Damaged, read_frames, segments
from xtrader.settings.directories import kept_collector
from xtrader.settings.load import Settings

READ: Final = 256 << 20
"""Bytes of a journal, its newest, that are read."""
NEARLY: Final = 0.8
"""Share of XTRADER_JOURNAL_MAX_BYTES that is worth a word."""


def examine_journal(settings: Settings, is_running: bool) -> Iterator[Diagnosis]:
    """The journal of a recorder, or of each of its workers."""
    place = settings.journal_directory
    about = f"journal '{place}'"
    if existing(place) != place:
        yield ok(about, "is not there yet: the first run makes it")
        return
    try:
        yield from _owner(about, place)
        yield from _collector(about, settings)
        found = journals(place) if any(place.glob("*.journal")) or any(place.glob("worker-*")) else []
    except OSError as error:
        yield wrong(about, f"cannot be read: {os.strerror(error.errno or 0).lower()}", "run this as the user that records")
        return
    if not found:
        yield ok(about, "is empty")
    for one in found:
        yield from _one(f"journal '{one}'", one, settings, is_running)


def _one(about: str, place: Path, settings: Settings, is_running: bool) -> Iterator[Diagnosis]:
    try:
        files = segments(place)
        size = sum(file.end - file.base for file in files)
        yield _size(about, size, settings.journal_max_bytes)
        yield _readable(about, place)
        if not is_running:
            yield from _unfinished(about, place, files[-1].end if files else 0, settings.sinks)
    except OSError as error:
        yield wrong(
            about,
            f"cannot be read: {os.strerror(error.errno or 0).lower()}",
            "run this as the user that records; look at the disk: dmesg",
        )


def _size(about: str, size: int, most: int) -> Diagnosis:
    words = f"{size >> 20} MiB of at most {most >> 20}"
    remedy = "a sink does not keep up or is down (see below, and xtrader status): mend it, or raise XTRADER_JOURNAL_MAX_BYTES"
    if size >= most:
        return wrong(about, f"is full: {words}; recording is paused", remedy)
    if size >= NEARLY * most:
        return warning(about, f"is nearly full: {words}", remedy)
    return ok(about, words)


def _readable(about: str, place: Path) -> Diagnosis:
    files = segments(place)
    start = max(files[0].base, files[-1].end - READ) if files else 0
    # Reading begins where a file does: in between there is no frame to begin with.
    start = max((file.base for file in files if file.base <= start), default=0)
    frames, damage = 0, 0
    for frame in read_frames(place, start):
        if isinstance(frame, Damaged):
            damage += 1
        else:
            frames += 1
    if damage:
        remedy = "the next start records what was lost there as a gap; look at the disk: dmesg, smartctl -a"
        return warning(about, f"{damage} stretches are damaged or torn, {frames} frames can be read", remedy)
    return ok(about, f"{frames} frames can be read, all of them whole")


def _unfinished(about: str, place: Path, end: int, sinks: Sequence[str]) -> Iterator[Diagnosis]:
    for name in sinks:
        cursor = read_cursor(place, name)
        missing = end - (cursor or 0) if cursor is not None else None
        if missing is None:
            yield warning(
                about,
                f"nothing of it is in the sink {name} yet",
                "start the recorder, or `xtrader repair` the output directory: nothing is lost",
            )
        elif missing > 0:
            yield warning(
                about,
                f"{missing >> 10} KiB of it are not in the sink {name} yet",
                "start the recorder, or `xtrader repair` the output directory: nothing is lost",
            )
        else:
            yield ok(about, f"finished: the sink {name} has all of it")


def _owner(about: str, place: Path) -> Iterator[Diagnosis]:
    found = place.stat()
    if found.st_uid != os.geteuid() and os.geteuid() != 0:
        yield wrong(
            about,
            f"belongs to uid {found.st_uid}, this process is uid {os.geteuid()}",
            "run as the user that records, or chown -R it",
        )
    if found.st_mode & stat.S_IWOTH:
        yield warning(about, f"everybody can write to it (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod o-w '{place}'")


def _collector(about: str, settings: Settings) -> Iterator[Diagnosis]:
    kept = kept_collector(settings.journal_directory)
    if kept and settings.collector is not None and settings.collector != kept:
        yield wrong(
            about,
            f"belongs to the collector '{kept}', and XTRADER_COLLECTOR_ID is '{settings.collector}'",
            f"set XTRADER_COLLECTOR_ID={kept}, or name another journal directory",
        )
