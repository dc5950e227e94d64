"""The same session in another format, encoding or order of fields gives the same records."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from tests.recordings.raw_copy import copy_raw
from tests.renormalise.runs import recorded_1, run, total
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.recordings.detect import open_recordings
from xtrader.recordings.events import Answered, Opened, Received, Sent


@pytest.mark.parametrize("name", ["BINANCE_FUTURES", "OKX", "DERIBIT"])
def test_a_recording_turned_into_our_own_raw_format_gives_the_same_records(tmp_path: Path, name: str) -> None:
    files = recorded_1(name)
    copy_raw(files, tmp_path)
    expected, lines, _ = run(*files)
    records, again, _ = run(tmp_path)
    assert [r for r in records if not isinstance(r, Instrument)] == [r for r in expected if not isinstance(r, Instrument)]
    assert again == lines


def typed(files: list[Path], path: Path, *, is_sorted: bool) -> None:
    """The same recording as cryptofeed's typed JSON lines, as they are when written live, or converted: the answers first."""
    lines: list[tuple[int, dict[str, object]]] = []
    (recording,) = open_recordings(files)
    for event in recording.events():
        ts = event.ts // 1000 / 10**6
        match event:
            case Opened():
                lines.append((1, {"conn": event.connection, "ts": ts, "t": "connect", "addr": event.url}))
            case Received():
                lines.append((1, {"conn": event.connection, "ts": ts, "t": "recv", "data": event.payload.decode()}))
            case Sent():
                lines.append((1, {"conn": event.connection, "ts": ts, "t": "send", "addr": "", "data": event.payload.decode()}))
            case Answered():
                body = {"conn": f"http.{event.url}", "ts": ts, "t": "http", "url": event.url, "data": event.body.decode()}
                lines.append((0, body | ({"headers": dict(event.headers)} if event.headers else {})))
            case _:
                raise AssertionError(event)
    if not is_sorted:
        lines.sort(key=lambda line: line[0])
    header = {"t": "header", "format": 2, "exchange": recording.name, "config": {}, "recorded": 1.5}
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in [header, *(line for _, line in lines)])
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as packed:
        packed.write(text.encode())


