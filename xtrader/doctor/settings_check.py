"""Whether the settings mean what their author thinks, and whether others can read the secrets in them.

The rule: settings that cannot be used at all are an error long before this.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.settings.load import Settings, Sources, secret_names

OTHERS = stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH
ABOUT = "settings"


def examine_settings(settings: Settings, sources: Sources) -> Iterator[Diagnosis]:
    """What is odd about the settings, and who else can read their files."""
    for sentence in settings.warnings:
        yield warning(ABOUT, sentence, "`xtrader config show` says which settings hold, and where each comes from")
    if not settings.subscriptions.strip():
        yield warning(ABOUT, "there are no subscriptions, so no venue is examined", "give --subscriptions, or set SUBSCRIPTIONS")
    if settings.raw_directory is not None and settings.raw_directory == settings.output_directory:
        yield warning(ABOUT, "raw bytes go to the directory of the Parquet files", "name another XTRADER_RAW_DIRECTORY")
    found = [finding for layer in sources.layers if layer.file is not None for finding in examine_file(layer.file, layer.texts)]
    yield from found
    if not found and not settings.warnings:
        yield ok(ABOUT, "can all be used; no secret lies in a file that others can read")


def examine_file(path: Path, texts: Mapping[str, str]) -> Iterator[Diagnosis]:
    """A file of settings: if there are secrets in it, nobody else may read it."""
    secrets = sorted(name for name in secret_names() if texts.get(name))
    if not secrets:
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    words = f"'{path}' holds {', '.join(secrets)} and has mode {mode:04o}"
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        yield wrong(
            ABOUT,
            f"{words}: everybody on this machine can read it",
            f"chmod 600 '{path}', and change the secrets if others use this machine",
        )
    elif mode & OTHERS:
        yield warning(ABOUT, f"{words}: its group can read it", f"chmod 600 '{path}', unless the group is meant to")
