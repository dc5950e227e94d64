"""What is old goes, once it is proven; what is not proven or not uploaded stays, and so does all that is later."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import xtrader
from tests import objectstore
from tests.objectstore import Store
from tests.store import made
from tests.store.damage import parts
from tests.stores import Both, copied, put, reach
from xtrader.clock import SECOND
from xtrader.sinks.bounds import Bounds, bounds_below, bounds_of, names_of
from xtrader.sinks.manifest import lines_in_force
from xtrader.store.mend import prune as prune_module
from xtrader.store.mend.compact import compact
from xtrader.store.prove.recording_files import RecordingFiles
from xtrader.store.prove.verify import verify
from xtrader.venues import rules

CUT = made.BEGIN + 100 * SECOND
DAYS = 90
NOW = CUT + DAYS * made.DAY
PRUNE = ("prune", "PLACE", "--older-than", f"{DAYS}d", "--workers", "1")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("prune") / "rec"
    made.record(directory, seconds=30)
    return directory


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    yield from objectstore.server()


@pytest.fixture
def one(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Both:
    """A directory alone, DAYS later."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    return Both(copied(recording, tmp_path / "rec"), "", capfd)


def old(directory: Path) -> set[str]:
    """The parts of books and trades whose last row is older than CUT."""
    lines = lines_in_force(directory)
    return {line.path for line in lines if line.stream in ("L2", "TRADES") and (line.last_ts_recv or 0) < CUT}


def held(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in parts(directory)}


def test_a_dry_run_says_what_would_go_and_changes_nothing_and_yes_does_just_that(one: Both) -> None:
    before, going = held(one.directory), old(one.directory)
    assert len(going) >= 8
    dry = one.run(PRUNE, str(one.directory))
    assert (dry.code, dry.err) == (0, "")
    assert dry.out.startswith(f"Would remove {len(going)} parts")
    assert held(one.directory) == before
    rows = xtrader.open(one.directory).trades(start=CUT).to_arrow()
    done = one.run((*PRUNE, "--yes"), str(one.directory))
    assert (done.code, done.out.startswith(f"Removed {len(going)} parts")) == (0, True)
    assert held(one.directory) == before - going
    assert xtrader.open(one.directory).trades(start=CUT).to_arrow().equals(rows)
    report = verify(one.directory, rules, 1)
    assert [finding for finding in report.findings if finding.level == "damage"] == []
    assert bounds_below(one.directory) == Bounds(CUT)
    assert not [path for path in one.directory.rglob("date=*") if not any(path.iterdir())]
    again = one.run((*PRUNE, "--yes"), str(one.directory))
    assert (again.code, again.out) == (0, f"Nothing is older than {DAYS}d.\n")
    assert compact(one.directory).problems == []
    assert [finding for finding in verify(one.directory, rules, 1).findings if finding.level == "damage"] == []


def test_what_is_not_proven_stays_and_all_that_is_later(one: Both) -> None:
    lines = sorted(
        (line for line in lines_in_force(one.directory) if line.path in old(one.directory)), key=lambda line: line.first_offset
    )
    bad = next(line for line in lines if line.stream == "L2" and line.first_offset > lines[0].first_offset)
    path = one.directory / bad.path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    going = {line.path for line in lines if (line.last_ts_recv or 0) < (bad.last_ts_recv or 0)}
    before = held(one.directory)
    done = one.run((*PRUNE, "--yes"), str(one.directory))
    assert (done.code, f"{bad.path} is not proven: is not the file that was finished" in done.err) == (1, True)
    assert held(one.directory) == before - going
    assert going
    assert bad.path not in going


def test_killed_at_any_instant_nothing_is_in_force_without_its_file_and_the_next_run_ends_it(
    recording: Path, tmp_path: Path
) -> None:
    going = sorted(old(recording))
    for step in (0, len(going) // 2):
        directory = copied(recording, tmp_path / f"at-{step}")
        files = RecordingFiles(directory)
        found = prune_module.plan(files, CUT, rules)
        assert {line.path for line in found.lines} == set(going)
        taken = prune_module._removed(files, [line.path for line in found.lines])
        prune_module._state(files, Bounds(found.before))
        for _ in range(step):
            next(taken)
        report = verify(directory, rules, 1)
        assert [finding for finding in report.findings if finding.level == "damage"] == [], step
        assert xtrader.open(directory).trades(end=made.BEGIN + 30 * SECOND).to_arrow().num_rows == 0
        prune_module.prune(files, prune_module.plan(files, CUT, rules))
        assert held(directory) == held(recording) - set(going)


@pytest.mark.parametrize("uploaded", [False, True])
def test_a_directory_that_was_never_uploaded_is_pruned_only_where_nobody_asks_for_that(one: Both, uploaded: bool) -> None:
    before = held(one.directory)
    ran = one.run((*PRUNE, "--yes", *(["--uploaded"] if uploaded else [])), str(one.directory))
    assert ran.code == int(uploaded)
    assert (held(one.directory) == before) == uploaded
    assert ("is not uploaded: nothing that collector 'c1' recorded here is" in ran.err) == uploaded


def test_what_the_store_lacks_stays_and_a_bucket_is_pruned_as_a_directory(
    recording: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = copied(recording, tmp_path / "rec")
    reach(store, monkeypatch)
    both = Both(directory, put(directory, store, monkeypatch), capfd)
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    bucket, _, prefix = both.url.removeprefix("s3://").partition("/")
    lines = sorted(
        (line for line in lines_in_force(directory) if line.path in old(directory)), key=lambda line: line.last_ts_recv or 0
    )
    lost = lines[-1]
    body = store.client.get_object(Bucket=bucket, Key=f"{prefix}/{lost.path}")["Body"].read()
    store.client.delete_object(Bucket=bucket, Key=f"{prefix}/{lost.path}")
    ran = both.run((*PRUNE, "--yes"), str(directory))
    assert (ran.code, f"{lost.path} is not in {both.url}" in ran.err) == (1, True)
    assert lost.path in held(directory)
    store.client.put_object(Bucket=bucket, Key=f"{prefix}/{lost.path}", Body=body)
    assert both.run((*PRUNE, "--yes", "--uploaded"), str(directory)).code == 0
    assert held(directory) & {line.path for line in lines} == set()
    assert both.run((*PRUNE, "--yes", "--uploaded"), both.url).code == 2
    assert both.run((*PRUNE, "--yes"), both.url).code == 0
    local, remote = both.said("verify", "PLACE", "--workers", "1")
    assert local == remote
    assert both.run((*PRUNE, "--yes"), both.url).out == f"Nothing is older than {DAYS}d.\n"


@pytest.mark.parametrize(
    ("age", "said"), [("soon", "'soon' is no age: give text such as 90d"), ("5s", "give at least 1h"), ("0d", "is no age")]
)
def test_an_age_that_is_none_is_refused(one: Both, age: str, said: str) -> None:
    ran = one.run(("prune", "rec", "--older-than", age))
    assert (ran.code, ran.out, ran.err.count("\n"), said in ran.err) == (2, "", 1, True)


def test_bounds_are_read_back_from_the_names_that_state_them_the_latest_beginning_counts() -> None:
    for bounds in (Bounds(), Bounds(5), Bounds(0, 9), Bounds(5, 9)):
        assert bounds_of(names_of(bounds)) == bounds
    assert bounds_of([*names_of(Bounds(5)), *names_of(Bounds(7)), "_manifest/c1.jsonl", "_manifest/begins-8"]) == Bounds(7)
    assert os.path.basename(names_of(Bounds(5))[0]) == "begins-00000000000000000005"
