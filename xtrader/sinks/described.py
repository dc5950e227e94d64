"""One part as it lies in the directory: what its path says of it, and what its manifest line must say.

The rule: a file is read group by group with its page checksums verified; no file is held in memory whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xtrader.durable import link_below
from xtrader.records.schemas import SCHEMAS, is_known, lacking, widened
from xtrader.sinks.manifest import ManifestLine, Told, is_path
from xtrader.sinks.parts import settings_of

NAME: Final = re.compile(
    r"part-(?P<collector>[a-z0-9-]+?)-(?P<first>\d{20})-(?P<last>\d{20})(?P<made>-salvaged\d*|-cut\d*)?\.parquet"
)
SALVAGED: Final = "-salvaged"
CUT: Final = "-cut"
UNREADABLE: Final = (pa.ArrowException, OSError, ValueError, KeyError)


class PartPath(NamedTuple):
    """What the path of a part says. `first` and `last` are journal offsets; `is_cut`: it takes the place of one part, of whose rows
    other collectors have some."""

    stream: str
    key: str
    date: str
    collector: str
    first: int
    last: int
    is_cut: bool = False

    def holds(self, first: int, last: int) -> bool:
        """True if the stretch [first, last) of the journal lies within its own."""
        return self.first <= first and last <= self.last


def place_of(path: str) -> PartPath | None:
    """What a path relative to the data directory says; None if it is not the path of a part."""
    if not is_path(path):
        return None
    parts = PurePosixPath(path).parts
    pairs = [part.partition("=") for part in parts[:4]]
    name = NAME.fullmatch(parts[4])
    if name is None or [pair[0] for pair in pairs] != ["stream", "exchange", "instrument", "date"]:
        return None
    stream, exchange, symbol, date = (unquote(pair[2]) for pair in pairs)
    is_cut = (name["made"] or "").startswith(CUT)
    return PartPath(stream, f"{exchange}@{symbol}", date, name["collector"], int(name["first"]), int(name["last"]), is_cut)


class Ranges:
    """First and last times and sequences of tables taken in order, and how many rows they have."""

    def __init__(self) -> None:
        self.rows = 0
        self.found: dict[str, tuple[int, int]] = {}

    def add(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        for name in ("ts_recv", "ts_event"):
            if name in table.column_names:
                ends = pc.min_max(table[name].cast(pa.int64())).as_py()
                if ends["min"] is not None:
                    low, high = self.found.get(name, (ends["min"], ends["max"]))
                    self.found[name] = (min(low, ends["min"]), max(high, ends["max"]))
        if "sequence" in table.column_names:
            known = table["sequence"].drop_null()
            if len(known):
                self.found["sequence"] = (self.found.get("sequence", (known[0].as_py(), 0))[0], known[-1].as_py())

    def ends(self, name: str) -> tuple[int | None, int | None]:
        return self.found.get(name, (None, None))

    def differing(self, line: ManifestLine) -> list[str]:
        """The fields of a manifest line that say something else."""
        true: dict[str, object] = {"rows": self.rows}
        for name in ("ts_recv", "ts_event", "sequence"):
            true[f"first_{name}"], true[f"last_{name}"] = self.ends(name)
        return [name for name, value in true.items() if getattr(line, name) != value]


def read_groups(path: Path, stream: str) -> Iterator[Any]:
    """The row groups of a part of a stream as tables, in order. Raises one of UNREADABLE where a page does not match its
    checksum, the columns are not those of the stream, or one that has a value in each row has not."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        if not is_known(file.schema_arrow, stream):
            raise ValueError(f"does not have the columns of {stream}")
        for group in range(file.num_row_groups):
            table = widened(file.read_row_group(group), stream, SCHEMAS[stream].names)
            if (name := lacking(table, stream)) is not None:
                raise ValueError(f"it has rows without {name}")
            yield table


def metadata_of(path: Path) -> dict[str, str]:
    """The `xtrader.` metadata of a part, names without that. Raises one of UNREADABLE."""
    with pq.ParquetFile(path) as file:
        raw = file.metadata.metadata or {}
    found = {name.decode(): value.decode() for name, value in raw.items()}
    return {name.removeprefix("xtrader."): value for name, value in found.items() if name.startswith("xtrader.")}


def first_line(error: BaseException) -> str:
    """What an error says, without what pyarrow adds below."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def misled(root: Path, path: str) -> str | None:
    """What keeps a path below `root` from being that of a file of the recording, whatever the file holds; None if nothing does.
    The recorder makes no symbolic links: behind one lies what is somebody else's."""
    link = link_below(root, Path(path))
    if link is not None:
        return f"is behind a symbolic link, '{link}', which a recording has none of"
    return "is not a file" if (root / path).exists() and not (root / path).is_file() else None


def digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def misplaced(line: ManifestLine) -> str | None:
    """What shows that a line contradicts its own path."""
    place = place_of(line.path)
    if place is None:
        return f"lists '{line.path}', which is not the path of a part"
    if (place.stream, place.key, place.first, place.last) != (line.stream, line.instrument, line.first_offset, line.last_offset):
        return f"says of '{line.path}' another stream, instrument or offsets than its path"
    return None


def describe(root: Path, path: str, coverage: tuple[Told, ...] = (), replaces: tuple[str, ...] = ()) -> ManifestLine:
    """The manifest line of a part, made from the file. Raises one of UNREADABLE if any of it is damaged."""
    place = place_of(path)
    if place is None:
        raise ValueError(f"{path} is not a part")
    ranges = Ranges()
    for table in read_groups(root / path, place.stream):
        ranges.add(table)
    facts = metadata_of(root / path)
    recv, event, sequence = (ranges.ends(name) for name in ("ts_recv", "ts_event", "sequence"))
    return ManifestLine(
        path=path,
        stream=place.stream,
        instrument=place.key,
        rows=ranges.rows,
        bytes=(root / path).stat().st_size,
        sha256=digest(root / path),
        first_ts_recv=recv[0],
        last_ts_recv=recv[1],
        first_ts_event=event[0],
        last_ts_event=event[1],
        first_sequence=sequence[0],
        last_sequence=sequence[1],
        first_offset=place.first,
        last_offset=place.last,
        schema_version=int(facts["schema_version"]),
        software=facts["software"],
        settings=settings_of(facts),
        coverage=coverage,
        replaces=replaces,
    )
