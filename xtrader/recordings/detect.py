"""Finds out what files are. One rule: the format is told by the content; names only say which files belong together."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from xtrader.errors import ConfigError
from xtrader.recordings import cryptofeed, cryptofeed_typed, hftbacktest, raw
from xtrader.recordings.events import Event
from xtrader.recordings.text import first_lines

_LOOK_AT = 20
"""Lines of a text file that are looked at."""
_NAMED = 10
"""Files that are named of those that were passed over."""
_EXPECTED = (
    "cryptofeed's raw collection text, its captures of typed JSON lines, hftbacktest's collector text (each plain, gzip or zstd), "
    "or xtrader's own raw files"
)

_RECOGNISE: Mapping[str, Callable[[bytes], bool]] = {
    "cryptofeed": cryptofeed.recognise,
    "hftbacktest": hftbacktest.recognise,
    "cryptofeed_typed": cryptofeed_typed.recognise,
}
_Read = Callable[[Path, list[str]], Iterator[Event]]


class Recording:
    """What was recorded in one go: one or more files, told as one stream of events in the order of time.

    Each part of it (a connection, the REST answers, the catalogue) is a row of files that follow one another.
    """

    def __init__(self, name: str, format_name: str) -> None:
        self.name = name
        self.format_name = format_name
        """cryptofeed | cryptofeed_typed | hftbacktest | xtrader"""
        self.damage: list[str] = []
        """One sentence for each thing that was wrong with a file; complete once `events` came to its end."""
        self._parts: dict[str, list[tuple[int, Path, _Read]]] = {}

    @property
    def files(self) -> list[Path]:
        """Every file of the recording."""
        return [path for part in self._parts.values() for _, path, _ in part]

    def add(self, part: str, position: int, path: Path, read: _Read) -> None:
        """Put a file into a part: those with a lower position come before it."""
        self._parts.setdefault(part, []).append((position, path, read))

    def events(self) -> Iterator[Event]:
        """All events, read anew. A file of which nothing can be read is told in `damage`, like any other fault of a file."""
        self.damage.clear()
        streams = [self._part(self._parts[part]) for part in sorted(self._parts)]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("ts"))

    def _part(self, files: list[tuple[int, Path, _Read]]) -> Iterator[Event]:
        for _, path, read in sorted(files, key=lambda file: (file[0], file[1].name)):
            try:
                yield from read(path, self.damage)
            except ConfigError as error:
                self.damage.append(str(error))


class DetectedRecordings(NamedTuple):
    """What is in files and directories."""

    recordings: list[Recording]
    refused: list[str]
    """One sentence for each file that was named and is no recording, or cannot be read."""
    passed_over: list[Path]
    """Files of directories that are no recordings."""

    def remark(self) -> str:
        """One sentence that names the files that were passed over; empty if there are none."""
        if not self.passed_over:
            return ""
        more = len(self.passed_over) - _NAMED
        named = ", ".join(str(path) for path in self.passed_over[:_NAMED])
        return f"not read, as no recording is in it: {named}" + (f" and {more} more" if more > 0 else "")


def look(paths: Sequence[Path]) -> DetectedRecordings:
    """What is in these files and directories (searched whole).

    Raises ConfigError: nothing there, not readable, no recording at all, nothing in it.
    """
    found: dict[tuple[str, Path, str], Recording] = {}
    refused: list[str] = []
    passed_over: list[Path] = []
    for path, is_given in _files(paths):
        try:
            _add(found, path)
        except ConfigError as error:
            if is_given:
                refused.append(str(error))
            else:
                passed_over.append(path)
    if not found:
        nothing = f"no recording in {', '.join(map(str, paths)) or 'no files'}: expected {_EXPECTED}"
        raise ConfigError("; ".join(refused) or nothing)
    return DetectedRecordings(list(found.values()), refused, passed_over)


def open_recordings(paths: Sequence[Path]) -> list[Recording]:
    """The recordings in these files and directories. Raises ConfigError like `look`, and for a file that was named and is none."""
    found = look(paths)
    if found.refused:
        raise ConfigError("; ".join(found.refused))
    return found.recordings


def _files(paths: Sequence[Path]) -> Iterable[tuple[Path, bool]]:
    """(file, whether the user named it), each file once."""
    found: dict[Path, tuple[Path, bool]] = {}
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file() and not file.name.startswith("."):
                    found.setdefault(file.resolve(), (file, False))
        elif path.exists():
            found[path.resolve()] = (path, True)
        else:
            raise ConfigError(f"there is no recording {path}")
    return found.values()


def _add(found: dict[tuple[str, Path, str], Recording], path: Path) -> None:
    """Put a file into the recording that it belongs to. Raises ConfigError if it is none."""

    def recording(format_name: str, name: str) -> Recording:
        return found.setdefault((format_name, path.parent, name), Recording(name or path.parent.name, format_name))

    format_name = _format(path)
    if format_name == "xtrader":
        recording("xtrader", "").add(path.name, 0, path, raw.events)
    elif format_name == "cryptofeed":
        name, connection, part = cryptofeed.place(path)
        recording("cryptofeed", name).add(connection, part, path, _named(cryptofeed.events, connection))
    elif format_name == "cryptofeed_typed":
        typed = recording("cryptofeed_typed", cryptofeed_typed.place(path))
        for one in cryptofeed_typed.connections(path):
            typed.add(one, 0, path, _named(cryptofeed_typed.events, one))
    elif format_name == "hftbacktest":
        name = hftbacktest.place(path)
        recording("hftbacktest", name).add(name, 0, path, _named(hftbacktest.events, name))
    else:
        raise AssertionError(format_name)


def _named(events: Callable[[Path, str, list[str]], Iterator[Event]], connection: str) -> _Read:
    """A reader of files, of a format in which the connection is not named after the file."""
    return lambda path, damage: events(path, connection, damage)


def _format(path: Path) -> str:
    """The format of a file. Raises ConfigError if it is no recording, or cannot be read."""
    if raw.recognise(path):
        return "xtrader"
    first = first_lines(path, _LOOK_AT)
    for line in first:
        for format_name, recognise in _RECOGNISE.items():
            if recognise(line):
                return format_name
    if not first:
        raise ConfigError(f"{path} holds nothing: expected {_EXPECTED}")
    raise ConfigError(f"{path} is not a recording: it begins with {first[0][:40]!r}, expected {_EXPECTED}")
