"""What a run needs of its directories: that they can be written to, and the collector's name that is kept in one of them.

Rule: what cannot work is told before anything is recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import tempfile
from pathlib import Path

from xtrader.durable import keep_file, kept_file, make_directory
from xtrader.errors import ConfigError, StorageError
from xtrader.settings.load import Settings

KEPT_COLLECTOR = re.compile(r"[a-z0-9-]{1,64}")


def check_directories(settings: Settings) -> None:
    """Make the directories that a recording writes to; raise ConfigError where that, or a first file, is impossible."""
    wanted = {
        "output directory": settings.output_directory if settings.writes_files else None,
        "journal directory": settings.journal_directory,
        "raw directory": settings.raw_directory,
        "directory of the log file": None if settings.log_to is None else Path(settings.log_to[0]).parent,
    }
    made: list[Path] = []
    try:
        for what, path in wanted.items():
            if path is not None:
                made += [one for one in (path, *path.parents) if not one.exists()]
                check_writable(what, path)
    except ConfigError:
        # Nothing is recorded, so nothing is left behind.
        for path in sorted(made, key=lambda one: len(one.parts), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def check_writable(what: str, path: Path) -> None:
    """Make a directory and try a file in it; raises ConfigError, which calls the directory `what`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ConfigError(f"cannot write to the {what} '{path}': {error.strerror or error}") from None


def collector_id(settings: Settings) -> str:
    """The name under which this collector publishes files; kept beside the journal, because file names are made of both.

    The first run takes the user's id, or makes one of host name and journal directory, so that two recorders with journals of
    their own can write to one output directory. Later runs read it, so a container that gets another host name goes on under its
    first name. Raises ConfigError if the user asks for another id than the
    journal has, StorageError if it cannot be kept.
    """
    kept = settings.journal_directory / "collector"
    found = kept_collector(settings.journal_directory)
    if found:
        if settings.collector is not None and settings.collector != found:
            raise ConfigError(
                f"the journal '{settings.journal_directory}' belongs to collector '{found}', not to '{settings.collector}'; "
                "keep that id or use another journal directory"
            )
        return found
    # The usual place of a journal is in its output directory: that one's name stays when the journal is removed.
    usual = settings.writes_files and settings.journal_directory == settings.output_directory / ".journal"
    place = settings.output_directory if usual else settings.journal_directory
    chosen = settings.collector or _derived_collector(place)
    try:
        make_directory(kept.parent)
        keep_file(kept, chosen.encode())
    except OSError as error:
        raise StorageError(kept, error) from error
    return chosen


def kept_collector(journal: Path) -> str:
    """The collector that a journal belongs to; empty if none is known. Raises OSError."""
    kept = journal / "collector"
    found = kept_file(kept).decode(errors="replace").strip() if kept.exists() else ""
    return found if KEPT_COLLECTOR.fullmatch(found) else ""


def _derived_collector(directory: Path) -> str:
    host = socket.gethostname()
    digest = hashlib.sha256(f"{host}\n{directory.resolve()}".encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:20].rstrip("-") or "host"
    return f"{slug}-{digest}"
