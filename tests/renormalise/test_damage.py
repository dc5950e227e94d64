"""Recordings that lack something, or of which something cannot be read: what is there is kept, and what is not is said."""

import gzip
import json
from pathlib import Path

import pytest

from tests.captures import captures
from tests.renormalise.runs import MS, REST, START, WS, collected, connection, delta, numbers, recorded_1, rows, run, total, trade
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.recordings.raw import RawWriter


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
