"""Each fault at each venue: what is not stored is declared, what is declared has a reason, and nobody else is disturbed."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.faults.cases import STORIES, SYMBOLS, faults
from tests.faults.oracle import HARMLESS, judge, teeth, timeline, trades
from tests.faults.world import VENUES, Outcome, Plan, record
from xtrader.emulator.faults import parse
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import Timers
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription

CANNOT = {name: made.cannot for name, made in Emulator(VENUES, instruments=1).venues.items()}


@pytest.mark.parametrize("story", STORIES)
def test_what_is_lost_is_declared_and_nothing_else(story: str) -> None:
    planned = {exchange: faults(story, exchange, CANNOT[exchange]) for exchange in VENUES}
    outcome = record(Plan([fault for of in planned.values() for fault in of]))
    assert judge(outcome) == []
    assert outcome.pending == []
    for exchange, of in planned.items():
        happened = teeth([fault for _, fault in outcome.faults if fault.exchange == exchange])
        for fault in of:
            assert happened[fault.kind] >= fault.times, f"{fault} happened {happened[fault.kind]} times"
    if story in (*HARMLESS, "notice"):
        told = [row for row in outcome.records if type(row) is Coverage and row.state == "gap"]
        assert told == []


WORDS = {
    "BINANCE_SPOT": "400 -1121 Invalid symbol.",
    "BINANCE_FUTURES": "400 -1121 Invalid symbol.",
    "OKX_SWAP": "51001 Instrument ID doesn't exist",
    "DERIBIT": "-32602 Invalid params wrong format",
    "BYBIT_LINEAR": "10001 params error: Symbol Is Invalid",
}


def delisted(outcome: Outcome, exchange: str) -> dict[str, list[Coverage]]:
    """The rows by stream that an instrument was gone."""
    key = f"{exchange}@{SYMBOLS[exchange]}"
    told = [row for row in outcome.records if type(row) is Coverage and (row.state, row.cause) == ("gap", "delisted")]
    assert {row.instrument for row in told} == {f"{name}@{SYMBOLS[name]}" for name in VENUES}
    of = [row for row in told if row.instrument == key and row.ts_to is not None]
    return {stream: [row for row in of if row.stream == stream] for stream in ("L2", "TRADES")}


def last_before(outcome: Outcome, row: Coverage) -> int:
    """When the last record came of what a row is about, before it began."""
    kind = BookUpdate if row.stream == "L2" else Trade
    found = [one.ts_recv for one in outcome.records if type(one) is kind and one.instrument == row.instrument]
    return max(ts for ts in found if ts <= row.ts_from)


def test_an_instrument_that_is_delisted_while_it_is_recorded_is_a_gap_since_its_last_message_until_it_is_back() -> None:
    outcome = record(Plan([parse(f"delisted:L2:{name}@{SYMBOLS[name]}:after=5,seconds=150") for name in VENUES], at_least=150))
    assert judge(outcome) == []
    assert outcome.reconnects == 0
    for exchange in VENUES:
        for rows in delisted(outcome, exchange).values():
            (row,) = rows
            assert row.detail.startswith(WORDS[exchange])
            assert row.ts_to is not None
            assert row.ts_from == last_before(outcome, row)
            assert 100 < (row.ts_to - row.ts_from) / 1e9 < 160


def test_an_instrument_that_expired_by_the_catalogue_is_a_gap_without_waiting_for_the_venues_word() -> None:
    gone = {f"{name}@{SYMBOLS[name]}": 1 for name in VENUES}
    faults_ = [parse(f"delisted:L2:{name}@{SYMBOLS[name]}:after=5,seconds=30") for name in VENUES]
    outcome = record(Plan(faults_, expiry=gone.get, at_least=30))
    assert judge(outcome) == []
    for exchange in VENUES:
        for rows in delisted(outcome, exchange).values():
            (row,) = rows
            assert row.detail.startswith("the catalogue says that it expired at 1970-01-01T00:00:00Z")
            assert row.ts_from == last_before(outcome, row)


@pytest.mark.parametrize("exchange", ["BINANCE_SPOT", "BINANCE_FUTURES"])
def test_a_connection_at_the_end_of_its_life_is_replaced_without_a_gap(exchange: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("xtrader.venues.binance.market"), "LIFETIME", 60.0)
    outcome = record(Plan(venues=[exchange], timers=Timers(lifetime=60.0), at_least=200))
    assert judge(outcome) == []
    assert outcome.counts[exchange]["connect"] >= 4
    assert [row for row in outcome.records if type(row) is Coverage and row.state == "gap"] == []


def test_an_instrument_that_is_gone_does_not_keep_its_connection_from_being_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("xtrader.venues.binance.market"), "LIFETIME", 150.0)
    gone = parse("delisted:L2:BINANCE_SPOT@BTCUSDT:after=5,seconds=330")
    outcome = record(Plan([gone], venues=["BINANCE_SPOT"], timers=Timers(lifetime=150.0), at_least=330))
    assert outcome.recovered
    assert outcome.reconnects == 0
    told = [row for row in outcome.records if type(row) is Coverage and row.state == "gap"]
    assert {row.instrument for row in told} == {"BINANCE_SPOT@BTCUSDT"}


def test_a_connection_cut_after_its_life_without_a_word_leaves_gaps_that_say_so() -> None:
    outcome = record(Plan(venues=["BINANCE_SPOT"], timers=Timers(lifetime=30.0), at_least=100))
    gaps = [row for row in outcome.records if type(row) is Coverage and row.state == "gap" and row.cause == "disconnect"]
    assert outcome.recovered
    assert len({row.ts_from for row in gaps if row.detail.startswith("127.0.0.1: closed")}) >= 3
    assert [found for found in judge(outcome) if "no reason" not in found] == []


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 0.7, -0.7])
def test_a_step_of_the_local_clock_is_declared_and_loses_nothing(seconds: float) -> None:
    outcome = record(Plan(steps=[seconds]))
    rows = [row for row in outcome.records if type(row) is Coverage]
    assert outcome.recovered
    assert outcome.reconnects == 0
    stepped = [row for row in rows if row.cause == "clock_step" and row.ts_to is None]
    assert {(row.instrument, row.stream) for row in stepped} == {(s.key, s.stream) for s in outcome.subscriptions}
    assert [row for row in rows if row.state == "gap"] == []


def test_a_name_that_does_not_resolve_is_tried_again_without_haste_and_disturbs_nobody() -> None:
    url = {"XTRADER_OKX_SWAP_WS_URL": "ws://nowhere.invalid:1"}
    outcome = record(Plan(options=url, at_least=100, unreachable="OKX_SWAP"))
    assert 5 <= outcome.reconnects <= 16
    assert [found for found in judge(outcome) if "OKX_SWAP" not in found and "not well" not in found] == []
    told = [row for row in outcome.records if type(row) is Coverage and row.instrument.startswith("OKX") and row.ts_to is None]
    assert {(row.state, row.cause) for row in told} == {("gap", "disconnect")}


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("exchange", VENUES)
def test_what_was_acknowledged_and_never_delivered_is_not_live_when_the_recording_stops(exchange: str, connections: int) -> None:
    target = f"TRADES:{exchange}@{SYMBOLS[exchange]}"
    stories = (f"close_1006:{target}:after=5", f"never_delivers:{target}:times={connections}")
    outcome = record(Plan([parse(text) for text in stories], venues=[exchange], connections=connections, stopped=7))
    one = Subscription("TRADES", exchange, SYMBOLS[exchange])
    assert teeth([fault for _, fault in outcome.faults])["never_delivers"] == connections
    intervals = timeline(outcome, one)
    assert (intervals[-1].state, intervals[-1].cause) == ("gap", "shutdown")
    assert outcome.ended - intervals[-1].start > 3e9
    assert list(trades(outcome, one, intervals)) == []
    others = [timeline(outcome, other)[-1] for other in outcome.subscriptions if other != one]
    assert all(outcome.ended - last.start < 1e9 for last in others), "what delivers is live to the end"


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("stream", ["L2", "TRADES"])
@pytest.mark.parametrize("exchange", VENUES)
def test_what_fell_silent_is_not_live_to_the_end_of_the_recording(exchange: str, stream: str, connections: int) -> None:
    silent = parse(f"silent:{stream}:{exchange}@{SYMBOLS[exchange]}:after=5")
    outcome = record(Plan([silent], venues=[exchange], connections=connections, stopped=7))
    one = Subscription(stream, exchange, SYMBOLS[exchange])
    intervals = timeline(outcome, one)
    assert [found for found in judge(outcome) if "not well" not in found] == []
    assert (intervals[-1].state, intervals[-1].cause) == ("gap", "shutdown")
    assert outcome.ended - intervals[-1].start > 4e9
    assert intervals[-1].start == max(row.ts_recv for row in outcome.records if not isinstance(row, Coverage) and belongs(row, one))


def belongs(row: Trade | BookUpdate, one: Subscription) -> bool:
    return (row.instrument, isinstance(row, BookUpdate)) == (one.key, one.stream == "L2")


@pytest.mark.parametrize("stream", ["L2", "TRADES"])
def test_what_fell_silent_before_its_connection_was_replaced_is_not_live_until_then(stream: str) -> None:
    target = f"{stream}:BINANCE_SPOT@BTCUSDT"
    outcome = record(Plan([parse(f"silent:{target}:after=5"), parse("notice:BINANCE_SPOT:after=20")], venues=["BINANCE_SPOT"]))
    assert teeth([fault for _, fault in outcome.faults])["notice"] == 1
    assert outcome.reconnects == 0, "it was replaced"
    assert judge(outcome) == []


def test_a_replacement_that_brings_no_more_of_a_book_than_its_snapshot_has_proven_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("xtrader.venues.binance.market"), "LIFETIME", 5.0)
    outcome = record(Plan([parse("never_delivers:L2:BINANCE_FUTURES@BTCUSDT")], venues=["BINANCE_FUTURES"], stopped=30))
    assert teeth([fault for _, fault in outcome.faults])["never_delivers"] == 1
    assert [found for found in judge(outcome) if "not well" not in found] == []
    assert {row.cause for row in outcome.records if type(row) is Coverage and row.state == "gap"} == {"shutdown"}


def test_what_was_never_delivered_is_not_live_either_where_its_connection_was_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("xtrader.venues.binance.market"), "LIFETIME", 5.0)
    target = "TRADES:BINANCE_SPOT@BTCUSDT"
    stories = (f"close_1006:{target}", f"never_delivers:{target}:times=3")
    outcome = record(Plan([parse(text) for text in stories], venues=["BINANCE_SPOT"], stopped=9))
    one = Subscription("TRADES", "BINANCE_SPOT", "BTCUSDT")
    assert teeth([fault for _, fault in outcome.faults])["never_delivers"] >= 2
    assert outcome.reconnects == 1
    assert list(trades(outcome, one, timeline(outcome, one))) == []
