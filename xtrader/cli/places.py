"""Which recording a command means: a directory, or a URL of an object store, with the journal of whoever records into it.

The rule: a spool is not a recording, its store is; the journal beside it is the live end of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from xtrader.errors import ConfigError

if TYPE_CHECKING:
    from xtrader.settings.load import Settings
    from xtrader.store.prove.recording_files import RecordingFiles

T = TypeVar("T", bound=Callable[..., Any])


class Place(NamedTuple):
    """Where a recording lies, and the journal of whoever records it: `where` is a directory or the URL of an object store."""

    where: str
    journal: Path
    settings: Settings

    @property
    def is_remote(self) -> bool:
        return "://" in self.where


class Typed(NamedTuple):
    """What a user typed, for errors."""

    text: str
    origin: str


def recorded(command: T) -> T:
    """The argument that says which recording a command is about."""
    return click.argument("directory", metavar="DIR|URL")(command)


def find_place(text: str | None) -> Place:
    """The recording that is meant: what was typed, else that of the settings. Raises ConfigError."""
    from xtrader import logs
    from xtrader.settings.destination import checked_url, spool_of
    from xtrader.settings.environment import load_process, take_sink_variables

    url = text is not None and "://" in text
    settings = load_process({"output_directory": None if url else text})
    logs.set_up(settings.log_level, settings.secrets, settings.warnings)
    take_sink_variables(settings)
    upload = settings.upload
    if text is not None and url:
        where = checked_url(Typed(text, "the recording"))
        own = upload is not None and upload.url == where
        return Place(where, settings.journal_directory if own else spool_of(where) / ".journal", settings)
    directory = settings.output_directory
    if text is None and upload is not None and upload.spool is not None:
        return Place(upload.url, settings.journal_directory, settings)
    for store in _uploaded_to(directory):
        if spool_of(store) == directory or (upload is not None and (upload.url, upload.keep_local) == (store, False)):
            return Place(store, settings.journal_directory, settings)
    return Place(str(directory) if text is None else text, settings.journal_directory, settings)


@contextmanager
def files_at(text: str | None) -> Iterator[RecordingFiles]:
    """The files of the recording that is meant. Raises ConfigError where there is none."""
    from xtrader.store.prove.recording_files import recording_files

    place = find_place(text)
    with recording_files(place.where, place.journal) as files:
        require_recording(files, place)
        yield files


def require_recording(files: RecordingFiles, place: Place) -> None:
    """Raises ConfigError where there is no recording."""
    require_directory(place)
    if not files.exists():
        near = "" if place.is_remote else _near(Path(place.where))
        raise ConfigError(f"'{place.where}' holds no recording: neither parts nor a manifest{near}")


def require_directory(place: Place) -> None:
    """Raises ConfigError where a directory is meant that is none."""
    if not place.is_remote and not Path(place.where).is_dir():
        raise ConfigError(f"there is no directory '{place.where}'{_near(Path(place.where).absolute().parent)}")


def require_local(place: str, command: str) -> None:
    """Raises ConfigError for a URL, with the way round."""
    if "://" in place:
        raise ConfigError(f"`xtrader {command}` works on directories: `xtrader sync {place} DIR` brings the recording into one")


def _near(directory: Path) -> str:
    """What recordings lie in a directory."""
    beside = sorted(directory.iterdir()) if directory.is_dir() else []
    found = [f"'{one}'" for one in beside if (one / "_manifest").is_dir() or (one / ".journal").is_dir()][:6]
    return f"; there is one in {', '.join(found)}" if found else ""


def _uploaded_to(directory: Path) -> list[str]:
    """The stores that parts of a directory went to."""
    from xtrader.sinks.manifest import DIRECTORY
    from xtrader.sinks.uploaded import progress_of

    beside = sorted((directory / DIRECTORY).glob(".*.uploaded"))
    found = [progress_of(directory, path.name.removeprefix(".").removesuffix(".uploaded")) for path in beside]
    return [one.url for one in found if one is not None]