def rounded(records: list[Record]) -> list[Record]:
    """Records with times of receipt in whole microseconds: all that such lines can hold."""
    out: list[Record] = []
    for record in records:
        if isinstance(record, Trade | BookUpdate):
            out.append(msgspec.structs.replace(record, ts_recv=record.ts_recv // 1000))
        elif isinstance(record, Coverage):
            ts_to = None if record.ts_to is None else record.ts_to // 1000
            out.append(msgspec.structs.replace(record, ts_from=record.ts_from // 1000, ts_to=ts_to))
    return out


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("name", ["BINANCE_FUTURES", "OKX", "DERIBIT"])
def test_a_recording_as_typed_json_lines_gives_the_same_records(tmp_path: Path, name: str, is_sorted: bool) -> None:
    files = recorded_1(name)
    typed(files, tmp_path / f"{name}.jsonl.zst", is_sorted=is_sorted)
    expected, lines, before = run(*files)
    records, again, renormaliser = run(tmp_path)
    assert rounded(records) == rounded(expected)
    assert [line.messages for line in again.values()] == [line.messages for line in lines.values()]
    assert renormaliser.instruments.keys() == before.instruments.keys()
    assert {one.source for one in renormaliser.instruments.values()} == {"venue"}
    assert (renormaliser.remarks, renormaliser.is_all_kept) == ([], True)


def rewritten(directory: Path, name: str, rewrite: Callable[[str], str]) -> Path:
    """A copy of a recording of which every line is rewritten."""
    directory.mkdir()
    for path in recorded_1(name):
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        (directory / path.name.removesuffix(".gz")).write_text("".join(rewrite(line) + "\n" for line in lines))
    return directory


def facts(records: list[Record]) -> list[Record]:
    return [record for record in records if not isinstance(record, Instrument)]


def test_times_in_microseconds_give_the_same_records(tmp_path: Path) -> None:
    expected, _, _ = run(*recorded_1("BINANCE_FUTURES"))
    longer = re.compile(r'("[ET]":\d{13})\b')

    def rewrite(line: str) -> str:
        return longer.sub(r"\g<1>000", line).replace("/stream?", "/stream?timeUnit=MICROSECOND&")

    source = rewritten(tmp_path / "in", "BINANCE_FUTURES", rewrite)
    records, lines, renormaliser = run(source)
    assert facts(records) == facts(expected)
    assert total(lines, "TRADES", "trades") == 91
    assert (renormaliser.remarks, renormaliser.is_all_kept) == ([], True)
    source = rewritten(tmp_path / "finer", "BINANCE_FUTURES", lambda line: longer.sub(r"\g<1>789", line))
    finer = [record.ts_event for record in run(source)[0] if isinstance(record, Trade)]
    assert finer == [record.ts_event + 789_000 for record in expected if isinstance(record, Trade) and record.ts_event]


@pytest.mark.parametrize("digits", ["12", "1", "0123"])
def test_a_time_of_no_known_unit_is_no_row_and_no_success(tmp_path: Path, digits: str) -> None:
    long = re.compile(r'("[ET]":\d{13})\b')
    source = rewritten(tmp_path / "in", "BINANCE_FUTURES", lambda line: long.sub(r"\g<1>" + digits, line))
    records, lines, renormaliser = run(source)
    assert [record for record in records if isinstance(record, Trade)] == []
    assert not renormaliser.is_all_kept
    for line in lines.values():
        if line.subscription.stream == "TRADES":
            what = f"{line.subscription}: {line.messages} messages of {line.channel}, of which neither a row nor a gap came"
            assert (what in renormaliser.remarks) is (line.gaps == 0)


CHINESE = "币安人生"


@pytest.mark.parametrize("is_slash", [False, True])
def test_a_symbol_that_was_encoded_anew_with_escapes_is_the_same_symbol(tmp_path: Path, is_slash: bool) -> None:
    def renamed(line: str) -> str:
        return line.replace("SUSHI", CHINESE).replace("sushi", CHINESE)

    def escaped(line: str) -> str:
        if line.startswith(("wss", "http")) or ": {" not in line:
            return renamed(line)
        time, _, payload = renamed(line).partition(": ")
        text = json.dumps(json.loads(payload))
        return f"{time}: " + (text.replace("/", "\\/") if is_slash else text)

    plain, lines, _ = run(rewritten(tmp_path / "plain", "BINANCE_FUTURES", renamed))
    records, again, renormaliser = run(rewritten(tmp_path / "escaped", "BINANCE_FUTURES", escaped))
    assert total(lines, "L2", "applied") == total(again, "L2", "applied") == 752
    assert facts(records) == facts(plain)
    assert (renormaliser.remarks, renormaliser.is_all_kept) == ([], True)
    assert f"L2:BINANCE_FUTURES@{CHINESE}USDT" in again


@pytest.mark.parametrize("name", ["OKX", "DERIBIT"])
def test_names_with_escapes_are_read_on_every_venue(tmp_path: Path, name: str) -> None:
    def escaped(line: str) -> str:
        return line if line.startswith(("wss", "http")) else re.sub(r"(?<=[A-Z])-(?=[0-9A-Z])", r"\\u002d", line)

    expected, lines, _ = run(*recorded_1(name))
    records, again, renormaliser = run(rewritten(tmp_path / "in", name, escaped))
    assert again.keys() == lines.keys()
    assert facts(records) == facts(expected)
    assert renormaliser.is_all_kept


def turned(value: object) -> object:
    """A JSON value with the members of every object the other way round."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("has_url", [True, False])
@pytest.mark.parametrize("name", ["BINANCE_FUTURES", "OKX", "DERIBIT"])
def test_messages_that_were_encoded_anew_in_another_order_give_the_same_records(
    tmp_path: Path, name: str, is_sorted: bool, has_url: bool
) -> None:
    def encoded(line: str) -> str:
        if line.startswith("http") or ": {" not in line:
            return line if has_url or not line.startswith("wss") else ""
        place, _, payload = line.partition(": ")
        value = json.loads(payload)
        return f"{place}: " + json.dumps(value if is_sorted else turned(value), sort_keys=is_sorted)

    expected, lines, _ = run(*recorded_1(name))
    records, again, renormaliser = run(rewritten(tmp_path / "in", name, encoded))
    assert {key: line.messages for key, line in again.items()} == {key: line.messages for key, line in lines.items()}
    kept, whole = ([one for one in found if isinstance(one, Trade | BookUpdate)] for found in (records, expected))
    assert kept == whole
    assert renormaliser.is_all_kept
