"""Recordings -> records: the figures of the real ones, and what becomes of loss, damage, overlap and missing answers."""

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from tests.captures import captures
from tests.recordings.raw_copy import copy_raw
from xtrader.errors import ConfigError
from xtrader.model.book import Book
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.recordings.detect import open_recordings
from xtrader.recordings.events import Answered, Opened, Received, Sent
from xtrader.recordings.raw import RawWriter
from xtrader.renormalise.renormaliser import Converted, Renormaliser

START = 1_700_000_000_000_000_000
MS = 1_000_000
WS = "wss://stream.binance.com:9443/stream"
REST = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000"


def run(*files: Path, exchange: str | None = None) -> tuple[list[Record], dict[str, Converted], Renormaliser]:
    renormaliser = Renormaliser(files, exchange)
    records = list(renormaliser.records())
    return records, {str(line.subscription): line for line in renormaliser.summary()}, renormaliser


def total(lines: dict[str, Converted], stream: str, field: str) -> int:
    return sum(getattr(line, field) for line in lines.values() if line.subscription.stream == stream)


def rows(records: list[Record], state: str) -> list[Coverage]:
    return [record for record in records if isinstance(record, Coverage) and record.state == state]


def recorded_1(name: str) -> list[Path]:
    return sorted((captures() / "recorded-1").glob(f"{name}.*"))


def test_the_figures_of_the_binance_futures_recording_come_out() -> None:
    records, lines, renormaliser = run(*recorded_1("BINANCE_FUTURES"))
    assert [total(lines, "L2", field) for field in ("messages", "applied", "skipped", "breaks", "gaps")] == [764, 752, 12, 0, 0]
    assert total(lines, "TRADES", "trades") == 91
    assert Counter(type(record) for record in records if isinstance(record, Trade | BookUpdate)) == {BookUpdate: 756, Trade: 91}
    assert renormaliser.remarks == []
    assert renormaliser.instruments["BINANCE_FUTURES@SUSHIUSDT"].tick_size == 0.001
    assert {instrument.source for instrument in renormaliser.instruments.values()} == {"venue"}


def test_the_figures_of_the_okx_recording_come_out() -> None:
    _, lines, renormaliser = run(*recorded_1("OKX"))
    assert [total(lines, "L2", field) for field in ("messages", "checksums", "breaks", "gaps")] == [290, 290, 0, 0]
    assert total(lines, "TRADES", "trades") == 74
    book = lines["L2:OKX_SPOT@BTC-USDT"]
    assert (book.bid_levels, book.ask_levels) == (400, 400)
    assert set(renormaliser.markets) == {"OKX_SPOT", "OKX_SWAP", "OKX_FUTURES"}
    assert renormaliser.instruments["OKX_FUTURES@BTC-USD-220527"].contract_size == 100.0


def test_the_figures_of_the_deribit_recording_come_out() -> None:
    records, lines, renormaliser = run(*recorded_1("DERIBIT"))
    books = [record for record in records if isinstance(record, BookUpdate)]
    assert (len(books), sum(book.is_snapshot for book in books)) == (46, 10)
    assert (total(lines, "L2", "breaks"), rows(records, "gap")) == (0, [])
    assert renormaliser.markets["DERIBIT"].environment == "production"
    assert renormaliser.instruments["DERIBIT@BTC-24SEP21-8000-P"].strike == 8000.0
    quiet = [line for line in lines.values() if line.subscription.stream == "TRADES"]
    assert len(quiet) == 10
    assert len([row for row in rows(records, "live") if row.stream == "TRADES"]) == 20, "ten intervals, opened and closed"


