"""Merging in an object store: the rows are the same at every instant, whatever kills it, and two never merge the same parts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import xtrader
from tests import objectstore
from tests.objectstore import Store
from tests.store import made
from tests.store.damage import parts
from tests.stores import put, reach
from xtrader.clock import SECOND
from xtrader.errors import ConfigError
from xtrader.sinks.bucket import Bucket
from xtrader.store.mend import compact_bucket as module
from xtrader.store.mend.compact import Outcome
from xtrader.store.mend.compact_bucket import RESTS, compact_bucket
from xtrader.store.prove import recording_files as files_module
from xtrader.store.prove.recording_files import BucketFiles, recording_files
from xtrader.store.prove.verify import verify
from xtrader.venues import rules

LATER = made.END + 2 * RESTS


class Killed(BaseException):
    """Nothing catches it."""


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    yield from objectstore.server()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("compact") / "rec"
    made.record(directory, seconds=60)
    return directory


@pytest.fixture
def url(recording: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    reach(store, monkeypatch)
    return put(recording, store, monkeypatch)


def run(url: str, now: int = LATER) -> Outcome:
    with recording_files(url) as files:
        assert isinstance(files, BucketFiles)
        return compact_bucket(files, now=now)


def rows(place: str | Path) -> list[Any]:
    data = xtrader.open(place)
    return [data.rows(stream).to_arrow() for stream in ("TRADES", "L2")]


def damage(url: str) -> list[str]:
    with recording_files(url) as files:
        return [f"{one.file}: {one.what}" for one in verify(files, rules, 1).findings if one.level == "damage"]


def held(store: Store, url: str) -> list[str]:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    pages = store.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/stream=")
    return [one["Key"] for page in pages for one in page.get("Contents", ())]


def test_the_rows_stay_the_same_in_fewer_parts_and_a_second_run_finds_nothing(url: str, recording: Path, store: Store) -> None:
    before = rows(recording)
    found = run(url)
    assert (found.problems, found.removed) == ([], 0)
    assert found.made < found.merged == len(parts(recording)) - 2
    assert rows(url) == before
    assert damage(url) == []
    assert len(held(store, url)) == found.made + 2
    assert run(url)[:2] == (0, 0)


def test_times_that_were_not_over_a_day_ago_are_left(url: str) -> None:
    assert run(url, made.END + RESTS // 2).merged == 0


def test_where_a_commit_is_missing_in_the_list_nothing_is_merged(url: str, store: Store) -> None:
    bucket = url.removeprefix("s3://").partition("/")[0]
    late = sorted(key for key in store.versions(bucket) if "/_manifest/" in key)[1]
    before = held(store, url)
    store.client.delete_object(Bucket=bucket, Key=late)
    with pytest.raises(ConfigError, match=r"_manifest/c1\.jsonl is damaged"):
        run(url)
    assert held(store, url) == before


@pytest.mark.parametrize("step", [2, 3])
def test_killed_at_any_instant_the_rows_are_there_once_and_the_next_run_ends_it(
    url: str, recording: Path, store: Store, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """An instant is before or after something was put or removed."""
    left = [step]

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Bucket, *arguments: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return method(self, *arguments)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(module, "AT_ONCE", 1)
        for name in ("put", "remove"):
            patch.setattr(Bucket, name, dying(getattr(Bucket, name)))
        with contextlib.suppress(Killed):
            run(url)
    assert rows(url) == rows(recording)
    assert damage(url) == []
    monkeypatch.setattr(module, "UPLOAD_SECONDS", 0.0)
    monkeypatch.setattr(files_module, "UPLOAD_SECONDS", 0.0)
    run(url)
    assert run(url)[:2] == (0, 0)
    assert rows(url) == rows(recording)
    assert damage(url) == []
    with recording_files(url) as files:
        notes = [one.what for one in verify(files, rules, 1).findings if "removed" in one.what]
    assert notes == []


def test_of_two_that_merge_at_once_one_stops_before_it_removes_anything(
    url: str, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has listed its parts, and not removed what they replace, when the first comes to list its own."""
    with recording_files(url) as mine, recording_files(url) as theirs:
        assert isinstance(mine, BucketFiles)
        assert isinstance(theirs, BucketFiles)
        lists, names = mine.read_lists(), mine.names()
        with monkeypatch.context() as patch:
            patch.setattr(module, "_remove", lambda files, paths: None)
            assert compact_bucket(theirs, every=120 * SECOND, now=LATER).made > 0
        monkeypatch.setattr(mine, "read_lists", lambda: lists)
        monkeypatch.setattr(mine, "names", lambda: names)
        with pytest.raises(ConfigError, match="somebody else merges parts of"):
            compact_bucket(mine, now=LATER)
    assert rows(url) == rows(recording)
    assert damage(url) == []
    assert run(url).removed > 0
    assert rows(url) == rows(recording)
