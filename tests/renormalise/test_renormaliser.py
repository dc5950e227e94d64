"""Recordings -> records: the figures of the real ones, and what becomes of loss, damage, overlap and missing answers."""

import gzip
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.captures import captures
from tests.renormalise.runs import collected, recorded_1, rows, run, total
from xtrader.errors import ConfigError
from xtrader.model.book import Book
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.renormalise.renormaliser import Renormaliser


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