@pytest.mark.parametrize(
    ("file", "exchange", "expected", "best", "levels"),
    [
        ("spot_btcusdt", "BINANCE_SPOT", (3451, 3449, 2, 9757), ((61685.99, 1.0087), (61686.0, 2.29327)), (1209, 2196)),
        ("usdm_btcusdt", "BINANCE_FUTURES", (6551, 6547, 4, 21313), ((61659.7, 1.486), (61659.8, 0.981)), (5018, 4578)),
    ],
)
def test_the_figures_of_the_hftbacktest_recordings_come_out(
    file: str,
    exchange: str,
    expected: tuple[int, ...],
    best: tuple[tuple[float, float], ...],
    levels: tuple[int, int],
) -> None:
    records, lines, _ = run(captures() / "recorded-2" / f"{file}_20240808.gz")
    book, trades = lines[f"L2:{exchange}@BTCUSDT"], lines[f"TRADES:{exchange}@BTCUSDT"]
    assert (book.messages, book.applied, book.skipped, trades.trades) == expected
    assert (book.breaks, book.gaps, trades.gaps, book.counts.get("crossed", 0)) == (0, 0, 0, 0)
    assert ((book.bid, book.ask), (book.bid_levels, book.ask_levels)) == (best, levels)
    assert {line.subscription.exchange for line in lines.values()} == {exchange}
    ids = [record.sequence for record in records if isinstance(record, Trade)]
    assert all(b == a + 1 for a, b in pairwise(id_ for id_ in ids if id_ is not None))
    rebuilt = Book()
    for record in records:
        if isinstance(record, BookUpdate):
            rebuilt.apply(record)
    assert (rebuilt.best(), (len(rebuilt.bids.sizes), len(rebuilt.asks.sizes))) == (best, levels)
    assert any(record.ts_recv < (record.ts_event or 0) for record in records if isinstance(record, Trade)), "as the clock was"


def test_records_keep_the_time_at_which_each_message_was_received() -> None:
    records, _, _ = run(*recorded_1("BINANCE_FUTURES"))
    sushi = [record for record in records if isinstance(record, BookUpdate) and record.instrument.endswith("SUSHIUSDT")]
    assert (sushi[0].is_snapshot, sushi[0].ts_recv, sushi[0].sequence) == (True, 1626992741301402000, 600859605926)
    assert sushi[1].prev_sequence == 600859604824
    assert sushi[1].ts_event is not None


def test_every_interval_of_coverage_is_closed_at_the_end() -> None:
    records, _, _ = run(*recorded_1("BINANCE_FUTURES"))
    opened: dict[tuple[str, str], Coverage] = {}
    for record in records:
        if isinstance(record, Coverage):
            place = (record.instrument, record.stream)
            if record.ts_to is None:
                assert place not in opened
                opened[place] = record
            else:
                assert opened.pop(place).ts_from == record.ts_from
                assert record.ts_to >= record.ts_from
    assert opened == {}


def test_a_websocket_file_alone_gives_the_trades_and_says_why_there_are_no_books() -> None:
    records, lines, renormaliser = run(captures() / "recorded-1" / "BINANCE_FUTURES.ws.1.0.gz")
    assert (total(lines, "TRADES", "trades"), total(lines, "L2", "applied")) == (91, 0)
    assert renormaliser.remarks == [
        f"L2:BINANCE_FUTURES@{symbol}: the files hold no snapshot of its book, so its changes could not be applied"
        for symbol in ("AKROUSDT", "CTKUSDT", "KEEPUSDT", "SUSHIUSDT")
    ]
    assert {record.source for record in records if isinstance(record, Instrument)} == {"rule"}


def test_what_comes_before_the_cut_of_a_truncated_file_is_kept_and_the_cut_is_told(tmp_path: Path) -> None:
    source = captures() / "recorded-2" / "spot_btcusdt_20240808.gz"
    whole, _, _ = run(source)
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes()[:400_000])
    records, _, renormaliser = run(path)
    kept = [record for record in records if isinstance(record, Trade | BookUpdate)]
    assert kept == [record for record in whole if isinstance(record, Trade | BookUpdate)][: len(kept)]
    assert len(kept) > 3000
    assert len(renormaliser.remarks) == 1
    assert "is cut off or damaged after line" in renormaliser.remarks[0]


def test_an_answer_that_was_recorded_before_it_is_asked_for_is_given_at_once(tmp_path: Path) -> None:
    for path in recorded_1("BINANCE_FUTURES"):
        text = gzip.decompress(path.read_bytes())
        (tmp_path / path.name).write_bytes(text.replace(b" -> 16269927", b" -> 16269926") if ".http." in path.name else text)
    _, lines, _ = run(tmp_path)
    assert (total(lines, "L2", "applied"), total(lines, "L2", "skipped")) == (752, 12)


