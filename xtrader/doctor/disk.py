"""Whether a directory can take what a recorder writes: allowed, room, names, the kind of file system, and how fast a commit is.

The rule: nothing that was not there is left behind, not even a directory: what is yet to be made is judged by its parent.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from xtrader.diagnosis import Diagnosis, ok, warning, wrong

FEW_NAMES: Final = 10_000
"""Files that can be made yet; a day of many instruments makes some thousands."""
WRITES: Final = 16
WRITE_BYTES: Final = 65_536
SECONDS: Final = 3.0
"""Spent on trying a slow disk, at most."""
SLOW: Final = 0.1
"""Seconds of a commit: so often one is made."""
TOO_SLOW: Final = 1.0
"""Seconds of a commit after which the journal is called stalled before long."""
NETWORK: Final = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs")
MEMORY: Final = ("tmpfs", "ramfs")


def examine_directory(what: str, path: Path, min_free: int) -> Iterator[Diagnosis]:
    """A directory that a recorder writes to; below `min_free` bytes it pauses."""
    place = existing(path)
    about = f"{what} '{path}'"
    if not place.is_dir():
        yield wrong(about, f"'{place}' is no directory", "name a directory, or move that file away")
        return
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            yield wrong(about, f"cannot be written to: {os.strerror(error.errno or 0).lower()}", _permission(place, error))
            return
    yield _room(about, place, min_free)
    yield from _names(about, place)
    yield from _kind(about, place)
    yield commit_speed(about, place)


def existing(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    while not os.path.exists(path) and path != path.parent:
        path = path.parent
    return path


def commit_speed(about: str, place: Path) -> Diagnosis:
    """How long it takes to force a few KiB to the disk, as a journal does ten times a second."""
    took: list[float] = []
    end = time.monotonic() + SECONDS
    try:
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            while len(took) < WRITES and time.monotonic() < end:
                begun = time.monotonic()
                file.write(os.urandom(WRITE_BYTES))
                os.fdatasync(file.fileno())
                took.append(time.monotonic() - begun)
    except OSError as error:
        words = f"a trial write failed: {os.strerror(error.errno or 0).lower()}"
        return wrong(about, words, "make room, or look at the disk: dmesg")
    return judge_speed(about, median(took), max(took))


def judge_speed(about: str, usual: float, longest: float) -> Diagnosis:
    """What it means that commits take so many seconds."""
    words = f"a commit of {WRITE_BYTES >> 10} KiB takes {usual * 1000:.1f} ms, {longest * 1000:.1f} ms at most"
    if usual >= TOO_SLOW:
        return wrong(about, words, "use a local disk: iostat -x 1 shows whether somebody else keeps this one busy")
    if usual >= SLOW:
        return warning(about, words, "power loss costs more than XTRADER_FSYNC_INTERVAL says; use a faster, local disk")
    return ok(about, words)


def file_system(place: Path, mounts: str) -> str:
    """The type of the file system that a directory is on, from the text of /proc/self/mountinfo; empty if it is not told."""
    number = os.stat(place).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    found = ""
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split()
        if dash and len(fields) > 4 and fields[2] == device:
            found = after.split()[0]
    return found


def _room(about: str, place: Path, min_free: int) -> Diagnosis:
    found = os.statvfs(place)
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    words = f"{_mib(free)} free of {_mib(size)}; recording pauses below {_mib(min_free)}"
    if free < min_free:
        return wrong(about, words, "make room: old files to another disk or an object store, or lower XTRADER_MIN_FREE_BYTES")
    if free < 2 * min_free:
        return warning(about, words, "make room soon; docs/operations.md says how much a day of recording takes")
    return ok(about, words)


def _names(about: str, place: Path) -> Iterator[Diagnosis]:
    found = os.statvfs(place)
    if found.f_files and found.f_favail < FEW_NAMES:
        yield warning(
            about,
            f"only {found.f_favail} more files can be made",
            "remove small files, or make the file system anew with more inodes",
        )


def _kind(about: str, place: Path) -> Iterator[Diagnosis]:
    try:
        kind = file_system(place, Path("/proc/self/mountinfo").read_text())
    except OSError:
        return
    if kind in NETWORK:
        yield warning(
            about,
            f"is on {kind}, over a network",
            "use a local disk for the journal: locks and commits of this kind are not to be relied on",
        )
    elif kind in MEMORY:
        yield warning(about, f"is on {kind}, in memory", "everything there is gone after a restart of the machine; use a disk")
    elif kind == "overlay":
        yield warning(about, "is within a container", "everything there is gone with the container; mount a volume")


def _permission(place: Path, error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "it is mounted for reading only: mount it for writing, or name another directory"
    owner = place.stat().st_uid
    return f"it belongs to uid {owner}, this process is uid {os.geteuid()}: chown it, or run as that user"


def _mib(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count >> 20} MiB"
