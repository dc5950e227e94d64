"""Lines of cryptofeed's and hftbacktest's files -> events, and what is said of lines and files that are damaged."""

import gzip
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrader.errors import ConfigError
from xtrader.recordings import cryptofeed, hftbacktest, text
from xtrader.recordings.detect import open_recordings
from xtrader.recordings.events import Answered, Closed, Event, Opened, Received, Sent, Torn
from xtrader.recordings.text import ns_from_epoch


def zstd(text: bytes) -> bytes:
    """A zstd frame."""
    with pa.BufferOutputStream() as out:
        with pa.CompressedOutputStream(out, "zstd") as packing:
            packing.write(text)
        return bytes(out.getvalue())


def write(path: Path, text: bytes) -> Path:
    packs: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": zstd}
    path.write_bytes(packs.get(path.suffix, bytes)(text))
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
    said = cryptofeed.parse(line, "c")
    assert said is not None
    assert said.event == event


@pytest.mark.parametrize(
    "line", [b"", b"hello", b"wss://a.com", b"wss://a.com <- 12", b"https://a.com -> x: {}", b"12x: {}", b"17"]
)
def test_a_line_that_is_not_cryptofeeds_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        cryptofeed.parse(line, "c")


@given(st.integers(10**18, 4 * 10**18), st.sampled_from([10, 13, 16, 19]), st.integers(0, 9))
def test_times_are_exact_to_the_nanosecond_and_their_width_is_their_unit(ns: int, width: int, decimals: int) -> None:
    whole, fraction = str(ns)[:width], str(ns)[width:][:decimals]
    text = f"{whole}.{fraction}" if fraction else whole
    assert ns_from_epoch(text.encode()) == (int((whole + fraction).ljust(19, "0")), (width, bool(fraction)))


@pytest.mark.parametrize(
    "text", ["", "1", "087896568", "1723161254.", "1723161254.x", "172316125408", "0723161254", "9" * 10, "9" * 19, "-723161254"]
)
def test_what_is_no_time_of_a_recording_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        ns_from_epoch(text.encode())


def test_blank_lines_carriage_returns_and_settings_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gz", b'1626992741.5: {"a":1}\r\n\r\n\nconfiguration: {"trades":[]}\n1626992742.5: {"a":2}\r\n\n')
    damage: list[str] = []
    assert [event.ts for event in cryptofeed.events(path, "c", damage)] == [1626992741500000000, 1626992742500000000]
    assert damage == []


def test_lines_of_another_format_are_counted_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b'1626992741.5: {"a":1}\nwhat\nis this\n1626992742.5: {"a":2}\n')
    damage: list[str] = []
    events = list(cryptofeed.events(path, "c", damage))
    assert [type(event) for event in events] == [Received, Torn, Received]
    assert events[1] == Torn("c", 1626992741500000000, b"whatis this", "line 2 of a cannot be used")
    assert damage == ["a: 2 lines left out (2, 3): expected `seconds: payload` or `url <->, <- or -> seconds`"]


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


def test_an_inline_book_snapshot_is_a_rest_answer(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a",
        b'1723161254087896568 {"stream":"btcusdt@trade","data":{}}\n1723161254206652067 {"lastUpdateId":5,"bids":[],"asks":[]}\n',
    )
    assert list(hftbacktest.events(path, "c", [])) == [
        Received("c", b'{"stream":"btcusdt@trade","data":{}}', 1723161254087896568),
        Answered("", 200, b'{"lastUpdateId":5,"bids":[],"asks":[]}', {}, 1723161254206652067),
    ]


def collected(*times: int | str, payload: str = '{"n":%d}') -> bytes:
    """hftbacktest's text: a line for each time, its payload numbered from 1."""
    return b"".join(f"{time} {payload % n}\n".encode() for n, time in enumerate(times, 1))


def read_collected(path: Path) -> tuple[list[Event], list[str]]:
    damage: list[str] = []
    return list(hftbacktest.events(path, "c", damage)), damage


def payloads(events: list[Event]) -> list[int]:
    return [int(event.payload[5:-1]) for event in events if isinstance(event, Received)]


START = 1723161254087896568


@pytest.mark.parametrize(("width", "unit"), [(10, 10**9), (13, 10**6), (16, 10**3), (19, 1)])
def test_the_width_of_a_time_is_its_unit(tmp_path: Path, width: int, unit: int) -> None:
    times = [int(str(START + n * 10**9)[:width]) for n in range(9)]
    events, damage = read_collected(write(tmp_path / "a", collected(*times)))
    assert [event.ts for event in events] == [time * unit for time in times]
    assert damage == []