def delta(n: int) -> bytes:
    data = {"e": "depthUpdate", "E": n, "s": "BTCUSDT", "U": n, "u": n, "b": [["100", str(n)]], "a": [["101", str(n)]]}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode()


def trade(n: int) -> bytes:
    data = {"e": "trade", "E": n, "s": "BTCUSDT", "t": n, "p": "100", "q": str(n), "T": n, "m": True, "M": True}
    return json.dumps({"stream": "btcusdt@trade", "data": data}).encode()


def connection(directory: Path, first: int, last: int, snapshot: int, *, is_closed: bool = True) -> None:
    """A raw file of one connection that carried updates and trades `first` to `last`, one a millisecond each."""
    writer = RawWriter(directory, "BINANCE_SPOT", "BINANCE_SPOT/0", WS, START + first * MS)
    for n in range(first, last + 1):
        writer.received(delta(n), START + n * MS + 1)
        writer.received(trade(n), START + n * MS + 2)
        if n == snapshot:
            body = json.dumps({"lastUpdateId": n, "bids": [["100", "1"]], "asks": [["101", "1"]]}).encode()
            writer.answered(REST, 200, body, {}, START + n * MS + 3)
    if is_closed:
        writer.close()
    else:
        writer.flush()


def numbers(records: list[Record]) -> tuple[list[int | None], list[int | None]]:
    """(trade numbers, book numbers without snapshots)."""
    trades = [record.sequence for record in records if isinstance(record, Trade)]
    return trades, [record.sequence for record in records if isinstance(record, BookUpdate) and not record.is_snapshot]


@pytest.mark.parametrize("is_closed", [True, False])
def test_two_connections_that_overlap_are_one_stream_without_a_gap(tmp_path: Path, is_closed: bool) -> None:
    connection(tmp_path, 1, 60, snapshot=3, is_closed=is_closed)
    connection(tmp_path, 40, 100, snapshot=45)
    records, lines, _ = run(tmp_path)
    assert numbers(records) == (list(range(1, 101)), list(range(4, 101)))
    assert rows(records, "gap") == []
    assert lines["L2:BINANCE_SPOT@BTCUSDT"].bid == (100.0, 100.0)


def test_a_second_connection_whose_book_is_not_in_sync_yet_begins_with_a_gap(tmp_path: Path) -> None:
    connection(tmp_path, 1, 60, snapshot=3)
    connection(tmp_path, 40, 100, snapshot=70)
    records, _, _ = run(tmp_path)
    assert numbers(records) == (list(range(1, 101)), [*range(4, 61), *range(71, 101)])
    assert [(row.stream, row.cause, row.ts_from) for row in rows(records, "gap") if row.ts_to is None] == [
        ("L2", "disconnect", START + 60 * MS + 1)
    ]


def test_of_two_connections_that_wait_for_a_snapshot_the_one_that_asked_gets_its_own(tmp_path: Path) -> None:
    first, second = (RawWriter(tmp_path, "BINANCE_SPOT", f"BINANCE_SPOT/{n}", WS, START + n) for n in (0, 1))
    body = json.dumps({"lastUpdateId": 5, "bids": [["100", "1"]], "asks": [["101", "1"]]}).encode()
    for n in range(1, 20):
        first.received(delta(n), START + n * MS)
        second.received(delta(n), START + n * MS + 7)
        if n in (5, 9):
            (second if n == 5 else first).answered(REST, 200, body, {}, START + n * MS + 20)
    first.close()
    second.close()
    records, _, _ = run(tmp_path)
    books = [record for record in records if isinstance(record, BookUpdate)]
    assert [(book.sequence, book.ts_recv - START) for book in books] == [
        (5, 5 * MS + 20),
        *((n, n * MS + 7) for n in range(6, 20)),
    ]


def test_a_connection_that_was_lost_and_made_again_is_a_gap(tmp_path: Path) -> None:
    connection(tmp_path, 1, 40, snapshot=3)
    connection(tmp_path, 60, 100, snapshot=65)
    records, _, _ = run(tmp_path)
    assert numbers(records) == ([*range(1, 41), *range(60, 101)], [*range(4, 41), *range(66, 101)])
    lost = [(row.stream, row.cause, row.ts_from, row.ts_to) for row in rows(records, "gap")]
    assert ("L2", "disconnect", START + 40 * MS + 1, START + 60 * MS) in lost
    assert ("TRADES", "disconnect", START + 40 * MS + 2, START + 60 * MS) in lost
    assert [row.detail for row in rows(records, "gap") if "missing" in row.detail] == ["missing ids 41 to 59 (19)"]


