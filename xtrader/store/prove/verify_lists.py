"""The manifest against itself and against the directory: every part listed once, nothing missing, nothing that does not belong.

The rule: what is wrong with a list is laid to the list, what is wrong with a file to the file.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from xtrader.errors import ConfigError
from xtrader.sinks.bounds import bounds_below
from xtrader.sinks.described import misplaced, place_of
from xtrader.sinks.manifest import COMPACTED, DIRECTORY, ManifestLine, collector_of, list_files, read_lines


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found. `level`: "damage", "hole" (missing, and the recording says so), or "note". `file` is relative to
    the data directory."""

    level: str
    file: str
    what: str


class ListedPart(NamedTuple):
    """A line of a list. `is_proven`: its seal shows that it is as it was written, or that it is not; None without a seal."""

    line: ManifestLine
    list: str
    is_proven: bool | None


class Lists(NamedTuple):
    """The parts in force, in the order of the lists, and what is wrong with the lists."""

    parts: Sequence[ListedPart]
    findings: Sequence[Finding]
    replaced: set[str]
    """Paths of the parts whose rows are in others now, or were pruned."""
    pruned: set[str]
    """Those of them that were pruned."""


class Strangers(NamedTuple):
    """Findings about files that no list has; `unlisted` are those that are parts, with the list that should have them, and
    `covered` the parts that are missing because such a file took their place."""

    findings: Sequence[Finding]
    unlisted: Sequence[tuple[str, str]]
    covered: set[str]


def read_list(root: Path, path: Path, begins: Collection[int] = ()) -> tuple[list[ListedPart], list[Finding]]:
    """The lines of one list and what is wrong with them. At the lines of the numbers `begins` its seals may begin anew."""
    name = path.relative_to(root).as_posix()
    listed: list[ListedPart] = []
    findings = []
    if path.is_symlink() or not path.is_file():
        what = "is a symbolic link, which a recording has none of" if path.is_symlink() else "is not a file"
        return [], [Finding("damage", name, what)]
    try:
        content = path.read_bytes()
    except OSError as error:
        return [], [Finding("damage", name, f"cannot be read: {error.strerror}")]
    number = content.count(b"\n") + 1
    if content.rpartition(b"\n")[2]:
        findings.append(Finding("damage", name, f"line {number} is cut off"))
    for one in read_lines(content):
        if one.number in begins and one.is_proven is False and one._replace(before=0).is_proven:
            one = one._replace(before=0)
        if one.line is None:
            findings.append(Finding("damage", name, f"line {one.number} cannot be read"))
            continue
        wrong = misplaced(one.line)
        if one.is_proven is False and one.before is not None:
            what = f"line {one.number} or the one before it is not what was written: its seal differs"
            findings.append(Finding("damage", name, what))
        elif wrong is not None or msgspec.json.encode(one.line) != one.json:
            findings.append(Finding("damage", name, f"line {one.number} {wrong or 'is not what was written'}"))
        if wrong is None:
            listed.append(ListedPart(one.line, name, one.is_proven))
    return listed, findings


def read_lists(root: Path, begins: Mapping[str, Collection[int]] = MappingProxyType({})) -> Lists:
    """All lists below a data directory, `begins` for each by its name as of `read_list`. Raises OSError."""
    listed: list[ListedPart] = []
    findings: list[Finding] = []
    for path in list_files(root):
        some, wrong = read_list(root, path, begins.get(path.relative_to(root).as_posix(), ()))
        listed += some
        findings += wrong
    for path_, count in Counter(one.line.path for one in listed).items():
        if count > 1:
            where = next(one.list for one in listed if one.line.path == path_)
            findings.append(Finding("damage", where, f"lists '{path_}' {count} times"))
    bounds = bounds_below(root)
    replaced = {path for one in listed for path in one.line.replaces}
    pruned = {one.line.path for one in listed if not bounds.keep(one.line.stream, one.line.last_ts_recv)} - replaced
    replaced |= pruned
    unique = {one.line.path: one for one in reversed(listed) if one.line.path not in replaced}
    parts = list(reversed(unique.values()))
    return Lists(parts, [*findings, *_overlaps(parts)], replaced, pruned)


