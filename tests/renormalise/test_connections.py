"""Recordings of several connections, or of one that was made again: one stream, and a gap where none of them has anything."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.renormalise.runs import MS, REST, START, WS, connection, delta, numbers, recorded_1, rows, run, total, trade
from xtrader.model.market import BookUpdate, Coverage, Record
from xtrader.recordings.raw import RawWriter


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