@given(st.integers(0, 11), st.integers(0, 19), st.integers(1, 19), st.booleans())
def test_a_time_that_lost_digits_is_left_out_wherever_they_stood(position: int, begin: int, length: int, is_decimal: bool) -> None:
    times = [str(START + n * 10**8) for n in range(12)]
    if is_decimal:
        times = [f"{time[:10]}.{time[10:]}" for time in times]
    whole = times[position]
    times[position] = whole[:begin] + whole[begin + length :]
    damage: list[str] = []
    with TemporaryDirectory() as directory:
        path = Path(directory, "a")
        if is_decimal:
            lines = "".join(f'{time}: {{"n":{n}}}\n' for n, time in enumerate(times, 1))
            events = list(cryptofeed.events(write(path, lines.encode()), "c", damage))
        else:
            events = list(hftbacktest.events(write(path, collected(*times)), "c", damage))
    if times[position] == whole or (is_decimal and begin > 10 and not times[position].endswith(".")):
        assert payloads(events) == list(range(1, 13)), "what a fraction lost, cannot be seen, and is less than a second"
        return
    assert payloads(events) == [n for n in range(1, 13) if n != position + 1]
    assert len(damage) == 1
    assert f"a: 1 line left out ({position + 1}): " in damage[0]
    assert [event for event in events if isinstance(event, Torn)]


@pytest.mark.parametrize(
    ("position", "shift"),
    [
        *product((0, 1, 5, 11), (10**18, 10**17, 10**16, 10**15, -(10**17), -(10**16), -(10**15))),
        *product((1, 5), (3 * 10**10, -3 * 10**10)),
    ],
)
def test_a_time_that_is_out_of_line_with_its_neighbours_is_left_out(tmp_path: Path, position: int, shift: int) -> None:
    times = [START + n * 10**8 + shift * (n == position) for n in range(12)]
    events, damage = read_collected(write(tmp_path / "a", collected(*times)))
    assert payloads(events) == [n for n in range(1, 13) if n != position + 1]
    assert damage == [f"a: 1 line left out ({position + 1}): its time is out of line with those around it"]


def test_silence_of_days_is_no_damage(tmp_path: Path) -> None:
    times = [START, START + 1, START + 3 * 10**14, START + 3 * 10**14 + 1, START + 9 * 10**14, START + 9 * 10**14 + 1]
    events, damage = read_collected(write(tmp_path / "a", collected(*times)))
    assert ([event.ts for event in events], damage) == (times, [])


def test_lines_that_stand_there_twice_are_taken_once(tmp_path: Path) -> None:
    lines = collected(*(START + n for n in range(30))).splitlines(keepends=True)
    events, damage = read_collected(write(tmp_path / "a", b"".join(lines[:20] + lines[8:20] + lines[20:])))
    assert payloads(events) == list(range(1, 31))
    (sentence,) = damage
    assert sentence.startswith("a: 12 lines left out (21, 22, 23, 24, 25, …): the same line")


@pytest.mark.parametrize(
    "payload",
    ["", '{"n":1', '{"n":1}{"n":2}', '{"n":1} {"n":2}', '{"n":1}1723161254087896568 {"n":2}', 'n":1}', "\0\0\0", '{"n":"\xff"}'],
)
def test_a_message_that_is_not_whole_is_left_out(tmp_path: Path, payload: str) -> None:
    before, after = collected(START), collected(START + 9)
    path = write(tmp_path / "a", before + f"{START + 5} {payload}\n".encode("latin-1") + after)
    events, damage = read_collected(path)
    assert [type(event) for event in events] == [Received, Torn, Received]
    assert damage == ["a: 1 line left out (2): expected `nanoseconds {json}`"]


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
@pytest.mark.parametrize("kept", [0.0005, 0.2, 0.5, 0.9, 0.999])
def test_what_a_killed_recorder_appended_to_later_is_read_from_both_sessions(
    tmp_path: Path, pack: Callable[[bytes], bytes], kept: float
) -> None:
    noise = Random(7)
    first = b"".join(b'%d {"n":%d}\n' % (START + n * 10**7, noise.getrandbits(64)) for n in range(20_000))
    second = collected(*(START + 10**13 + n for n in range(50)))
    torn = pack(first)
    path = write(tmp_path / "a", torn[: int(len(torn) * kept)] + pack(second[:700]) + pack(second[700:]))
    events, damage = read_collected(path)
    lines = first.splitlines() + second.splitlines()
    said = [b"%d %b" % (event.ts, event.payload) for event in events if isinstance(event, Received)]
    assert said[-50:] == lines[-50:]
    assert said[:-50] == lines[: len(said) - 50]
    assert len(said) - 50 >= int(20_000 * kept) - 4_000
    (closed,) = (event for event in events if isinstance(event, Closed))
    assert closed.ts == max((event.ts for event in events if event.ts < START + 10**13), default=0)
    assert "a is cut off or damaged after line" in damage[0]


