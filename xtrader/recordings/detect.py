"""Finds out what files are. One rule: the format is told by the content; names only say which files belong together."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from xtrader.errors import ConfigError
from xtrader.recordings import cryptofeed, hftbacktest, raw
from xtrader.recordings.events import Event
from xtrader.recordings.text import lines, open_file

_LOOK_AT = 20
"""Lines of a text file that are looked at."""
_EXPECTED = "cryptofeed's raw collection text, hftbacktest's collector text (both may be gzip) or xtrader's own raw files"

_Read = Callable[[Path, list[str]], Iterator[Event]]


class Recording:
    """What was recorded in one go: one or more files, told as one stream of events in the order of time.

    Each part of it (a connection, the REST answers, the catalogue) is a row of files that follow one another.
    """

    def __init__(self, name: str, format_name: str) -> None:
        self.name = name
        self.format_name = format_name
        """cryptofeed | hftbacktest | xtrader"""
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
        """All events, read anew. Raises ConfigError for a file of which nothing can be read."""
        self.damage.clear()
        streams = [self._part(self._parts[part]) for part in sorted(self._parts)]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("ts"))

    def _part(self, files: list[tuple[int, Path, _Read]]) -> Iterator[Event]:
        for _, path, read in sorted(files, key=lambda file: (file[0], file[1].name)):
            yield from read(path, self.damage)


def open_recordings(paths: Sequence[Path]) -> list[Recording]:
    """The recordings in these files and directories (searched whole; what is no recording there is passed over).

    Raises ConfigError: nothing there, not readable, no recording, nothing in it.
    """
    found: dict[tuple[str, Path, str], Recording] = {}
    for path, is_given in _files(paths):
        _add(found, path, is_given)
    if not found:
        raise ConfigError(f"no recording in {', '.join(map(str, paths)) or 'no files'}: expected {_EXPECTED}")
    return list(found.values())


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


def _add(found: dict[tuple[str, Path, str], Recording], path: Path, is_given: bool) -> None:
    """Put a file into the recording that it belongs to."""

    def recording(format_name: str, name: str) -> Recording:
        return found.setdefault((format_name, path.parent, name), Recording(name or path.parent.name, format_name))

    format_name = _format(path, is_given)
    if format_name == "xtrader":
        recording("xtrader", "").add(path.name, 0, path, raw.events)
    elif format_name == "cryptofeed":
        name, connection, part = cryptofeed.place(path)

        def read(file: Path, damage: list[str]) -> Iterator[Event]:
            return cryptofeed.events(file, connection, damage)

        recording("cryptofeed", name).add(connection, part, path, read)
    elif format_name == "hftbacktest":
        name = hftbacktest.place(path)

        def read_collected(file: Path, damage: list[str]) -> Iterator[Event]:
            return hftbacktest.events(file, name, damage)

        recording("hftbacktest", name).add(name, 0, path, read_collected)


def _format(path: Path, is_given: bool) -> str:
    """The format of a file; empty for one that is to be passed over."""
    if raw.recognise(path):
        return "xtrader"
    try:
        for count, (_, line) in enumerate(lines(path, [])):
            if cryptofeed.recognise(line):
                return "cryptofeed"
            if hftbacktest.recognise(line):
                return "hftbacktest"
            if count >= _LOOK_AT:
                break
    except ConfigError:
        if is_given:
            raise
        return ""
    if not is_given:
        return ""
    with open_file(path) as file:
        first = file.read(200).strip()
    if not first:
        raise ConfigError(f"{path} holds nothing: expected {_EXPECTED}")
    raise ConfigError(f"{path} is not a recording: it begins with {first[:40]!r}, expected {_EXPECTED}")
