"""Lines of cryptofeed's and hftbacktest's files -> events, and what is said of lines and files that are damaged."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrader.errors import ConfigError
from xtrader.recordings import cryptofeed, hftbacktest
from xtrader.recordings.events import Answered, Opened, Received, Sent
from xtrader.recordings.text import ns_from_seconds


def write(path: Path, text: bytes) -> Path:
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"wss://a.com/ws?streams=x@y <-> 1626992740.179554", Opened("c", "wss://a.com/ws?streams=x@y", 1626992740179554000)),
        (b'wss://a.com/ws <- 1652459225.2987883: {"op": 1}', Sent("c", b'{"op": 1}', 1652459225298788300)),
        (b'1626992741.06217: {"a":": "}', Received("c", b'{"a":": "}', 1626992741062170000)),
        (b"1626992741: pong", Received("c", b"pong", 1626992741000000000)),
        (
            b'https://a.com/d?s=A -> 1626992741.301402: {"x":1}',
            Answered("https://a.com/d?s=A", 200, b'{"x":1}', {}, 1626992741301402000),
        ),
        (
            b'https://a.com/d -> 1626992741.5: {"x":1} header: {"Date": "now", "Age": 3}',
            Answered("https://a.com/d", 200, b'{"x":1}', {"Date": "now", "Age": "3"}, 1626992741500000000),
        ),
        (
            b'https://a.com/d -> 1626992741.5: {"x":" header: {not json"}',
            Answered("https://a.com/d", 200, b'{"x":" header: {not json"}', {}, 1626992741500000000),
        ),
    ],
)
def test_every_kind_of_cryptofeed_line_is_read(line: bytes, event: object) -> None:
    assert cryptofeed.parse(line, "c") == event


@pytest.mark.parametrize(
    "line", [b"", b"hello", b"wss://a.com", b"wss://a.com <- 12", b"https://a.com -> x: {}", b"12x: {}", b"17"]
)
def test_a_line_that_is_not_cryptofeeds_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        cryptofeed.parse(line, "c")


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999_999), st.integers(1, 9))
def test_times_are_exact_to_the_nanosecond(seconds: int, ns: int, digits: int) -> None:
    fraction = f"{ns:09d}"[:digits]
    assert ns_from_seconds(f"{seconds}.{fraction}".encode()) == seconds * 10**9 + int(fraction.ljust(9, "0"))


def test_blank_lines_carriage_returns_and_settings_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", b'1626992741.5: {"a":1}\r\n\r\n\nconfiguration: {"trades":[]}\n1626992742.5: {"a":2}\r\n\n')
    damage: list[str] = []
    assert [event.ts for event in cryptofeed.events(path, "c", damage)] == [1626992741500000000, 1626992742500000000]
    assert damage == []


def test_lines_of_another_format_are_counted_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b'1626992741.5: {"a":1}\nwhat\nis this\n1626992742.5: {"a":2}\n')
    damage: list[str] = []
    assert len(list(cryptofeed.events(path, "c", damage))) == 2
    assert damage == ["a: 2 lines left out, from line 2, expected `seconds: payload` or `url <->, <- or -> seconds`"]


@pytest.mark.parametrize(
    ("tail", "kept"),
    [(b'1626992742.5: {"a":[1,2', 1), (b"162699", 1), (b"wss://a.com <-> 16269927", 1), (b'1626992742.5: {"a":[1,2]}', 2)],
)
def test_a_last_line_without_its_end_is_kept_only_if_nothing_can_be_missing(tmp_path: Path, tail: bytes, kept: int) -> None:
    path = write(tmp_path / "a.gz", b'1626992741.5: {"a":1}\n' + tail)
    damage: list[str] = []
    assert len(list(cryptofeed.events(path, "c", damage))) == kept
    assert damage == ([] if kept == 2 else ["a.gz: the last line (2) is torn and was left out"])


def test_what_comes_before_the_cut_of_a_gzip_file_is_kept(tmp_path: Path) -> None:
    text = b"".join(b'%d {"n":%d}\n' % (1723161253937085768 + n, n * 7919**3) for n in range(5000))
    whole = gzip.compress(text)
    path = tmp_path / "a.gz"
    counts = []
    for cut in range(len(whole) // 3, len(whole), len(whole) // 7):
        path.write_bytes(whole[:cut])
        damage: list[str] = []
        events = list(hftbacktest.events(path, "c", damage))
        assert [event.ts for event in events] == [1723161253937085768 + n for n in range(len(events))]
        assert len(damage) == 1
        assert "a.gz is cut off or damaged after line" in damage[0]
        counts.append(len(events))
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] < 5000


def test_a_file_of_which_nothing_can_be_unpacked_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b'1 {"n":1}\n')[:12])
    with pytest.raises(ConfigError, match="is damaged: not a line of it can be unpacked"):
        list(hftbacktest.events(path, "c", []))


def test_an_inline_book_snapshot_is_a_rest_answer(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a",
        b'1723161254087896568 {"stream":"btcusdt@trade","data":{}}\n1723161254206652067 {"lastUpdateId":5,"bids":[],"asks":[]}\n',
    )
    assert list(hftbacktest.events(path, "c", [])) == [
        Received("c", b'{"stream":"btcusdt@trade","data":{}}', 1723161254087896568),
        Answered("", 200, b'{"lastUpdateId":5,"bids":[],"asks":[]}', {}, 1723161254206652067),
    ]