def require_whole(lists: Lists) -> None:
    """Raises ConfigError where a list is damaged: what it does not tell of would be left out in silence."""
    damaged = sorted({finding.file for finding in lists.findings})
    if damaged:
        raise ConfigError(f"{', '.join(damaged)} is damaged: see `xtrader verify`, then `xtrader repair`")


def _overlaps(parts: Sequence[ListedPart]) -> Iterator[Finding]:
    """Parts of one subscription, collector and day that are made of the same stretch of the journal."""
    groups: dict[tuple[str, str], list[ListedPart]] = defaultdict(list)
    for one in parts:
        groups[collector_of(one.list), one.line.path.rpartition("/")[0]].append(one)
    for group in groups.values():
        group.sort(key=lambda one: (one.line.first_offset, one.line.last_offset))
        for one, after in pairwise(group):
            if after.line.first_offset < one.line.last_offset:
                what = f"'{after.line.path}' and '{one.line.path}' hold the same stretch of the journal"
                yield Finding("damage", after.list, what)


def files_below(root: Path) -> Iterator[str]:
    """Every file in the directories of the streams, hidden ones too, relative to the data directory. A symbolic link is one,
    wherever it leads."""
    for stream in sorted(root.glob("stream=*")):
        if stream.is_symlink() or not stream.is_dir():
            yield stream.name
            continue
        for directory, names, files in os.walk(stream):
            names.sort()
            links = [name for name in names if (Path(directory) / name).is_symlink()]
            for name in sorted([*files, *links]):
                yield (Path(directory) / name).relative_to(root).as_posix()


def strangers(lists: Lists, files: Sequence[str]) -> Strangers:
    """What is in the directories and in no list. `files` were seen before the lists were read."""
    in_force = {one.line.path for one in lists.parts}
    held = set(files)
    spans: dict[tuple[str, str], list[ManifestLine]] = defaultdict(list)
    for one in lists.parts:
        spans[collector_of(one.list), one.line.path.rpartition("/")[0]].append(one.line)
    findings: list[Finding] = []
    unlisted: list[tuple[str, str]] = []
    covered: set[str] = set()
    for path in files:
        directory, _, name = path.rpartition("/")
        if path in in_force or (name.startswith(".") and name.endswith(".tmp")):
            continue
        place = place_of(path)
        if path in lists.replaced:
            findings.append(
                Finding(
                    "note",
                    path,
                    "was replaced by another part, or pruned, and not removed yet: the next `compact` or `prune` does it",
                )
            )
        elif place is None:
            findings.append(Finding("damage", path, "is not a part of the recording"))
        else:
            inside = [one for one in spans[place.collector, directory] if place.holds(one.first_offset, one.last_offset)]
            missing = {one.path for one in inside if one.path not in held}
            least = 1 if place.is_cut else 2
            if len(inside) >= least and not missing:
                findings.append(Finding("note", path, "was left by a `compact` that was interrupted: the next one removes it"))
            else:
                covered |= missing
                list_ = f"{DIRECTORY}/{place.collector}{COMPACTED if len(inside) >= least else '.jsonl'}"
                unlisted.append((path, list_))
                findings.append(Finding("damage", list_, f"does not list '{path}'"))
    return Strangers(findings, unlisted, covered)


def without_parts(root: Path, collectors: Set[str]) -> Iterator[Finding]:
    """The collectors that began a list and finished nothing; `collectors` have parts."""
    for path in list_files(root):
        collector = collector_of(path.name)
        if collector not in collectors and not path.name.endswith(COMPACTED):
            level = "note" if is_running(root, collector) else "hole"
            yield Finding(
                level, f"{DIRECTORY}/{path.name}", f"lists no part: nothing that collector '{collector}' recorded was finished"
            )


def is_running(root: Path, collector: str) -> bool:
    """True while a process writes this collector's parts."""
    try:
        descriptor = os.open(root / DIRECTORY / f".{collector}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