@pytest.mark.parametrize("end", ["the connection ends", "a message cannot be read"])
def test_what_was_acknowledged_and_never_delivered_is_not_live(tmp_path: Path, end: str) -> None:
    def of(channel: str, **more: object) -> bytes:
        return json.dumps({"arg": {"channel": channel, "instId": "BTC-USDT-SWAP"}, **more}).encode()

    url = "wss://ws.okx.com:8443/ws/v5/public"
    writer = RawWriter(tmp_path, "OKX_SWAP", "OKX_SWAP/0", url, START)
    writer.received(of("trades", event="subscribe", connId="1"), START + MS)
    levels = {"asks": [["2", "1", "0", "1"]], "bids": [["1", "1", "0", "1"]], "ts": "1", "checksum": 0}
    for n in range(2, 10):
        numbers = {"seqId": n, "prevSeqId": n - 1 if n > 2 else -1}
        action = "update" if n > 2 else "snapshot"
        writer.received(of("books", action=action, data=[{**levels, **numbers}]), START + n * MS)
    if end == "a message cannot be read":
        writer.received(of("trades", data=[{"instId": "BTC-USDT-SWAP", "px": "x"}]), START + 10 * MS)
    writer.close()
    if end == "the connection ends":
        again = RawWriter(tmp_path, "OKX_SWAP", "OKX_SWAP/0", url, START + 20 * MS)
        again.received(of("trades", event="subscribe", connId="2"), START + 21 * MS)
        again.close()
    records, _, _ = run(tmp_path)
    found = [row for row in records if isinstance(row, Coverage) and row.stream == "TRADES" and row.ts_to is not None]
    assert found[1].state == "live"
    assert found[1].ts_from == found[1].ts_to == START + MS
    assert (found[2].state, found[2].ts_from) == ("gap", START + MS)
    assert found[2].ts_to == START + (20 if end == "the connection ends" else 10) * MS


def tape(directory: Path, ids: Iterable[int], opened: int, late: int = 0) -> None:
    """A raw file of one connection, opened at `opened` ms, that carried these trades, each `late` ms after its own time."""
    writer = RawWriter(directory, "BINANCE_SPOT", "BINANCE_SPOT/0", WS, START + opened * MS)
    for n in ids:
        writer.received(trade(n), START + (n + late) * MS)
    writer.close()


def trade_rows(records: list[Record]) -> list[tuple[str, str, int | None, int | None]]:
    """The closed coverage rows of trades that are no plain live or syncing ones, as (state, cause, ids)."""
    closed = [row for row in records if isinstance(row, Coverage) and row.stream == "TRADES" and row.ts_to is not None]
    return [(row.state, row.cause, row.ids_from, row.ids_to) for row in closed if row.state == "gap" or row.cause == "filled"]


def test_a_connection_made_again_to_a_gateway_that_is_behind_doubles_no_trade(tmp_path: Path) -> None:
    tape(tmp_path, range(1, 4001), opened=0)
    tape(tmp_path, range(1001, 6001), opened=4100, late=3200)
    records, _, _ = run(tmp_path)
    assert numbers(records)[0] == list(range(1, 6001))
    assert trade_rows(records) == [("gap", "disconnect", None, None)]


@pytest.mark.parametrize("late", [0, 15, 35])
def test_a_second_connection_that_is_behind_takes_over_without_a_gap_and_doubles_nothing(tmp_path: Path, late: int) -> None:
    tape(tmp_path, range(1, 61), opened=0)
    tape(tmp_path, range(20, 101), opened=18, late=late)
    records, _, _ = run(tmp_path)
    assert numbers(records)[0] == list(range(1, 101))
    assert trade_rows(records) == []


