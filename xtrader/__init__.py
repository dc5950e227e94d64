"""xtrader: a market-data recorder whose recordings can be proven complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from xtrader.store.read.dataset import Dataset

__version__ = "0.1.0"


def open(*places: str | Path, filesystem: Any = None, journal: str | Path | None = None) -> Dataset:
    """A recording as a data set.

    `places` are directories or URLs (`s3://bucket/prefix`, whatever pyarrow or fsspec reads); several are read as one recording,
    as are several collectors in one place: what they recorded twice is there once. `filesystem` (pyarrow's or fsspec's) is
    where the places are paths of. `journal` is where the live end of the recording lies if not in `.journal` of a local
    directory. Raises ConfigError if there is no recording, OSError.
    """
    from xtrader.store.read.dataset import open_dataset

    return open_dataset(*places, filesystem=filesystem, journal=journal)
