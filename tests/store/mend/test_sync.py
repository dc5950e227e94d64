"""A recording is brought home from an object store whole, once, and proven; a range of it is all of that range."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import xtrader
from tests import objectstore
from tests.objectstore import Store
from tests.store import made
from tests.store.damage import parts
from tests.stores import Both, put, reach
from xtrader.clock import SECOND
from xtrader.errors import NotCovered
from xtrader.look.lines import stamp
from xtrader.sinks import bucket as bucket_module
from xtrader.sinks.bounds import Bounds, bounds_below
from xtrader.store.mend import sync as sync_module

FROM, TO = made.BEGIN + 90 * SECOND, made.BEGIN + 180 * SECOND
RANGE = ("--from", stamp(FROM, 9), "--to", stamp(TO, 9))


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    yield from objectstore.server()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sync") / "rec"
    made.record(directory, seconds=60)
    return directory


@pytest.fixture(scope="module")
def url(recording: Path, store: Store) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        yield put(recording, store, patch)


@pytest.fixture
def both(
    recording: Path,
    url: str,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Both:
    reach(store, monkeypatch)
    monkeypatch.chdir(tmp_path)
    return Both(recording, url, capfd)


def verified(both: Both, directory: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(both.run(("verify", "PLACE", "--json", "--workers", "1"), str(directory)).out)
    return found


def test_a_whole_recording_comes_as_it_is_and_only_what_is_missing_comes_again(both: Both, tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = ("sync", both.url, "home", "--workers", "1")
    first = both.run(words)
    count = len(parts(both.directory))
    assert (first.code, f"{count} files" in first.out, "no damage" in first.out) == (1, True, True), first
    for path in parts(both.directory):
        assert (home / path.relative_to(both.directory)).read_bytes() == path.read_bytes()
    assert verified(both, home)["days"] == verified(both, both.directory)["days"]
    # One file was lost, one was not finished when somebody pulled the plug.
    gone, cut = parts(home)[:2]
    gone.unlink()
    os.truncate(cut, 100)
    again = both.run(words)
    assert f"2 files (0.0 MB) were brought to home, {count - 2} were there" in again.out
    assert verified(both, home)["findings"] == verified(both, both.directory)["findings"]


def test_a_range_holds_every_row_of_the_range_and_says_that_it_is_one(both: Both, tmp_path: Path) -> None:
    ran = both.run(("sync", both.url, "some", *RANGE, "--workers", "1"))
    assert (ran.code, "no damage" in ran.out) == (1, True), ran
    assert f"only what was received from {stamp(FROM, 3)[:10]}" in ran.out
    assert len(parts(tmp_path / "some")) < len(parts(both.directory))
    assert bounds_below(tmp_path / "some") == Bounds(FROM, TO)
    some, all_ = xtrader.open(tmp_path / "some"), xtrader.open(both.directory)
    for ask in ("trades", "book_updates"):
        found, expected = (getattr(one, ask)(start=FROM, end=TO).to_arrow() for one in (some, all_))
        assert found.equals(expected)
        assert found.num_rows > 0
    at = FROM + 20 * SECOND
    assert some.book_at(made.OKX, at).best() == all_.book_at(made.OKX, at).best()
    with pytest.raises(NotCovered):
        some.book_at(made.OKX, made.BEGIN + 5 * SECOND)
    drawn = both.run(("coverage", "some"))
    assert stamp(FROM, 0)[11:19] in drawn.out
    assert both.run(("sync", both.url, "some", *RANGE, "--workers", "1")).out.startswith("0 files")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("URL", "full"), "'full' is not empty, and nothing in it was brought from"),
        (
            ("URL", "none", "--from", "2020-01-01", "--to", "2020-01-02"),
            "holds nothing of this time; it is from 2026-11-21 23:57:30",
        ),
        (("URL", "none", "--from", "2026-01-02", "--to", "2026-01-01"), "is after --to"),
        (("URL/nothing", "none"), "holds no recording"),
        (("full", "none"), "'full' is no URL of an object store"),
        (("URL", "other"), "'other' holds what was brought from s3://another, not from"),
        (("URL", "range"), "'range' holds another range of"),
    ],
)
def test_what_cannot_be_brought_is_said_in_one_sentence_and_nothing_is_written(
    both: Both, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    for name, origin in (("other", "s3://another"), ("range", both.url)):
        (tmp_path / name / "_manifest").mkdir(parents=True)
        (tmp_path / name / sync_module.ORIGIN).write_text(origin)
    (tmp_path / "range" / "_manifest" / f"begins-{FROM:020d}").touch()
    before = sorted(tmp_path.rglob("*"))
    ran = both.run(("sync", *(word.replace("URL", both.url) for word in words)))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_part_that_is_not_what_its_list_says_is_not_taken(both: Both, store: Store, tmp_path: Path, recording: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        url = put(recording, store, patch)
        patch.setattr(bucket_module, "ATTEMPTS", 1)
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        bad = parts(recording)[3].relative_to(recording).as_posix()
        store.client.put_object(Bucket=bucket, Key=f"{prefix}/{bad}", Body=b"something else")
        ran = both.run(("sync", url, "home"))
    assert (ran.code, ran.err.count("\n")) == (74, 1)
    assert bad in ran.err
    assert not (tmp_path / "home" / bad).exists()
    assert list((tmp_path / "home" / "_manifest").glob("*.jsonl")) == []


def test_where_there_is_no_room_nothing_is_fetched(both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_module, "MARGIN", 1 << 60)
    ran = both.run(("sync", both.url, "home"))
    assert (ran.code, "has room for" in ran.err) == (2, True)
    assert not (tmp_path / "home").exists()
