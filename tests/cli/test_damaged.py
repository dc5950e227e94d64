"""Every command that reads a recording says of a damaged one in one sentence what is wrong, and never ends in a traceback."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import click
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog

import xtrader
from tests.store import made
from tests.store.damage import parts
from xtrader.cli.load import deliver, found
from xtrader.cli.main import main
from xtrader.errors import XTraderError
from xtrader.sinks.memory import MemorySink
from xtrader.sinks.refused import RefusedFile
from xtrader.store.prove.recording_files import RecordingFiles

KEY, DAY, AT = made.OKX, "2026-11-21", "2026-11-21T23:58:00Z"
LIST = "_manifest/c1.jsonl"
READERS: dict[str, Collection[str]] = {
    "L2": ("book", "plot", "load", "report", "replay"),
    "TRADES": ("trades", "plot", "load", "report", "replay"),
    "COVERAGE": ("book", "plot", "load", "report", "coverage"),
    "INSTRUMENTS": ("book", "trades", "plot", "load"),
}
"""The commands that need the damaged part of each stream."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "data"
    made.record(directory)
    return directory


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbled(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:8] + bytes(byte ^ 0x5A for byte in content[8:]))


def garbled_pages(path: Path) -> None:
    content = path.read_bytes()
    middle = len(content) // 3
    path.write_bytes(content[:4] + bytes(byte ^ 0x5A for byte in content[4:middle]) + content[middle:])


def no_parquet(path: Path) -> None:
    path.write_text("hello")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def missing(path: Path) -> None:
    path.unlink()


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link_to_itself(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(path.name)


def other_columns(path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2]}), path)


def other_types(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    place = table.schema.get_field_index("ts_recv")
    pq.write_table(table.set_column(place, "ts_recv", pa.array(["x"] * table.num_rows)), path)


def no_times(path: Path) -> None:
    table = pq.read_table(path, partitioning=None)
    place = table.schema.get_field_index("ts_recv")
    pq.write_table(table.set_column(place, "ts_recv", pa.nulls(table.num_rows, table.schema.field("ts_recv").type)), path)


PARTS = (truncated, garbled, garbled_pages, no_parquet, empty, missing, a_directory, a_pipe, a_link_to_itself, other_columns)
PARTS += (other_types, no_times)


def damaged_line(root: Path) -> None:
    lines = (root / LIST).read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:20] + b"\xff" + lines[1][21:]
    (root / LIST).write_bytes(b"".join(lines))


def binary_list(root: Path) -> None:
    (root / LIST).write_bytes(random.Random(1).randbytes(5000) + b"\n")


def lists_a_file(root: Path, path: Callable[[str], str]) -> None:
    lines = [msgspec.json.decode(text) for text in (root / LIST).read_bytes().splitlines()]
    lines[0]["path"] = path(lines[0]["path"])
    (root / LIST).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def an_absolute_path(root: Path) -> None:
    lists_a_file(root, lambda path: str(root / path))


def a_path_upwards(root: Path) -> None:
    lists_a_file(root, lambda path: f"stream=L2/../../{root.name}/{path}")


def a_path_with_nul(root: Path) -> None:
    lists_a_file(root, lambda path: f"{path}\0")


def no_list(root: Path) -> None:
    (root / LIST).unlink()


def a_file_for_the_lists(root: Path) -> None:
    shutil.rmtree(root / "_manifest")
    (root / "_manifest").write_text("x")


def a_link_for_the_lists(root: Path) -> None:
    a_link_to_itself(root / "_manifest")


LISTS = (damaged_line, binary_list, an_absolute_path, a_path_upwards, a_path_with_nul, no_list)
LISTS += (a_file_for_the_lists, a_link_for_the_lists)


