"""Parts in an object store: the bucket is the truth, each thing is there once, and nothing is lost on the way there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import xtrader
from tests import objectstore
from tests.objectstore import KEYS, Refusal, Road, Store
from tests.pipeline.numbered import trade, update
from tests.pipeline.parts import manifest, part_paths, read_trades, read_updates
from tests.sinks.contract import SESSION, feed
from tests.waiting import wait_until
from xtrader.errors import ConfigError
from xtrader.pauses import ENDING
from xtrader.sinks import uploads
from xtrader.sinks.object_sink import ObjectSink
from xtrader.sinks.uploaded import require_parts
from xtrader.store.mend.compact import compact

PERIOD = 96


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    yield from objectstore.server()


@pytest.fixture
def road(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Road]:
    found = Road(store.port)
    for name, value in (KEYS | {"AWS_ENDPOINT_URL": found.url}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(uploads, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(uploads, "LONGEST_PAUSE", 0.1)
    yield found
    found.close()


@pytest.fixture
def bucket(store: Store, road: Road, request: pytest.FixtureRequest) -> str:
    return store.make_bucket("bucket-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12])


def opened(directory: Path, bucket: str, cursor: int = 8, *, keep_local: bool = False) -> ObjectSink:
    sink = ObjectSink(directory, "c1", f"s3://{bucket}/a/b", keep_local=keep_local)
    sink.open(cursor)
    sink.write(SESSION)
    return sink


def commit(sink: ObjectSink, number: int) -> None:
    """The commit of the journal's stretch `number`: two parts with ten rows each."""
    feed(sink, [maker(10 * number + one) for one in range(10) for maker in (update, trade)])
    sink.commit(8 + number * PERIOD, 8 + (number + 1) * PERIOD)


def settled(sink: ObjectSink, commits: int) -> bool:
    end = 8 + commits * PERIOD
    return sink.settle(end, final=False) == end


def check(store: Store, bucket: str, directory: Path, commits: int) -> None:
    """The bucket alone is the recording: whole, each thing written once, its list the very bytes of the local one."""
    assert set(store.versions(bucket).values()) == {1}
    found = store.fetch(bucket, "a/b", directory / "fetched")
    assert read_updates(found) == [update(number) for number in range(10 * commits)]
    assert read_trades(found) == [trade(number) for number in range(10 * commits)]
    for line in manifest(found):
        assert hashlib.sha256((found / line["path"]).read_bytes()).hexdigest() == line["sha256"]
    lists = [place / "_manifest" / "c1.jsonl" for place in (directory, found)]
    assert lists[0].read_bytes() == lists[1].read_bytes()
    assert xtrader.open(f"s3://{bucket}/a/b").trades().to_arrow().num_rows == 10 * commits


def test_finished_parts_and_their_lists_are_in_the_bucket(store: Store, bucket: str, tmp_path: Path) -> None:
    sink = opened(tmp_path, bucket, keep_local=True)
    for number in range(3):
        commit(sink, number)
    wait_until(lambda: settled(sink, 3))
    sink.close()
    check(store, bucket, tmp_path, 3)
    assert len(part_paths(tmp_path, "L2")) == len(part_paths(tmp_path, "TRADES")) == 3


