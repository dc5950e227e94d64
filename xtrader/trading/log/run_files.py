"""The directory of a run: what it was made of, its log, and its report.

The rule: one directory is one run, its mode is in its path, and `manifest.json` is there before the first row.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec

from xtrader.durable import make_directory, replace_file
from xtrader.errors import ConfigError, DamagedFile
from xtrader.model.instrument import Instrument

MANIFEST: Final = "manifest.json"
REPORT: Final = "report.json"
LOG: Final = "log"
LIBRARIES: Final = ("msgspec", "numpy", "pyarrow")


class RunManifest(msgspec.Struct):
    """What a run is made of: all that is needed to decide it again. Times are int ns, `halted` and
    `stopped_until` what was latched before it began; `strategy` is a name or the path of a file,
    `strategy_text` the file as it was. `digest` and `ended` are filled in when it ends."""

    run: str
    mode: str
    created: str
    strategy: str
    strategy_hash: str
    params: Mapping[str, Any]
    instruments: Sequence[str]
    places: Sequence[str]
    start: int | None
    end: int | None
    capital: Mapping[str, str]
    fees: Mapping[str, str]
    attach_delay: int
    entry_delay: int
    response_delay: int
    delay_sigma: float
    queue: str
    seed: int
    limits: Mapping[str, str]
    limits_hash: str
    config_hash: str
    versions: Mapping[str, str]
    strategy_text: str = ""
    halted: str | None = None
    stopped_until: int | None = None
    tradeables: Sequence[Instrument] = ()
    """What was known of the instruments when a run with a clock began."""
    digest: str = ""
    ended: str = ""


def versions(product: str) -> dict[str, str]:
    """What a run depends on, by name."""
    found = {"xtrader": product, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def utc(ts: int) -> str:
    """A time in ns as ISO 8601 text to the second."""
    return datetime.fromtimestamp(ts // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_directory(root: Path, mode: str, name: str, now: int) -> Path:
    """A directory for a run that begins now, below `root`. Raises OSError."""
    make_directory(root / mode)
    stamp = datetime.fromtimestamp(now // 10**9, UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while True:
        path = root / mode / f"{stamp}-{name}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
            continue
        return path


def given_directory(path: Path, mode: str) -> Path:
    """The directory that a user names for a run. Raises ConfigError if there is something in it, OSError."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(f"'{path}' is not empty: a run needs a directory of its own")
    make_directory(path)
    return path


def save(directory: Path, manifest: RunManifest) -> None:
    """Write the manifest, in one step. Raises OSError."""
    replace_file(directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def load(directory: Path) -> RunManifest:
    """Raises ConfigError if there is no run in the directory, DamagedFile."""
    path = directory / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunManifest)
    except FileNotFoundError:
        raise ConfigError(f"'{directory}' is no directory of a run: it has no {MANIFEST}") from None
    except msgspec.MsgspecError as error:
        raise DamagedFile(path, f"is no manifest of a run: {error}") from error


def runs(root: Path) -> list[tuple[Path, RunManifest]]:
    """All runs below a directory, oldest first. Raises as load."""
    paths = [path.parent for path in root.glob(f"*/*/{MANIFEST}")]
    return sorted(((path, load(path)) for path in paths), key=lambda found: (found[1].created, str(found[0])))


def find_run(root: Path, name: str) -> Path:
    """The directory of the run that `name` means: a path, or the name of one below `root`, or its beginning. Raises ConfigError."""
    direct = Path(name)
    if (direct / MANIFEST).is_file():
        return direct
    found = [path for path, _ in runs(root)]
    same = [path for path in found if path.name == name] or [path for path in found if path.name.startswith(name)]
    if len(same) == 1:
        return same[0]
    if same:
        raise ConfigError(f"'{name}' may be {', '.join(path.name for path in same[:5])}: say which")
    last = ", ".join(path.name for path in found[-3:])
    raise ConfigError(f"there is no run '{name}' in '{root}'; " + (f"the last are {last}" if last else "there is none at all"))