def commands(root: Path) -> dict[str, Callable[[], int]]:
    """The commands by name, those that change the recording last; the data set's own ways to read stand beside them."""
    recording, day = str(root), ["--date", DAY]
    arguments = {
        "verify": ["verify", recording, "--workers", "1"],
        "coverage": ["coverage", recording, *day],
        "report": ["report", recording, *day, "--workers", "1"],
        "book": ["book", KEY, recording, "--at", AT],
        "trades": ["trades", KEY, recording, "--from", f"{DAY}T00:00:00Z"],
        "plot": ["plot", KEY, recording, "--output", str(root.parent / "plot.html")],
        "compact": ["compact", recording],
        "repair": ["repair", recording],
    }
    by_hand = {"load": lambda: _load(root), "replay": lambda: _replay(root)}
    return {name: partial(_said, read) for name, read in by_hand.items()} | {
        name: partial(main, words) for name, words in arguments.items()
    }


def _load(root: Path) -> None:
    sink = MemorySink()
    deliver(found(RecordingFiles(root), sink, RefusedFile(root.parent / "refused.jsonl", ("offset", "place"))), sink)


def _replay(root: Path) -> None:
    for _ in xtrader.open(root).replay():
        pass


def _said(read: Callable[[], object]) -> int:
    """As the command line says it."""
    try:
        read()
    except XTraderError as error:
        click.echo(f"xtrader: {error}", err=True)
        return error.exit_code
    return 0


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def codes(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """How each command ended. None says more than one sentence where it gives up."""
    ended = {}
    for name, run in commands(root).items():
        capsys.readouterr()
        ended[name] = run()
        structlog.reset_defaults()
        said = capsys.readouterr()
        assert ended[name] in (0, 1, 2), said.err
        assert "Traceback" not in said.err
        if ended[name] and name not in ("verify", "compact", "repair"):
            assert said.err.count("\n") == 1
            assert said.err.startswith("xtrader: ")
    return ended


@pytest.mark.parametrize(
    ("stream", "damage"),
    [("L2", damage) for damage in PARTS]
    + [(stream, damage) for stream in READERS if stream != "L2" for damage in (garbled, a_link_to_itself, other_types)],
)
def test_a_damaged_part_is_told_by_each_command_that_needs_it_and_disturbs_no_other(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stream: str, damage: Callable[[Path], None]
) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "data"))
    damage(next(path for path in parts(root) if f"stream={stream}" in str(path) and "OKX" in str(path) and DAY in str(path)))
    ended = codes(root, capsys)
    assert ended.pop("repair") in ((0, 1) if stream == "COVERAGE" else (1,))
    assert ended.pop("verify") == 2
    assert {name for name, code in ended.items() if code} - {"compact"} == set(READERS[stream])
    assert main(["verify", str(root), "--workers", "1"]) == 1


@pytest.mark.parametrize("damage", LISTS)
def test_a_damaged_list_is_told_by_every_command(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "data"))
    damage(root)
    ended = codes(root, capsys)
    repaired, compacted = ended.pop("repair"), ended.pop("compact")
    assert set(ended.values()) == {2}
    if (root / "_manifest").is_dir():
        assert (repaired, compacted) == (0, 0 if damage is no_list else 2)
        assert main(["verify", str(root), "--workers", "1"]) == 1
    else:
        assert (repaired, compacted) == (2, 2)


@pytest.mark.parametrize("where", ["stream=L2", "stream=L2/exchange=OKX_SWAP", "part"])
def test_what_lies_behind_a_symbolic_link_is_neither_read_nor_changed(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "data"))
    inside = next(path for path in parts(root) if "stream=L2" in str(path)) if where == "part" else root / where
    outside = tmp_path / "outside"
    shutil.move(inside, outside)
    inside.symlink_to(outside)
    before = {path: path.read_bytes() for path in [outside, *outside.rglob("*")] if path.is_file()}
    ended = codes(root, capsys)
    assert ended["verify"] == ended["load"] == ended["replay"] == 2
    assert {path: path.read_bytes() for path in [outside, *outside.rglob("*")] if path.is_file()} == before
    assert main(["verify", str(root), "--workers", "1"]) == 1