def test_a_head_that_stands_inside_of_a_whole_piece_is_no_second_piece(tmp_path: Path) -> None:
    heads = gzip.compress(b"1", mtime=0)[:10] + zstd(b"1")[:4]
    text = collected(START).rstrip() + b"\n"
    for pack in (partial(gzip.compress, compresslevel=0), zstd):
        path = write(tmp_path / "a", pack(text + heads * 50 + b"\n" + collected(START + 1)))
        events, damage = read_collected(path)
        assert [type(event) for event in events] == [Received, Torn, Received]
        assert damage == ["a: 1 line left out (2): expected `nanoseconds {json}`"]


def test_a_line_that_is_too_long_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_LINE", 100_000)
    path = write(tmp_path / "a", collected(START) + b"x" * 300_000 + b"\n" + collected(START + 1))
    events, damage = read_collected(path)
    assert len(payloads(events)) == 2
    assert damage == ["a: 1 line left out (2): expected `nanoseconds {json}`"]


HEADER = (
    b'{"t":"header","format":2,"exchange":"X","config":{"trades":["BTC-USD"]},"candle_interval":null,"recorded":1626992740.5}\n'
)
TYPED: list[tuple[bytes, Event]] = [
    (
        b'{"conn":"X.http.0","ts":1626992741.301402,"t":"http","url":"https://a.com/d?s=A","data":"{\\"x\\":1}","headers":{"Age":3}}',
        Answered("https://a.com/d?s=A", 200, b'{"x":1}', {"Age": "3"}, 1626992741301402000),
    ),
    (
        b'{"conn":"X.ws.1","ts":1626992740.179554,"t":"connect","addr":"wss://a.com/ws?streams=x@y"}',
        Opened("X.ws.1", "wss://a.com/ws?streams=x@y", 1626992740179554000),
    ),
    (
        b'{"t":"send","conn":"X.ws.1","ts":1626992742.2987883,"addr":"wss://a.com/ws","data":"{\\"op\\": 1}"}',
        Sent("X.ws.1", b'{"op": 1}', 1626992742298788300),
    ),
    (b'{"t":"recv","conn":"X.ws.1","ts":1626992743.0,"data":"pong"}', Received("X.ws.1", b"pong", 1626992743000000000)),
    (b'{"t":"recv","conn":"X.ws.1","ts":1626992743.5,"b64":"AAH/"}', Received("X.ws.1", b"\0\1\xff", 1626992743500000000)),
]


@pytest.mark.parametrize("name", ["X.jsonl", "X.jsonl.zst", "X.jsonl.gz"])
def test_every_kind_of_typed_line_is_read_in_the_order_of_time(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, HEADER + b"".join(line + b"\n" for line, _ in TYPED))
    (recording,) = open_recordings([tmp_path])
    assert (recording.name, recording.format_name) == ("X", "cryptofeed_typed")
    assert list(recording.events()) == sorted((event for _, event in TYPED), key=lambda event: event.ts)
    assert recording.damage == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'{"t":"what","conn":"X.ws.1","ts":1626992741.5}',
        b'{"t":"recv","ts":1626992741.5,"data":"{}"}',
        b'{"t":"recv","conn":"X.ws.1","data":"{}"}',
        b'{"t":"recv","conn":"X.ws.1","ts":"1626992741.5","data":"{}"}',
        b'{"t":"recv","conn":"X.ws.1","ts":626992741.5,"data":"{}"}',
        b'{"t":"recv","conn":"X.ws.1","ts":1626992741.5}',
        b'{"t":"recv","conn":"X.ws.1","ts":1626992741.5,"data":"{"}',
        b'{"t":"recv","conn":"X.ws.1","ts":1626992743.5,"b64":"A"}',
        b'{"t":"connect","conn":"X.ws.1","ts":1626992741.5,"addr":"wss://[x"}',
    ],
)
def test_a_typed_line_that_cannot_be_used_is_left_out(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path / "X.jsonl", HEADER + TYPED[1][0] + b"\n" + line + b"x\n" + TYPED[2][0] + b"\n" + line + b"\n")
    (recording,) = open_recordings([path])
    assert [event for event in recording.events() if type(event) is not Torn] == [TYPED[1][1], TYPED[2][1]]
    (sentence,) = recording.damage
    assert sentence.startswith(f"X.jsonl: {1 + bool(line)} line")


def test_typed_lines_of_another_version_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "X.jsonl", HEADER.replace(b'"format":2', b'"format":3') + TYPED[1][0] + b"\n")
    with pytest.raises(ConfigError, match=r"X.jsonl has format 3; this version reads format 2"):
        open_recordings([path])
