"""Nothing of a recording is written through a symbolic link that somebody put in the output directory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store import made
from tests.store.damage import parts
from xtrader.durable import replace_file
from xtrader.sinks.manifest import DIRECTORY, Manifest
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.sinks.refused import RefusedFile
from xtrader.sinks.unfinished import Unfinished
from xtrader.store.prove.lock import alone, shared

SECRET = b"not ours"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(SECRET)
    return path


def opens(root: Path) -> None:
    sink = ParquetSink(root, "c1")
    try:
        sink.open(0)
    finally:
        sink.close()


def holds(root: Path) -> None:
    with alone(root):
        pass


def shares(root: Path) -> None:
    with shared(root):
        pass


@pytest.mark.parametrize(
    ("name", "write"),
    [
        (f"{DIRECTORY}/.c1.lock", opens),
        (f"{DIRECTORY}/c1.jsonl", opens),
        (f"{DIRECTORY}/c1.jsonl", lambda root: Manifest(root / DIRECTORY / "c1.jsonl").append([])),
        (f"{DIRECTORY}/.store.lock", holds),
        (f"{DIRECTORY}/.store.lock", shares),
        (".journal/.cursor.tmp", lambda root: replace_file(root / ".journal" / "cursor", b"1")),
        ("_unfinished/c1/000001.tmp", lambda root: Unfinished(root, "c1").new().write_bytes(b"x")),
    ],
)
def test_a_planted_link_in_place_of_a_file_is_not_followed(
    tmp_path: Path, victim: Path, name: str, write: Callable[[Path], None]
) -> None:
    root = tmp_path / "data"
    for target in (victim, tmp_path / "not there"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)
        with contextlib.suppress(OSError):
            write(root)
    assert victim.read_bytes() == SECRET
    assert not (tmp_path / "not there").exists()


def test_a_planted_link_in_place_of_the_file_of_what_is_set_aside_gives_way_to_it(tmp_path: Path, victim: Path) -> None:
    victim.write_bytes(b'{"offset":8,"place":0}\n')
    for number, target in enumerate((victim, tmp_path / "not there")):
        path = tmp_path / "journal" / f"parquet-refused-{number}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(target)
        for _ in range(2):
            aside = RefusedFile(path, ("offset", "place"))
            aside.load()
            aside.add({"offset": 8, "place": 0, "reason": "odd"})
        assert path.read_bytes() == b'{"offset":8,"place":0,"reason":"odd"}\n'
        assert not path.is_symlink()
    assert victim.read_bytes() == b'{"offset":8,"place":0}\n'
    assert not (tmp_path / "not there").exists()


def test_a_link_that_comes_after_the_file_was_read_is_not_followed_either(tmp_path: Path, victim: Path) -> None:
    aside = RefusedFile(tmp_path / "parquet-refused.jsonl", ("offset",))
    aside.load()
    aside.path.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        aside.add({"offset": 8})
    assert victim.read_bytes() == SECRET


@pytest.mark.parametrize("name", [DIRECTORY, "_unfinished", "_unfinished/c1", "stream=L2", "stream=TRADES/exchange=OKX_SWAP"])
def test_a_planted_link_in_place_of_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    root, outside = tmp_path / "data", tmp_path / "outside"
    outside.mkdir()
    (root / name).parent.mkdir(parents=True)
    (root / name).symlink_to(outside)
    with pytest.raises(OSError, match="nothing of a recording is written through one"):
        made.record(root)
    assert list(outside.iterdir()) == []


def test_a_planted_link_in_place_of_a_part_is_replaced_by_the_part(tmp_path: Path, victim: Path) -> None:
    made.record(tmp_path / "first")
    name = parts(tmp_path / "first")[0].relative_to(tmp_path / "first")
    planted = tmp_path / "second" / name
    planted.parent.mkdir(parents=True)
    planted.symlink_to(victim)
    made.record(tmp_path / "second")
    assert victim.read_bytes() == SECRET
    assert planted.read_bytes() == (tmp_path / "first" / name).read_bytes()
    assert not planted.is_symlink()