def test_what_one_of_two_connections_missed_is_taken_from_the_other_without_a_gap(tmp_path: Path) -> None:
    tape(tmp_path, [n for n in range(1, 61) if n not in (30, 50)], opened=0)
    tape(tmp_path, [n for n in range(40, 101) if n not in (45, 70)], opened=35)
    records, lines, _ = run(tmp_path)
    stored = [n for n in numbers(records)[0] if n is not None]
    assert len(stored) == len(set(stored))
    assert sorted(stored) == [n for n in range(1, 101) if n not in (30, 70)]
    assert trade_rows(records) == [
        ("gap", "venue_gap", 30, 30),
        ("gap", "venue_gap", 70, 70),
    ]
    assert lines["TRADES:BINANCE_SPOT@BTCUSDT"].trades == len(stored)


def test_what_neither_of_two_connections_has_is_a_gap_where_one_takes_over_from_the_other(tmp_path: Path) -> None:
    tape(tmp_path, range(1, 51), opened=0)
    writer = RawWriter(tmp_path, "BINANCE_SPOT", "BINANCE_SPOT/0", WS, START + 45 * MS)
    for n in range(55, 101):
        writer.received(trade(n), START + (n - 8) * MS)
    writer.close()
    records, _, _ = run(tmp_path)
    assert numbers(records)[0] == [*range(1, 51), *range(55, 101)]
    assert [row[2:] for row in trade_rows(records)] == [(51, 54)]


def test_a_list_of_trades_that_reaches_over_the_end_of_another_connection_is_stored_once(tmp_path: Path) -> None:
    def push(*ids: int) -> bytes:
        row = {"price": 1.5, "direction": "buy", "amount": 20, "instrument_name": "BTC-PERPETUAL"}
        data = [row | {"timestamp": n, "trade_id": str(9000 + n), "trade_seq": n} for n in ids]
        params = {"channel": "trades.BTC-PERPETUAL.100ms", "data": data}
        return json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": params}).encode()

    url = "wss://www.deribit.com/ws/api/v2"
    for opened, ids in ((0, range(1, 59, 3)), (28, range(30, 99, 3))):
        writer = RawWriter(tmp_path, "DERIBIT", f"DERIBIT/{opened}", url, START + opened * MS)
        for n in ids:
            writer.received(push(n + 1, n, n + 2) if opened == 0 else push(n - 1, n, n + 1), START + n * MS)
        writer.close()
    records, _, _ = run(tmp_path)
    assert numbers(records)[0] == list(range(1, 98))
    assert trade_rows(records) == []


def test_the_same_connection_opened_again_is_a_gap(tmp_path: Path) -> None:
    lines: dict[str, list[bytes]] = defaultdict(list)
    for path in recorded_1("BINANCE_FUTURES"):
        lines[path.name] = gzip.decompress(path.read_bytes()).splitlines()
    ws = lines["BINANCE_FUTURES.ws.1.0.gz"]
    again = ws[0].split(b" ")[0] + b" <-> " + ws[800].split(b": ")[0]
    ws.insert(800, again)
    for name, text in lines.items():
        (tmp_path / name).write_bytes(b"\n".join(text) + b"\n")
    records, found, _ = run(tmp_path)
    assert total(found, "TRADES", "trades") == 91
    assert {row.cause for row in rows(records, "gap")} == {"disconnect"}
    assert len(rows(records, "gap")) >= 8
    assert all(row.ts_to is not None for row in rows(records, "gap"))


def test_a_message_that_cannot_be_read_is_a_gap_and_trades_go_on(tmp_path: Path) -> None:
    writer = RawWriter(tmp_path, "BINANCE_SPOT", "BINANCE_SPOT/0", WS, START)
    for n in range(1, 10):
        writer.received(trade(n) if n != 5 else trade(n).replace(b'"p": "100"', b'"p": "x"'), START + n)
    writer.close()
    records, lines, _ = run(tmp_path)
    assert numbers(records)[0] == [1, 2, 3, 4, 6, 7, 8, 9]
    first, second = rows(records, "gap")
    assert (first.cause, first.ts_from, first.ts_to) == ("malformed", START + 4, START + 5)
    assert second.detail == "missing ids 5 to 5 (1)"
    assert lines["TRADES:BINANCE_SPOT@BTCUSDT"].gaps == 2


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


def collected(path: Path, *payloads: str) -> Path:
    path.write_text("".join(f"{START + n} {payload}\n" for n, payload in enumerate(payloads)))
    return path