def test_local_copies_and_their_directories_go_once_they_are_in_the_bucket(store: Store, bucket: str, tmp_path: Path) -> None:
    sink = opened(tmp_path, bucket)
    commit(sink, 0)
    wait_until(lambda: settled(sink, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["_manifest"]
    commit(sink, 1)
    wait_until(lambda: settled(sink, 2))
    assert not [*part_paths(tmp_path, "L2"), *part_paths(tmp_path, "TRADES")]
    sink.close()
    check(store, bucket, tmp_path, 2)


@pytest.mark.parametrize("keep_local", [True, False])
def test_a_damaged_list_stops_no_upload(store: Store, bucket: str, tmp_path: Path, keep_local: bool) -> None:
    sink = opened(tmp_path, bucket, keep_local=keep_local)
    for number in range(2):
        commit(sink, number)
    wait_until(lambda: settled(sink, 2))
    sink.close()
    path = tmp_path / "_manifest" / "c1.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] + b"~" + whole[-99:])
    sink = opened(tmp_path, bucket, 8 + 2 * PERIOD, keep_local=keep_local)
    commit(sink, 2)
    wait_until(lambda: settled(sink, 3))
    sink.close()
    found = store.fetch(bucket, "a/b", tmp_path / "fetched")
    assert set(store.versions(bucket).values()) == {1}
    assert len(part_paths(found, "TRADES")) == len(part_paths(found, "L2")) == 3
    assert xtrader.open(f"s3://{bucket}/a/b").trades().to_arrow().num_rows == 30


def test_while_the_store_is_away_parts_are_made_and_kept_and_afterwards_all_are_there(
    store: Store, road: Road, bucket: str, tmp_path: Path
) -> None:
    sink = opened(tmp_path, bucket)
    commit(sink, 0)
    wait_until(lambda: settled(sink, 1))
    road.close()
    for number in (1, 2):
        commit(sink, number)
    wait_until(lambda: sink.trouble)
    assert sink.settle(8 + 3 * PERIOD, final=False) == 8 + PERIOD
    assert len(part_paths(tmp_path, "L2")) == 2
    road.open()
    wait_until(lambda: settled(sink, 3) and not sink.trouble)
    sink.close()
    check(store, bucket, tmp_path, 3)


def test_answers_that_are_lost_and_slow_write_nothing_twice(store: Store, road: Road, bucket: str, tmp_path: Path) -> None:
    sink = opened(tmp_path, bucket)
    road.delay = 0.02
    for number in range(4):
        road.answers_to_lose = 2
        commit(sink, number)
        wait_until(lambda number=number: settled(sink, number + 1))
    sink.close()
    assert road.answers_to_lose == 0
    check(store, bucket, tmp_path, 4)


def test_a_foreign_object_is_left_alone_told_and_holds_only_its_own_commit_up(store: Store, bucket: str, tmp_path: Path) -> None:
    sink = opened(tmp_path, bucket)
    commit(sink, 0)
    wait_until(lambda: settled(sink, 1))
    name = manifest(tmp_path)[0]["path"].replace(f"{8:020d}-{8 + PERIOD:020d}", f"{8 + PERIOD:020d}-{8 + 2 * PERIOD:020d}")
    store.client.put_object(Bucket=bucket, Key=f"a/b/{name}", Body=b"foreign")
    for number in (1, 2):
        commit(sink, number)
    third = f"a/b/_manifest/c1/{8 + 2 * PERIOD:020d}-{8 + 3 * PERIOD:020d}.jsonl"
    wait_until(lambda: third in store.versions(bucket))
    wait_until(lambda: "is there with another content" in sink.trouble)
    assert sink.settle(8 + 3 * PERIOD, final=False) == 8 + PERIOD
    assert store.client.get_object(Bucket=bucket, Key=f"a/b/{name}")["Body"].read() == b"foreign"
    (version,) = store.client.list_object_versions(Bucket=bucket, Prefix=f"a/b/{name}")["Versions"]
    store.client.delete_object(Bucket=bucket, Key=f"a/b/{name}", VersionId=version["VersionId"])
    wait_until(lambda: settled(sink, 3) and not sink.trouble)
    sink.close()
    check(store, bucket, tmp_path, 3)


def half_uploaded(directory: Path, bucket: str, road: Road, *, keep_local: bool) -> None:
    """Four commits by a sink that has ended: the first two are in the store, then the road to it was closed."""
    sink = opened(directory, bucket, keep_local=keep_local)
    for number in (0, 1):
        commit(sink, number)
    wait_until(lambda: settled(sink, 2))
    road.close()
    for number in (2, 3):
        commit(sink, number)
    sink.close()


@pytest.mark.parametrize("keep_local", [True, False])
@pytest.mark.parametrize("forgotten", ["nothing", "progress", "cursor", "both"])
def test_a_new_process_goes_on_where_a_killed_one_was(
    store: Store, road: Road, bucket: str, tmp_path: Path, forgotten: str, keep_local: bool
) -> None:
    half_uploaded(tmp_path, bucket, road, keep_local=keep_local)
    road.open()
    if forgotten in ("progress", "both"):
        (tmp_path / "_manifest" / ".c1.uploaded").unlink()
    cursor = 8 if forgotten in ("cursor", "both") else 8 + 2 * PERIOD
    again = ObjectSink(tmp_path, "c1", f"s3://{bucket}/a/b", keep_local=keep_local)
    assert again.open(cursor) == 8 + 3 * PERIOD
    again.write(SESSION)
    for number in (3, 4):
        commit(again, number)
    wait_until(lambda: settled(again, 5))
    again.close()
    check(store, bucket, tmp_path, 5)
    assert len(part_paths(tmp_path, "L2")) == (5 if keep_local else 0)


def test_a_list_that_lost_its_last_lines_is_completed_before_it_is_uploaded(
    store: Store, road: Road, bucket: str, tmp_path: Path
) -> None:
    first = opened(tmp_path, bucket)
    road.close()
    for number in (0, 1):
        commit(first, number)
    first.close()
    road.open()
    path = tmp_path / "_manifest" / "c1.jsonl"
    path.write_bytes(path.read_bytes()[:-100])
    again = opened(tmp_path, bucket)
    commit(again, 1)
    wait_until(lambda: settled(again, 2))
    again.close()
    check(store, bucket, tmp_path, 2)


def test_parts_that_are_lost_or_damaged_are_told_and_not_passed_off_as_good(
    store: Store, road: Road, bucket: str, tmp_path: Path
) -> None:
    sink = opened(tmp_path, bucket)
    road.close()
    commit(sink, 0)
    (path,) = part_paths(tmp_path, "TRADES")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    road.open()
    wait_until(lambda: "is damaged" in sink.trouble)
    path.unlink()
    wait_until(lambda: "neither here nor in" in sink.trouble)
    assert not [key for key in store.versions(bucket) if "_manifest" in key]
    path.write_bytes(content)
    wait_until(lambda: settled(sink, 1))
    sink.close()
    check(store, bucket, tmp_path, 1)


def test_what_was_recorded_before_the_upload_was_asked_for_is_uploaded_too(store: Store, bucket: str, tmp_path: Path) -> None:
    elsewhere = opened(tmp_path, store.make_bucket("another-" + bucket), keep_local=True)
    for number in range(2):
        commit(elsewhere, number)
    wait_until(lambda: settled(elsewhere, 2))
    elsewhere.close()
    sink = opened(tmp_path, bucket, 8 + 2 * PERIOD, keep_local=True)
    commit(sink, 2)
    wait_until(lambda: settled(sink, 3))
    sink.close()
    check(store, bucket, tmp_path, 3)


def test_the_last_commit_is_waited_for(store: Store, bucket: str, tmp_path: Path) -> None:
    sink = opened(tmp_path, bucket)
    commit(sink, 0)
    assert sink.settle(8 + PERIOD, final=True) == 8 + PERIOD
    sink.close()
    check(store, bucket, tmp_path, 1)


def test_parts_are_merged_only_when_the_store_has_them_and_what_was_merged_before_is_no_upload(
    store: Store, road: Road, bucket: str, tmp_path: Path
) -> None:
    half_uploaded(tmp_path, bucket, road, keep_local=True)
    assert compact(tmp_path).merged == 4
    require_parts(tmp_path, "c1", f"s3://{bucket}/a/b")
    road.open()
    sink = opened(tmp_path, bucket, 8 + 2 * PERIOD, keep_local=True)
    commit(sink, 3)
    wait_until(lambda: settled(sink, 4))
    sink.close()
    check(store, bucket, tmp_path, 4)
    assert compact(tmp_path).merged == 6
    with pytest.raises(ConfigError, match="compacted before its parts were uploaded to s3://another/a"):
        require_parts(tmp_path, "c1", "s3://another/a")


def test_a_store_that_refuses_everything_is_asked_every_half_second_while_the_run_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Refusal()
    for name, value in (KEYS | {"AWS_ENDPOINT_URL": refusal.url}).items():
        monkeypatch.setenv(name, value)
    with capture_logs() as said:
        sink = opened(tmp_path, "refused")
        for number in range(3):
            commit(sink, number)
        before = refusal.requests
        assert not sink._uploads.finish(3.0)
        asked = refusal.requests - before
        sink.close()
    refusal.shutdown()
    assert 1 <= asked <= 3.0 / ENDING + 2
    pauses = [line["seconds"] for line in said if line["event"] == "upload_waits"]
    assert pauses[-1] == ENDING
    assert len(pauses) >= refusal.requests - 1


def test_a_store_that_refuses_a_part_is_not_asked_to_take_all_the_others_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Refusal(but="HEAD")
    for name, value in (KEYS | {"AWS_ENDPOINT_URL": refusal.url}).items():
        monkeypatch.setenv(name, value)
    sink = opened(tmp_path, "refused")
    feed(sink, [trade(number, f"OKX_SWAP@X{number}-USDT-SWAP") for number in range(100)])
    sink.commit(8, 8 + PERIOD)
    wait_until(lambda: sink.trouble)
    sink.close()
    refusal.shutdown()
    assert "AccessDenied" in sink.trouble
    assert refusal.requests <= 3 * uploads.AT_ONCE
