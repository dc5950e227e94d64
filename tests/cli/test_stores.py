"""Which recording a command means: a directory, an object store, or the store of a spool; near ones where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests import objectstore
from tests.look.journals import scribe, trade
from tests.objectstore import Store
from tests.store import made
from tests.store.damage import parts
from tests.stores import Both, copied, put, reach
from xtrader.cli.main import main
from xtrader.cli.places import find_place
from xtrader.durable import keep_file
from xtrader.settings.destination import spool_of
from xtrader.sinks import bucket as bucket_module
from xtrader.sinks.uploaded import UploadProgress, progress_file

URL = "s3://bucket/rec"
DAY = "2026-11-21"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_url_has_the_journal_of_its_spool_and_a_spool_means_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = spool_of(URL)
    assert find_place(f"{URL}/")[:2] == (URL, spool / ".journal")
    assert find_place("data")[:2] == ("data", tmp_path / "data" / ".journal")
    keep_file(_made(progress_file(spool, "c1")), msgspec.json.encode(UploadProgress(URL, 8)))
    assert find_place(str(spool))[:2] == (URL, spool / ".journal")
    monkeypatch.setenv("XTRADER_OUTPUT_DIRECTORY", URL)
    monkeypatch.setenv("XTRADER_JOURNAL_DIRECTORY", "elsewhere")
    assert find_place(None)[:2] == find_place(URL)[:2] == (URL, tmp_path / "elsewhere")


@pytest.mark.parametrize(("keep", "where"), [("true", "data"), ("false", URL)])
def test_a_directory_whose_parts_are_removed_once_uploaded_means_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, where: str
) -> None:
    monkeypatch.setenv("XTRADER_UPLOAD_URL", URL)
    monkeypatch.setenv("XTRADER_UPLOAD_KEEP_LOCAL", keep)
    keep_file(_made(progress_file(tmp_path / "data", "c1")), msgspec.json.encode(UploadProgress(URL, 8)))
    assert find_place("data").where == where
    assert find_place("other").where == "other"
    assert find_place(URL).journal == tmp_path / "data" / ".journal"


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_where_there_is_no_recording_those_beside_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made.record(tmp_path / "data", seconds=300)
    for words, said in (
        (["verify", "dat"], f"there is no directory 'dat'; there is one in '{tmp_path}/data'"),
        (["coverage", "."], "'.' holds no recording: neither parts nor a manifest; there is one in 'data'"),
        (["report", "ftp://x/y", "--date", "2026-11-21"], "'ftp://x/y' is not an object store such as s3://bucket/prefix"),
        (["verify", "s3://word:secret@x/y"], "'s3://…@x/y' is not an object store"),
    ):
        assert main(words) == 2
        err = capsys.readouterr().err
        assert (said in err, err.count("\n"), "secret" in err) == (True, 1, False), err


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    yield from objectstore.server()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("stores") / "rec"
    made.record(directory, seconds=100)
    return directory


@pytest.fixture(scope="module")
def url(recording: Path, store: Store) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        yield put(recording, store, patch)


@pytest.fixture
def both(recording: Path, url: str, store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Both:
    """To be read only."""
    reach(store, monkeypatch)
    return Both(recording, url, capfd)


@pytest.fixture
def own(tmp_path: Path, recording: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Both:
    """To be changed."""
    directory = copied(recording, tmp_path / "rec")
    return Both(directory, put(directory, store, monkeypatch), capfd)


LOOKING = (
    ("verify", "PLACE", "--workers", "1"),
    ("verify", "PLACE", "--json", "--workers", "2"),
    ("coverage", "PLACE"),
    ("coverage", "PLACE", "--date", DAY),
    ("report", "PLACE", "--date", DAY, "--workers", "1"),
    ("trades", made.OKX, "PLACE", "--last", "5", "--format", "json"),
    ("trades", made.BINANCE, "PLACE", "--from", f"{DAY}T23:58:00Z", "--to", f"{DAY}T23:59:00Z"),
    ("trades", made.OKX, "PLACE", "--to", "2020-01-01"),
    ("trades", "OKX_SWAP@BTCUSD", "PLACE"),
    ("book", made.OKX, "PLACE", "--at", f"{DAY}T23:58:00Z", "--format", "json"),
    ("book", made.OKX, "PLACE", "--at", "2020-01-01"),
    ("export", f"L2:{made.OKX}", "PLACE", "--output", "x.csv.gz"),
    ("report", "PLACE", "--date", "2020-01-01"),
)


def test_everything_that_looks_or_proves_says_of_a_bucket_what_it_says_of_a_directory(both: Both) -> None:
    for words in LOOKING:
        local, remote = both.said(*words)
        assert local == remote, words
        assert local[1] or local[2]


@pytest.mark.parametrize("name", ["x.html", "x.json"])
def test_what_is_written_of_a_bucket_is_what_is_written_of_a_directory(both: Both, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pages = []
    for place in (str(both.directory), both.url):
        commands = [["report", place, "--date", DAY, "--workers", "1", f"--{path.suffix[1:]}", str(path)]]
        commands += [["plot", made.OKX, place, "--output", str(path)], ["coverage", place, "--html", str(path)]] * (
            name == "x.html"
        )
        for command in commands:
            assert main(command) == 0, command
            pages.append(path.read_bytes())
    half = len(pages) // 2
    assert pages[:half] == pages[half:]


def test_damage_in_a_bucket_is_told_as_it_is_in_a_directory(own: Both, store: Store) -> None:
    bucket, _, prefix = own.url.removeprefix("s3://").partition("/")
    cut, gone, stray = sorted(parts(own.directory))[:3]
    for path in (cut, gone, stray):
        key = f"{prefix}/{path.relative_to(own.directory).as_posix()}"
        if path is cut:
            path.write_bytes(path.read_bytes()[:-9])
            store.client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        elif path is gone:
            path.unlink()
            store.client.delete_object(Bucket=bucket, Key=key)
        else:
            path.with_name("notes.txt").write_text("none of ours")
            store.client.put_object(Bucket=bucket, Key=f"{key.rpartition('/')[0]}/notes.txt", Body=b"none of ours")
    listed = next((own.directory / "_manifest").glob("*.jsonl"))
    piece = sorted(key for key in store.versions(bucket) if "/_manifest/" in key)[0]
    content = store.client.get_object(Bucket=bucket, Key=piece)["Body"].read()
    wrong = content.replace(b'"rows":', b'"rows":1', 1)
    store.client.put_object(Bucket=bucket, Key=piece, Body=wrong)
    listed.write_bytes(wrong + listed.read_bytes()[len(content) :])
    local, remote = own.said("verify", "PLACE", "--json", "--workers", "1")
    assert (local[0], remote[0]) == (2, 2)
    found = [json.loads(one[1])["findings"] for one in (local, remote)]
    assert [one for one in found[0] if "notes.txt" not in one["file"]] == [
        one for one in found[1] if "notes.txt" not in one["file"]
    ]
    assert len([one for one in found[0] if one["level"] == "damage"]) >= 4


def test_what_was_just_put_and_is_on_no_list_yet_is_no_damage(own: Both, store: Store) -> None:
    bucket = own.url.removeprefix("s3://").partition("/")[0]
    on_its_way = sorted(key for key in store.versions(bucket) if "/_manifest/" in key)[-1]
    store.client.delete_object(Bucket=bucket, Key=on_its_way)
    _, remote = own.said("verify", "PLACE", "--json", "--workers", "1")
    assert [one for one in json.loads(remote[1])["findings"] if one["level"] == "damage"] == []


def test_a_store_that_is_away_or_holds_nothing_is_one_sentence(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "ATTEMPTS", 1)
    nothing = f"{both.url}/nothing"
    for words in (("verify", nothing), ("coverage", nothing), ("trades", made.OKX, nothing), ("report", nothing, "--date", DAY)):
        (code, out, err), _ = both.said(*words)
        assert (code, out, err.count("\n")) == (2, "", 1), words
        assert "recording" in err
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{objectstore.free_port()}")
    for words in (("verify", "PLACE"), ("trades", made.OKX, "PLACE", "--last", "1")):
        _, (code, out, err) = both.said(*words)
        assert (code in (1, 2), out, err.count("\n")) == (True, "", 1), err


def test_a_bucket_into_which_nothing_was_put_yet_has_the_live_end_of_its_recorder(both: Both) -> None:
    url = f"{both.url}/young"
    with scribe(spool_of(url) / ".journal") as writer:
        writer.write(trade(1))
    ran = both.run(("verify", "PLACE", "--workers", "1"), url)
    assert (ran.code, "PLACE: nothing is proven: no file is finished yet" in ran.out) == (1, True)
    assert "is in no file yet, so it is not proven" in ran.out


def test_repair_says_how_a_bucket_is_repaired(both: Both) -> None:
    _, ran = both.said("repair", "PLACE")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "`xtrader sync PLACE DIR` brings the recording into one" in ran.err