@pytest.mark.parametrize(
    ("symbol", "more", "key"),
    [
        ("btcusd_perp", "", "COINM"),
        ("btcusd_240927", "", "COINM"),
        ("btcusdt_240927", "", "FUTURES"),
        ("ethusdt", "", "FUTURES"),
        ("ethusdt", ',"M":true', "SPOT"),
    ],
)
def test_the_exchange_is_told_by_the_messages_where_there_is_no_url(tmp_path: Path, symbol: str, more: str, key: str) -> None:
    data = f'{{"e":"aggTrade","E":1,"a":1,"s":"{symbol.upper()}","p":"1","q":"1","f":1,"l":1,"T":1,"m":true{more}}}'
    path = collected(tmp_path / "a", f'{{"stream":"{symbol}@aggTrade","data":{data}}}')
    _, lines, _ = run(path)
    assert list(lines) == [f"TRADES:BINANCE_{key}@{symbol.upper()}"]
    assert lines[f"TRADES:BINANCE_{key}@{symbol.upper()}"].trades == 1


def test_of_two_trade_streams_the_one_of_a_live_run_is_taken(tmp_path: Path) -> None:
    common = '"s":"ETHUSDT","E":1,"T":1,"p":"1","m":true'
    single = f'{{"stream":"ethusdt@trade","data":{{"e":"trade",{common},"q":"1","t":%d,"X":"MARKET"}}}}'
    merged = f'{{"stream":"ethusdt@aggTrade","data":{{"e":"aggTrade",{common},"q":"2","a":%d,"f":1,"l":2}}}}'
    path = collected(tmp_path / "a", single % 1, single % 2, merged % 1)
    records, lines, _ = run(path)
    assert [record.size for record in records if isinstance(record, Trade)] == [2.0]
    assert lines["TRADES:BINANCE_FUTURES@ETHUSDT"].channel == "ethusdt@aggTrade"


def test_the_exchange_can_be_said_where_the_place_is_not_known(tmp_path: Path) -> None:
    for path in recorded_1("BINANCE_FUTURES"):
        text = gzip.decompress(path.read_bytes()).replace(b"wss://fstream.binance.com", b"wss://mirror.example.com")
        (tmp_path / path.name).write_bytes(text)
    with pytest.raises(ConfigError, match=r"BINANCE_FUTURES: no book and no trades of .*say which with --exchange"):
        Renormaliser([tmp_path])
    _, lines, _ = run(tmp_path, exchange="binance_futures")
    assert total(lines, "L2", "applied") == 752


def test_an_exchange_that_is_not_in_the_recording_is_refused() -> None:
    with pytest.raises(ConfigError, match="OKX: no book and no trades of OKX_OPTION in it"):
        Renormaliser(recorded_1("OKX"), "OKX_OPTION")
    with pytest.raises(ConfigError, match=r"unknown exchange 'KRAKEN'; known are BINANCE_COINM, "):
        Renormaliser(recorded_1("OKX"), "KRAKEN")


def test_only_the_exchange_that_is_said_is_read() -> None:
    _, lines, _ = run(*recorded_1("OKX"), exchange="OKX_SWAP")
    assert sorted(lines) == ["L2:OKX_SWAP@UNI-USD-SWAP", "TRADES:OKX_SWAP@UNI-USD-SWAP"]
    assert lines["L2:OKX_SWAP@UNI-USD-SWAP"].checksums == 93


