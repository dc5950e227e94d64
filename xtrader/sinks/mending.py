"""A collector's list made whole again before its sink goes on: recording never waits for a person because of a list.

The rule: nothing is believed of a line whose seal does not prove it; it is kept below `_damaged/`, and made again from the part
that it named.
"""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from xtrader.durable import free_path, make_directory, replace_file
from xtrader.sinks.described import UNREADABLE, describe, misplaced, place_of
from xtrader.sinks.manifest import (
    DIRECTORY,
    SEAL_BYTES,
    ManifestLine,
    lines_backwards,
    read_lines,
    readable,
    replaced_paths,
    sealed,
    unseal,
    whole_lines,
)

ASIDE: Final = "_damaged"

log = structlog.get_logger("xtrader.sinks")


def mend_list(root: Path, collector: str, first: int) -> None:
    """Make the list of a collector whole again if its end, from the parts of journal offset `first` on, is not: damaged lines are
    set aside and made again from their files. To be called by who holds the collector's lock. Raises OSError."""
    path = root / DIRECTORY / f"{collector}.jsonl"
    if not path.exists() or _is_sound(path, first):
        return
    *raws, rest = path.read_bytes().split(b"\n")
    lines, damaged = _believed(raws)
    if damaged:
        since, last = 0, max([first, *(line.last_offset for line in lines)])
    else:
        # A line without its end is one in the making, and made again with its commit, unless the cursor says that it was whole.
        since, last = max((line.first_offset for line in lines), default=0), first
    found = list(_unlisted(root, collector, lines, since, last))
    if rest and found:
        damaged.append(rest)
    if not damaged:
        return
    kept = free_path(root / ASIDE / DIRECTORY / path.name)
    make_directory(kept.parent)
    replace_file(kept, b"\n".join(damaged) + b"\n")
    replace_file(path, sealed(sorted([*lines, *found], key=lambda line: line.last_offset)))
    log.warning(
        "list_damaged",
        file=str(path),
        lines=len(damaged),
        set_aside=str(kept),
        made_again=[line.path for line in found],
        about="lines were not what was written; those whose files are there were made again from them",
    )


def _is_sound(path: Path, first: int) -> bool:
    """Whether the lines of parts from offset `first` on, and the one before those, are what was written, to the list's end."""
    with path.open("rb") as file:
        end = whole_lines(file)
        if end < file.seek(0, os.SEEK_END):
            return False
        after = b""
        for raw in lines_backwards(file, end):
            if after:
                line = _proven(after, _seal_of(raw))
                if line is None or line.last_offset <= first:
                    return line is not None
            after = raw
        return not after or _proven(after, 0) is not None


def _believed(raws: Sequence[bytes]) -> tuple[list[ManifestLine], list[bytes]]:
    """What the lines say that their own seal or that of the line after them proves; and the lines that are not what was written."""
    lines: list[ManifestLine] = []
    damaged: list[bytes] = []
    before = again = 0
    for raw in raws:
        line = _proven(raw, before)
        if line is None and damaged and (line := _proven(raw, again)) is not None:
            # Only the seal of the one before was damaged.
            lines += readable(damaged[-1][:-SEAL_BYTES] + b"}\n")
        again = zlib.crc32(raw[:-SEAL_BYTES] + b"}", before)
        before = _seal_of(raw)
        if line is None:
            damaged.append(raw)
        else:
            lines.append(line)
    return lines, damaged


def _seal_of(raw: bytes) -> int:
    return unseal(raw)[1] or 0


def _proven(raw: bytes, before: int) -> ManifestLine | None:
    """What a line that follows one of the seal `before` says, if its own seal proves it; one of a version that had none must be as
    it would be written."""
    one = next(read_lines(raw + b"\n", before))
    if one.line is None or misplaced(one.line):
        return None
    is_proven = msgspec.json.encode(one.line) == one.json if one.seal is None else one.is_proven
    return one.line if is_proven else None


def _unlisted(root: Path, collector: str, lines: Sequence[ManifestLine], since: int, last: int) -> Iterator[ManifestLine]:
    """The parts of journal offsets [since, last) that no list has, described anew."""
    known = {line.path for line in lines} | replaced_paths(root, collector)
    held: dict[str, list[ManifestLine]] = defaultdict(list)
    for line in lines:
        held[line.path.rpartition("/")[0]].append(line)
    for path in sorted(root.glob(f"stream=*/*/*/*/part-{collector}-*.parquet")):
        name = path.relative_to(root).as_posix()
        place = place_of(name)
        if place is None or place.collector != collector or name in known or not since <= place.first < place.last <= last:
            continue
        if any(line.first_offset < place.last and place.first < line.last_offset for line in held[name.rpartition("/")[0]]):
            continue  # Left by a `compact` that was interrupted, or listed by one: its rows are in these.
        try:
            yield describe(root, name)
        except UNREADABLE as error:
            log.warning(
                "part_damaged", file=str(path), error=str(error), about="it is in no list; `xtrader repair` saves what it can"
            )
