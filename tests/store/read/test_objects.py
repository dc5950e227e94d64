"""A recording on an object store is read like one in a directory: over HTTP from a real S3 server, and through fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

import xtrader
from tests import objectstore
from tests.pipeline.numbered import load
from tests.store.recordings import record

KEY = "OKX_SWAP@SYM0-USDT-SWAP"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("objects"), load(600, instruments=2), rotate_seconds=0.1)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The endpoint of an S3 server of our own; the usual variables lead to it."""
    for store in objectstore.server():
        for name, value in (objectstore.KEYS | {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": store.url}).items():
            monkeypatch.setenv(name, value)
        yield store.url


def test_a_recording_in_a_bucket_is_read_by_its_url(server: str, directory: Path) -> None:
    from pyarrow import fs

    store = fs.S3FileSystem(endpoint_override=server, region="eu-west-1", allow_bucket_creation=True)
    store.create_dir("bucket")
    fs.copy_files(str(directory), "bucket/recordings/one", destination_filesystem=store)
    local = xtrader.open(directory)
    remote = xtrader.open(f"s3://bucket/recordings/one?region=eu-west-1&endpoint_override={server}")
    assert remote.trades().to_arrow().equals(local.trades().to_arrow())
    assert list(remote.replay(KEY)) == list(local.replay(KEY))
    assert xtrader.open("s3://bucket/recordings/one").book_updates(KEY).to_arrow() == local.book_updates(KEY).to_arrow()


def test_a_recording_is_read_from_any_file_system_of_fsspec(directory: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(directory), "/recordings/one", recursive=True)
    local = xtrader.open(directory)
    try:
        for remote in (xtrader.open("memory://recordings/one"), xtrader.open("/recordings/one", filesystem=memory)):
            assert remote.trades().to_arrow().equals(local.trades().to_arrow())
            assert list(remote.replay(KEY)) == list(local.replay(KEY))
    finally:
        memory.rm("/recordings", recursive=True)
