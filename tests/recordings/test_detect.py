"""Files -> recordings: the format by content, what belongs together by name, and one sentence for what cannot be used."""

import gzip
import shutil
from pathlib import Path

import pytest

from tests.captures import captures
from xtrader.errors import ConfigError
from xtrader.recordings.detect import look, open_recordings
from xtrader.recordings.events import Opened, Received
from xtrader.recordings.raw import RawWriter

CRYPTOFEED = b'1626992741.5: {"a":1}\n'
HFTBACKTEST = b'1723161254087896568 {"stream":"btcusdt@trade","data":{}}\n'


def test_the_format_is_told_by_the_content_whatever_the_name(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_bytes(b"\n" + CRYPTOFEED)
    (tmp_path / "two.bin").write_bytes(gzip.compress(HFTBACKTEST))
    writer = RawWriter(tmp_path / "sub", "X", "X/0", "wss://x.com", 5)
    writer.received(b"{}", 6)
    writer.close()
    found = open_recordings([tmp_path])
    assert sorted(recording.format_name for recording in found) == ["cryptofeed", "hftbacktest", "xtrader"]


def test_files_of_one_cryptofeed_recording_are_merged_by_time_and_parts_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "X.ws.1.0").write_bytes(b'wss://x.com <-> 1000000000.5\n1000000001.5: {"n":1}\n')
    (tmp_path / "X.ws.1.1").write_bytes(b'1000000003.5: {"n":3}\n')
    (tmp_path / "X.ws.2.0").write_bytes(b'wss://x.com <-> 1000000002.5\n1000000004.5: {"n":4}\n')
    (tmp_path / "X.http.0.0").write_bytes(b'https://x.com/a -> 1000000002.0: {"n":2}\n\n')
    (tmp_path / "Y.ws.1.0").write_bytes(CRYPTOFEED)
    x, y = sorted(open_recordings([tmp_path]), key=lambda recording: recording.name)
    assert (x.name, len(x.files), y.name) == ("X", 4, "Y")
    events = list(x.events())
    assert [event.ts // 10**8 for event in events] == [10000000005, 10000000015, 10000000020, 10000000025, 10000000035, 10000000045]
    assert [event.connection for event in events if isinstance(event, Received | Opened)] == [
        "ws.1",
        "ws.1",
        "ws.2",
        "ws.1",
        "ws.2",
    ]


def test_days_of_one_hftbacktest_recording_follow_one_another(tmp_path: Path) -> None:
    (tmp_path / "btcusdt_20240809.gz").write_bytes(gzip.compress(b"1723200000000000002 {}\n"))
    (tmp_path / "btcusdt_20240808.gz").write_bytes(gzip.compress(b"1723200000000000001 {}\n"))
    (tmp_path / "ethusdt_20240808.gz").write_bytes(gzip.compress(b"1723200000000000003 {}\n"))
    found = {recording.name: recording for recording in open_recordings([tmp_path])}
    assert set(found) == {"btcusdt", "ethusdt"}
    assert [event.ts % 10 for event in found["btcusdt"].events()] == [1, 2]


def test_the_same_file_given_twice_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "X.ws.1.0"
    path.write_bytes(CRYPTOFEED)
    (recording,) = open_recordings([path, tmp_path, path])
    assert len(list(recording.events())) == 1


def test_other_files_of_a_directory_are_passed_over_and_named(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("Permission is granted\n")
    (tmp_path / "X.ws.1.0").write_bytes(CRYPTOFEED)
    (tmp_path / "X.ws.1.1.gz").write_bytes(gzip.compress(CRYPTOFEED)[:11])
    (tmp_path / "empty").touch()
    found = look([tmp_path])
    assert [path.name for path in found.recordings[0].files] == ["X.ws.1.0"]
    names = [f"{tmp_path}/{name}" for name in ("LICENSE", "X.ws.1.1.gz", "empty")]
    assert found.remark() == f"not read, as no recording is in it: {', '.join(names)}"
    assert found.refused == []
    for n in range(20):
        (tmp_path / f"more{n}").touch()
    assert look([tmp_path]).remark().endswith(" and 13 more")
    assert look([tmp_path / "X.ws.1.0"]).remark() == ""


def test_a_named_file_that_is_no_recording_does_not_hide_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("Permission is granted\n")
    (tmp_path / "X.ws.1.0").write_bytes(CRYPTOFEED)
    found = look([tmp_path / "LICENSE", tmp_path / "X.ws.1.0"])
    assert [recording.name for recording in found.recordings] == ["X"]
    (sentence,) = found.refused
    assert sentence.startswith(f"{tmp_path}/LICENSE is not a recording: it begins with b'Permission is granted', expected")
    with pytest.raises(ConfigError, match="LICENSE is not a recording"):
        open_recordings([tmp_path / "LICENSE", tmp_path / "X.ws.1.0"])


def test_a_file_that_cannot_be_read_does_not_end_the_others_of_its_recording(tmp_path: Path) -> None:
    (tmp_path / "X.ws.1.0").write_bytes(CRYPTOFEED)
    (tmp_path / "X.ws.2.0").write_bytes(CRYPTOFEED)
    (recording,) = open_recordings([tmp_path])
    (tmp_path / "X.ws.1.0").unlink()
    assert [event.connection for event in recording.events() if isinstance(event, Received)] == ["ws.2"]
    assert recording.damage == [f"cannot read the recording {tmp_path}/X.ws.1.0: No such file or directory"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"time,price\n1,2\n", "a.csv is not a recording: it begins with b'time,price', expected"),
        ("a.gz", b"", "a.gz holds nothing: expected"),
        ("a.gz", gzip.compress(b"\n\n", mtime=0), "a.gz holds nothing: expected"),
        ("a.gz", gzip.compress(CRYPTOFEED, mtime=0)[:11], "a.gz is damaged: not a line of it can be unpacked"),
        ("a.zst", bytes.fromhex("28b52ffd") + b"x" * 50, "a.zst is damaged: not a line of it can be unpacked"),
        ("a.parquet", b"PAR1" + bytes(range(256)) * 4, "a.parquet is not a recording"),
    ],
)
def test_a_file_that_is_no_recording_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        open_recordings([path])
    assert sentence in str(error.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no recording .*missing"):
        open_recordings([tmp_path / "missing"])
    with pytest.raises(ConfigError, match="no recording in"):
        open_recordings([tmp_path])


def test_the_real_recordings_are_read_whole() -> None:
    found = {recording.name: recording for recording in open_recordings([captures()])}
    events = {name: list(recording.events()) for name, recording in found.items()}
    assert {name: sum(type(event) is Received for event in seen) for name, seen in events.items()} == {
        "BINANCE_FUTURES": 1535,
        "DERIBIT": 136,
        "OKX": 410,
        "spot_btcusdt": 41248,
        "usdm_btcusdt": 93953,
    }
    assert all(not recording.damage for recording in found.values())
    assert all(seen == sorted(seen, key=lambda event: event.ts) for seen in events.values())


def test_a_recording_does_not_depend_on_gzip_or_on_line_ends(tmp_path: Path) -> None:
    source = captures() / "recorded-1" / "OKX.ws.1.0.gz"
    shutil.copy(source, tmp_path)
    plain = tmp_path / "P.ws.1.0"
    plain.write_bytes(gzip.decompress(source.read_bytes()).replace(b"\n", b"\r\n\r\n"))
    packed, unpacked = open_recordings([tmp_path / source.name]), open_recordings([plain])
    assert list(packed[0].events()) == list(unpacked[0].events())