def test_a_catalogue_that_changed_while_it_was_recorded_gives_a_row_at_the_time_of_the_change(tmp_path: Path) -> None:
    place = "wss://ws.okx.com:8443/ws/v5/public"
    catalogue = "https://www.okx.com/api/v5/public/instruments?instType=SWAP"
    lines = [f"{place} <-> 1652459000.0"]
    for second, tick in enumerate(("0.1", "0.1", "0.1", "0.01", "0.01", "0.1")):
        row = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "uly": "BTC-USDT", "tickSz": tick, "state": "live"}
        lines.append(f"{catalogue} -> {1652459010 + 10 * second}.0: " + json.dumps({"code": "0", "data": [row]}))
    for second in range(70):
        data = {"instId": "BTC-USDT-SWAP", "tradeId": str(second), "px": "1", "sz": "1", "side": "buy", "ts": "1652459000000"}
        push = {"arg": {"channel": "trades", "instId": "BTC-USDT-SWAP"}, "data": [data]}
        lines.append(f"{1652459001 + second}.5: " + json.dumps(push))
    lines.sort(key=lambda line: float(line.split(": ")[0].split()[-1]))
    path = tmp_path / "OKX.ws.1.0"
    path.write_text("\n".join(lines) + "\n")
    records, _, _ = run(path)
    told = [(place, row) for place, row in enumerate(records) if isinstance(row, Instrument)]
    assert [(row.tick_size, row.ts // 10**9) for _, row in told] == [(0.1, 1652459010), (0.01, 1652459040), (0.1, 1652459060)]
    for place, row in told[1:]:
        times = [one.ts_recv for one in records[:place] if isinstance(one, Trade)]
        assert max(times) < row.ts <= min(one.ts_recv for one in records[place:] if isinstance(one, Trade))


def test_what_was_not_read_is_said_and_the_rest_is_kept(tmp_path: Path) -> None:
    connection(tmp_path, 1, 20, snapshot=3)
    (tmp_path / "notes.txt").write_text("what I did\n")
    _, _, renormaliser = run(tmp_path)
    assert renormaliser.remarks == [f"not read, as no recording is in it: {tmp_path}/notes.txt"]
    assert renormaliser.is_all_kept, "nobody said that it is a recording"
    _, lines, renormaliser = run(*tmp_path.iterdir())
    assert total(lines, "TRADES", "trades") == 20
    assert "notes.txt is not a recording" in renormaliser.remarks[0]
    assert not renormaliser.is_all_kept


def test_a_recording_of_a_place_that_is_not_known_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    connection(tmp_path, 1, 20, snapshot=3)
    (tmp_path / "K.ws.1.0").write_text('wss://ws.kraken.com <-> 1700000000.5\n1700000001.5: {"channel":"trade","data":[]}\n')
    _, lines, renormaliser = run(tmp_path)
    assert total(lines, "TRADES", "trades") == 20
    (remark,) = renormaliser.remarks
    assert remark.startswith("K: no book and no trades of ")
    assert not renormaliser.is_all_kept


def test_a_subscription_of_whose_messages_nothing_came_is_named_in_one_sentence(tmp_path: Path) -> None:
    void = '{"e":"trade","E":1,"s":"ETHUSDT","t":%d,"p":"0","q":"0","T":1,"m":true,"X":"NA"}'
    path = collected(tmp_path / "a", *(f'{{"stream":"ethusdt@trade","data":{void % n}}}' for n in range(3)))
    _, lines, renormaliser = run(path)
    assert total(lines, "TRADES", "trades") == 0
    assert renormaliser.remarks == [
        "TRADES:BINANCE_FUTURES@ETHUSDT: 3 messages of ethusdt@trade, of which neither a row nor a gap came"
    ]
    assert not renormaliser.is_all_kept


def test_a_book_without_a_snapshot_is_said_once_however_many_recordings_hold_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        connection(tmp_path / name, 1, 20, snapshot=0)
    _, _, renormaliser = run(tmp_path)
    assert renormaliser.remarks == [
        "L2:BINANCE_SPOT@BTCUSDT: the files hold no snapshot of its book, so its changes could not be applied"
    ]
    assert not renormaliser.is_all_kept


def okx_trade(n: int, *, count: bool) -> str:
    many = ',"count":"1"' if count else ""
    row = f'{{"instId":"BTC-USDT","tradeId":"{n}","px":"1","sz":"1","side":"buy","ts":"{START // MS + n}"{many}}}'
    return f'{{"arg":{{"channel":"trades","instId":"BTC-USDT"}},"data":[{row}]}}'


@pytest.mark.parametrize("count", [True, False])
def test_after_a_torn_line_a_gap_is_written_where_the_numbers_do_not_prove_that_nothing_is_missing(
    tmp_path: Path, count: bool
) -> None:
    path = tmp_path / "a"
    texts = [okx_trade(n, count=count) for n in (1, 2, 3, 5, 6)]
    texts[2] = texts[2][:80]
    collected(path, *texts, okx_trade(7, count=count)[:90])
    records, _, renormaliser = run(path)
    assert numbers(records)[0] == [1, 2, 5, 6]
    first, *_, last = rows(records, "gap")
    assert (first.ts_from, first.ts_to, first.cause) == (START + 1, START + 3, "venue_gap" if count else "malformed")
    assert (last.ts_from, last.ts_to, last.cause) == (START + 4, START + 4, "malformed"), "what came last may be missing too"
    assert renormaliser.remarks == ["a: 2 lines left out (3, 6): expected `nanoseconds {json}`"]


def test_a_torn_line_of_which_nothing_is_missing_is_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "a"
    texts = [okx_trade(n, count=True) for n in (1, 2, 3)]
    collected(path, texts[0], texts[1][:60], texts[1], '{"arg":{"channel":"tickers","instId":"ETH-USDT"},"data":[{', texts[2])
    records, _, _ = run(path)
    assert (numbers(records)[0], rows(records, "gap")) == ([1, 2, 3], [])


def test_the_end_of_a_killed_session_is_a_gap_of_its_own_time(tmp_path: Path) -> None:
    names = ("first", "second")
    spans = (range(1, 400), range(100_000, 100_100))
    for name, span in zip(names, spans, strict=True):
        text = b"".join(b"%d %b\n" % (START + n * MS, trade(n)) for n in span)
        (tmp_path / name).write_bytes(gzip.compress(text))
    first = (tmp_path / "first").read_bytes()
    path = tmp_path / "btcusdt_20231114.gz"
    path.write_bytes(first[: len(first) * 2 // 3] + (tmp_path / "second").read_bytes())
    records, _, renormaliser = run(path)
    ids = numbers(records)[0]
    kept = len(ids) - 100
    assert kept > 100
    assert ids == [*range(1, kept + 1), *spans[1]]
    gaps = rows(records, "gap")
    assert min(row.ts_from for row in gaps) == START + kept * MS
    assert max(row.ts_to or 0 for row in gaps) == START + 100_000 * MS
    assert any("cut off or damaged after line" in remark for remark in renormaliser.remarks)


def test_an_answer_whose_time_is_over_a_day_from_any_message_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "X.ws.1.0").write_bytes(
        b"wss://stream.binance.com:9443/stream <-> 1700000000.0\n"
        + b"".join(b"1700000001.%06d: %b\n" % (n, delta(n)) for n in range(1, 30))
    )
    body = b'{"lastUpdateId":5,"bids":[["100","1"]],"asks":[["101","1"]]}'
    answer = b"https://api.binance.com/api/v3/depth?symbol=BTCUSDT -> %d.0: %b\n"
    (tmp_path / "X.http.0.0").write_bytes(answer % (1_800_000_001, body))
    records, lines, renormaliser = run(tmp_path)
    assert total(lines, "L2", "applied") == 0
    assert max(row.ts_to or 0 for row in records if isinstance(row, Coverage)) < START + 10**10
    assert "depth?symbol=BTCUSDT is over a day from any message, and was left out" in renormaliser.remarks[0]
    (tmp_path / "X.http.0.0").write_bytes(answer % (1_700_000_001, body))
    assert total(run(tmp_path)[1], "L2", "applied") == 24


def test_a_shallow_snapshot_says_so_and_a_recorded_deeper_one_takes_its_place(tmp_path: Path) -> None:
    writer = RawWriter(tmp_path, "BINANCE_SPOT", "BINANCE_SPOT/0", WS, START)

    def answered(at: int, limit: int, number: int) -> None:
        body = json.dumps({"lastUpdateId": number, "bids": [["100", "1"]], "asks": [["101", "1"]]}).encode()
        writer.answered(REST.replace("5000", str(limit)), 200, body, {}, START + at * 100 * MS + 3)

    for n in range(1, 60):
        writer.received(delta(n), START + n * 100 * MS + 1)
        if n == 3:
            answered(n, 100, n)
        if n == 20:
            answered(n, 1000, n)
        if n == 40:
            answered(n, 5000, n - 2)
    writer.close()
    records, _, _ = run(tmp_path)
    assert numbers(records)[1] == list(range(4, 60))
    lives = [(row.depth, row.ts_from) for row in rows(records, "live") if row.ts_to is None]
    assert lives == [(100, START + 300 * MS + 3), (5000, START + 4000 * MS + 3)]
    assert rows(records, "gap") == []
    assert [record.sequence for record in records if isinstance(record, BookUpdate) and record.is_snapshot] == [3, 40]


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
