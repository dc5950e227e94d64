"""Random damage to a recording, of every kind that a disk, a copy or a person does. Each returns the file to blame."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from xtrader.sinks.described import describe
from xtrader.sinks.manifest import ManifestLine, seal, unseal

Damage = Callable[[Path, random.Random], Path]


def parts(root: Path) -> list[Path]:
    return sorted(root.glob("stream=*/**/*.parquet"))


def lists(root: Path) -> list[Path]:
    return sorted((root / "_manifest").glob("*.jsonl"))


def bit_flip(root: Path, chance: random.Random) -> Path:
    path = chance.choice(parts(root))
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return path


def lost_file(root: Path, chance: random.Random) -> Path:
    path = chance.choice(parts(root))
    path.unlink()
    return path


def truncated_file(root: Path, chance: random.Random) -> Path:
    path = chance.choice(parts(root))
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
    return path


def removed_rows(root: Path, chance: random.Random) -> Path:
    path = chance.choice(parts(root))
    table = pq.read_table(path, partitioning=None)
    first = chance.randrange(table.num_rows)
    rewrite(path, pa.concat_tables([table[:first], table[first + chance.randint(1, 5) :]]))
    return path


def swapped_rows(root: Path, chance: random.Random) -> Path:
    path = chance.choice([path for path in parts(root) if pq.read_metadata(path).num_rows > 1])
    table = pq.read_table(path, partitioning=None)
    order = list(range(table.num_rows))
    one, other = chance.sample(order, 2)
    order[one], order[other] = order[other], order[one]
    rewrite(path, table.take(order))
    return path


def rewrite(path: Path, table: Any) -> None:
    """Valid Parquet of the same kind."""
    schema = pq.read_schema(path)
    pq.write_table(table.cast(schema), path, compression="zstd", write_page_checksum=True)


def relist(directory: Path, *changed: Path) -> None:
    """A list that says of these parts what they hold now, sealed as if it had been written so."""
    (path,) = (directory / "_manifest").glob("*.jsonl")
    names = {one.relative_to(directory).as_posix() for one in changed}
    texts, before = [], 0
    for text in path.read_bytes().splitlines():
        line = msgspec.json.decode(unseal(text)[0], type=ManifestLine)
        line = describe(directory, line.path, line.coverage) if line.path in names else line
        sealed, before = seal(line, before)
        texts.append(sealed)
    path.write_bytes(b"".join(texts))


def edited_list(root: Path, chance: random.Random) -> Path:
    path = chance.choice(lists(root))
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    content[place] = chance.choice([byte for byte in b'0123456789abcxyz"{},:=\n' if byte != content[place]])
    path.write_bytes(content)
    return path


def removed_line(root: Path, chance: random.Random) -> Path:
    path = chance.choice(lists(root))
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    path.write_bytes(b"".join(lines))
    return path


def repeated_line(root: Path, chance: random.Random) -> Path:
    path = chance.choice(lists(root))
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    path.write_bytes(b"".join(lines))
    return path


def swapped_lines(root: Path, chance: random.Random) -> Path:
    path = chance.choice([path for path in lists(root) if path.read_bytes().count(b"\n") > 1])
    lines = path.read_bytes().splitlines(keepends=True)
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    path.write_bytes(b"".join(lines))
    return path


def cut_list(root: Path, chance: random.Random) -> Path:
    path = chance.choice(lists(root))
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
    return path


def lost_list(root: Path, chance: random.Random) -> Path:
    path = chance.choice(lists(root))
    path.unlink()
    return path


def foreign_file(root: Path, chance: random.Random) -> Path:
    path = chance.choice(parts(root)).parent / chance.choice(["notes.txt", "part-0.parquet", "copy.parquet"])
    path.write_bytes(chance.choice(parts(root)).read_bytes())
    return path


DAMAGES: Mapping[str, Damage] = {
    one.__name__: one
    for one in (
        bit_flip, lost_file, truncated_file, removed_rows, swapped_rows,
        edited_list, removed_line, repeated_line, swapped_lines, cut_list, lost_list, foreign_file,
    )
}  # fmt: skip
