"""How far a collector's parts are in a bucket, as it is kept beside the manifest.

The rule: what is not known to be there is taken as not there.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from xtrader.durable import kept_file
from xtrader.errors import ConfigError
from xtrader.sinks.manifest import COMPACTED, DIRECTORY, readable


class UploadProgress(msgspec.Struct, frozen=True):
    """What is known to be in the bucket: all that is made of the journal below `offset`."""

    url: str
    offset: int = 0


def progress_file(directory: Path, collector: str) -> Path:
    """Where it is kept."""
    return directory / DIRECTORY / f".{collector}.uploaded"


def progress_of(directory: Path, collector: str) -> UploadProgress | None:
    """What is kept of a collector's uploads; None if there never were any. Raises OSError."""
    try:
        return msgspec.json.decode(kept_file(progress_file(directory, collector)), type=UploadProgress)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def require_parts(directory: Path, collector: str, url: str) -> None:
    """Raise ConfigError if parts that are still to be uploaded to `url` were merged into others, under other names."""
    known = progress_of(directory, collector)
    offset = known.offset if known is not None and known.url == url else 0
    merged = directory / DIRECTORY / f"{collector}{COMPACTED}"
    if merged.exists() and any(line.last_offset > offset for line in readable(merged.read_bytes())):
        raise ConfigError(
            f"'{directory}' was compacted before its parts were uploaded to {url}: record into a new output directory, "
            "and copy this one into the store by hand"
        )
