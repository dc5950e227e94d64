"""The bucket over HTTP: nothing is overwritten, and errors tell what is wrong without telling secrets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests import objectstore
from tests.objectstore import KEYS, Road, Store
from xtrader.errors import SinkRetry
from xtrader.sinks.bucket import Bucket, ObjectInTheWay, reason

NAME = "stream=L2/exchange=OKX_SPOT/instrument=a%2Fb%2520%3Dc%20d/date=2026-11-21/part.parquet"


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    yield from objectstore.server()


@pytest.fixture
def bucket(store: Store, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Bucket:
    for name, value in (KEYS | {"AWS_ENDPOINT_URL": store.url}).items():
        monkeypatch.setenv(name, value)
    name = "bucket-" + sha256(request.node.name.encode()).hexdigest()[:12]
    return Bucket(f"s3://{store.make_bucket(name)}/a/prefix")


def name_of(bucket: Bucket) -> str:
    return bucket.url.split("/")[2]


def holds(bucket: Bucket, content: bytes) -> bool:
    return bucket.holds(NAME, len(content), sha256(content).hexdigest())


def test_what_is_put_is_there_under_its_very_name(store: Store, bucket: Bucket) -> None:
    assert not holds(bucket, b"content")
    bucket.put(NAME, b"content")
    assert holds(bucket, b"content")
    assert store.versions(name_of(bucket)) == {f"a/prefix/{NAME}": 1}


def test_the_same_content_a_second_time_is_no_second_writing(store: Store, bucket: Bucket) -> None:
    for _ in range(2):
        bucket.put(NAME, b"content")
    assert store.versions(name_of(bucket)) == {f"a/prefix/{NAME}": 1}


@pytest.mark.parametrize("content", [b"Content", b"content of another length"])
def test_an_object_with_another_content_is_left_as_it_is(store: Store, bucket: Bucket, content: bytes) -> None:
    bucket.put(NAME, b"content")
    with pytest.raises(ObjectInTheWay, match=r"part\.parquet is there with another content"):
        bucket.put(NAME, content)
    with pytest.raises(ObjectInTheWay):
        holds(bucket, content)
    assert holds(bucket, b"content")
    assert store.versions(name_of(bucket)) == {f"a/prefix/{NAME}": 1}


def test_a_lost_answer_is_no_second_writing(store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    road = Road(store.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", road.url)
    road.answers_to_lose = 1
    with pytest.raises(SinkRetry):
        bucket.put(NAME, b"content")
    bucket.put(NAME, b"content")
    assert store.versions(name_of(bucket)) == {f"a/prefix/{NAME}": 1}
    road.close()


def test_a_server_that_does_not_answer_is_given_up(store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    road = Road(store.port)
    road.delay = 5
    monkeypatch.setenv("AWS_ENDPOINT_URL", road.url)
    with pytest.raises(SinkRetry, match="error"):
        Bucket(bucket.url, least_timeout=0.2).put(NAME, b"content")
    road.close()


def test_a_bucket_that_is_missing_is_named(bucket: Bucket) -> None:
    nowhere = Bucket("s3://no-such-bucket/a")
    for act in (lambda: nowhere.put(NAME, b""), lambda: nowhere.holds(NAME, 0, "")):
        with pytest.raises(SinkRetry, match=r"s3://no-such-bucket/a: NoSuchBucket: The specified bucket does not exist$"):
            act()


def test_without_boto3_the_variables_are_enough(store: Store, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    bucket.put(NAME, b"content")
    assert store.versions(name_of(bucket)) == {f"a/prefix/{NAME}": 1}


def test_a_profile_gives_the_credentials(store: Store, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").write_text("[desk]\naws_access_key_id = somebody\naws_secret_access_key = secret\n")
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "desk")
    bucket.put(NAME, b"content")
    assert store.versions(name_of(bucket)) == {f"a/prefix/{NAME}": 1}
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SinkRetry, match=r"no credentials: ProfileNotFound.*nobody"):
        Bucket(bucket.url).put(NAME, b"content")


def test_an_error_tells_no_token() -> None:
    answer = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message><Token-0>FwoGZXIvYXdz</Token-0>"
    error = ValueError(f"Generic S3 error: status code: 400 Bad Request: <?xml?>\n{answer}</Error>\n\nDebug source: {answer}")
    assert reason(error) == "ExpiredToken: The provided token has expired."
    assert reason(ValueError("Server returned non-2xx status code: 503 Service Unavailable: secret-words")) == (
        "answered 503 Service Unavailable"
    )
