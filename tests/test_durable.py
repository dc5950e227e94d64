"""Small files that nothing else can replace survive the damage of any one of their bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtrader.durable import keep_file, kept_file
from xtrader.pipeline.cursors import largest_cursor, read_cursor, write_cursor
from xtrader.settings.directories import collector_id
from xtrader.settings.load import load
from xtrader.sinks.questdb import sink_state
from xtrader.sinks.uploaded import UploadProgress, progress_file, progress_of


@settings(deadline=None, max_examples=300)
@given(content=st.binary(max_size=40), data=st.data())
def test_what_is_kept_is_read_whichever_byte_was_damaged(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("kept") / "file"
    keep_file(path, content)
    whole = path.read_bytes()
    assert kept_file(path) == content
    place = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :])
    assert kept_file(path) == content


@given(content=st.binary(max_size=60))
def test_a_file_of_an_older_version_is_read_as_it_is(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("kept") / "file"
    path.write_bytes(content)
    assert kept_file(path) == content


def test_a_cursor_of_an_older_version_is_read_and_one_without_a_number_is_none(tmp_path: Path) -> None:
    path = tmp_path / "parquet.cursor"
    path.write_bytes(b"1795219200000000000\n")
    assert read_cursor(tmp_path, "parquet") == largest_cursor(tmp_path) == 1_795_219_200_000_000_000
    path.write_bytes(b"179521x200000000000\n")
    assert read_cursor(tmp_path, "parquet") is None
    assert largest_cursor(tmp_path) == 0


def damaged(path: Path, place: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


def test_no_state_of_a_sink_or_recorder_hangs_on_one_byte(tmp_path: Path) -> None:
    write_cursor(tmp_path, "parquet", 1_795_219_200_000_000_096)
    progress = UploadProgress("s3://bucket", 1_795_219_200_000_000_096)
    uploaded = progress_file(tmp_path, "c1")
    uploaded.parent.mkdir()
    memory = sink_state.Progressed(offset=96, http_seen=True, books={"OKX@A": ([(1.0, 2.0)], [])})
    wanted = load({"output_directory": str(tmp_path / "data")}, {"XTRADER_JOURNAL_DIRECTORY": str(tmp_path)}, None)
    name = collector_id(wanted)
    for place in range(17):
        keep_file(uploaded, b'{"url":"s3://bucket","offset":1795219200000000096}')
        sink_state.save(tmp_path / "questdb.state", memory)
        for path in (uploaded, tmp_path / "questdb.state", tmp_path / "collector", tmp_path / "parquet.cursor"):
            before = path.read_bytes()
            damaged(path, place)
            assert progress_of(tmp_path, "c1") == progress
            assert sink_state.load(tmp_path / "questdb.state") == memory
            assert collector_id(wanted) == name
            assert read_cursor(tmp_path, "parquet") == 1_795_219_200_000_000_096
            path.write_bytes(before)
