"""Binance trades: every id is accounted for."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.venues.binance_wire import S, ack, aggregate, covers, framed, session_of, trade, trades
from xtrader.model.market import Coverage, Trade
from xtrader.venues.binance.session import BinanceSession
from xtrader.venues.machine.trades import HOLES, SeenTrades, TradeChain

KEY = "BINANCE_FUTURES@BTCUSDT"
MS = 1_000_000


def futures(**changed: object) -> BinanceSession:
    """Acknowledged at ts 1."""
    session = session_of("BINANCE_FUTURES", "TRADES BTCUSDT", **changed)  # type: ignore[arg-type]
    session.start(0)
    session.receive(ack(1), 1)
    return session


def test_trade_of_spot_comes_out_whole() -> None:
    session = session_of("BINANCE_SPOT", "TRADES BTCUSDT")
    (made,) = trades(session.receive(trade("BTCUSDT", 7, 1234, p="61800.30", q="0.006", m=True), 5))
    assert made == Trade("BINANCE_SPOT@BTCUSDT", "7", "sell", 61800.3, 0.006, 1_234_000_000, 5, 7)


def test_acknowledgement_or_the_first_trade_whichever_comes_first_makes_trades_live() -> None:
    session = session_of("BINANCE_FUTURES", "TRADES BTCUSDT", "TRADES ETHUSDT")
    session.start(0)
    out = list(session.receive(aggregate("BTCUSDT", 1, 1, 1), 3))
    assert [type(item).__name__ for item in out] == ["Coverage", "Ready", "Trade"]
    out = list(session.receive(ack(1), 4))
    assert out[0] == Coverage("BINANCE_FUTURES@ETHUSDT", "TRADES", "live", "start", 4, None)
    assert len(out) == 2


@pytest.mark.parametrize(("maker", "side"), [(True, "sell"), (False, "buy"), (None, "unknown"), ("maybe", "unknown")])
def test_aggressor_is_the_other_one_than_the_maker(maker: object, side: str) -> None:
    session = futures()
    (made,) = trades(session.receive(aggregate("BTCUSDT", 1, 1, 1, m=maker), 3))
    assert made.side == side
    assert session.counts["unknown_side"] == (side == "unknown")


def test_missing_aggregate_ids_are_a_gap_between_the_last_good_trade_and_this_one() -> None:
    session = futures()
    session.receive(aggregate("BTCUSDT", 100, 500, 500), 3)
    out = list(session.receive(aggregate("BTCUSDT", 106, 520, 521), 9))
    assert covers(out) == [
        ("gap", "venue_gap", 3, 9, "missing ids 101 to 105 (5)"),
        ("live", "venue_gap", 9, None, ""),
    ]
    assert isinstance(out[-1], Trade)
    assert session.counts["trade_gaps"] == 1


@pytest.mark.parametrize("exchange", ["BINANCE_SPOT", "BINANCE_FUTURES", "BINANCE_COINM"])
def test_match_ids_that_no_aggregate_holds_are_counted_and_no_gap(exchange: str) -> None:
    session = session_of(exchange, "TRADES BTCUSDT")
    rows = [(2228503268, 5129698194, 5129698195), (2228503269, 5129698197, 5129698198)]
    rows += [(2228503270, 5129698199, 5129698199), (2228503271, 5129698201, 5129698201)]
    out = [item for row in rows for item in session.receive(aggregate("BTCUSDT", *row), 9)]
    assert [trade.sequence for trade in trades(out)] == [number for number, _, _ in rows]
    assert covers(out) == [("live", "start", 9, None, "")]
    assert session.counts["unaggregated"] == 2
    assert session.counts["trade_gaps"] == 0


def test_matches_of_missing_aggregates_are_not_counted_as_in_none() -> None:
    session = futures()
    session.receive(aggregate("BTCUSDT", 100, 1, 4), 3)
    assert covers(session.receive(aggregate("BTCUSDT", 102, 8, 9), 9))[0][4] == "missing ids 101 to 101 (1)"
    session.receive(aggregate("BTCUSDT", 101, 5, 6), 10)
    session.receive(aggregate("BTCUSDT", 103, 10, 10), 11)
    assert session.counts["unaggregated"] == 0


def test_repeated_trades_are_dropped_and_counted() -> None:
    session = futures()
    session.receive(aggregate("BTCUSDT", 100, 1, 4), 3)
    session.receive(aggregate("BTCUSDT", 101, 5, 5), 4)
    assert list(session.receive(aggregate("BTCUSDT", 101, 5, 5), 5)) == []
    assert list(session.receive(aggregate("BTCUSDT", 100, 1, 4), 6)) == []
    assert session.counts["duplicates"] == 2


def test_lower_number_of_a_trade_that_is_clearly_newer_is_a_restart_of_numbering() -> None:
    session = futures(cause="disconnect", resume={KEY: SeenTrades(99, 9_000 * MS)})
    session.receive(aggregate("BTCUSDT", 100, 1, 4, ts=10_000), 3)
    assert list(session.receive(aggregate("BTCUSDT", 5, 5, 5, ts=11_000), 4)) == []
    out = session.receive(aggregate("BTCUSDT", 6, 6, 6, ts=11_001), 5)
    assert covers(out) == [("gap", "venue_gap", 3, 5, "numbers restarted"), ("live", "venue_gap", 5, None, "")]
    assert len(trades(out)) == 1
    assert covers(session.receive(aggregate("BTCUSDT", 7, 7, 7, ts=11_002), 6)) == []


def test_jump_after_a_reconnect_is_laid_to_the_reconnect_from_when_trades_went_live() -> None:
    session = futures(cause="disconnect", resume={KEY: SeenTrades(100, 1_000 * MS)})
    out = session.receive(aggregate("BTCUSDT", 104, 9, 9), 8)
    assert covers(out) == [("gap", "disconnect", 1, 8, "missing ids 101 to 103 (3)"), ("live", "disconnect", 8, None, "")]
    assert covers(session.receive(aggregate("BTCUSDT", 106, 11, 11), 9))[0][:2] == ("gap", "venue_gap")


def test_reconnect_without_loss_has_no_gap_and_hands_its_number_on() -> None:
    session = futures(cause="disconnect", resume={KEY: SeenTrades(100, 900 * MS)})
    assert session.resume() == {KEY: SeenTrades(100, 900 * MS)}
    assert list(session.receive(aggregate("BTCUSDT", 100, 8, 8), 7)) == []
    assert covers(session.receive(aggregate("BTCUSDT", 101, 9, 9), 8)) == []
    assert session.resume() == {KEY: SeenTrades(101, 1_000 * MS)}


def test_numbering_that_restarted_between_two_connections_is_found() -> None:
    session = futures(cause="disconnect", resume={KEY: SeenTrades(1_000_000, 3_000 * MS)})
    out = session.receive(aggregate("BTCUSDT", 1, 1, 1, ts=5_000), 7)
    assert covers(out)[0] == ("gap", "disconnect", 1, 7, "numbers restarted")
    assert [trade.sequence for trade in trades(out)] == [1]
    assert covers(session.receive(aggregate("BTCUSDT", 2, 2, 2, ts=6_001), 8)) == []


@pytest.mark.parametrize(
    ("changed", "counted", "stored"),
    [
        ({"X": "MARKET"}, "trades", True),
        ({"X": "NA", "p": "0", "q": "0"}, "void", False),
        ({"X": "MARKET", "p": "0", "q": "0"}, "void", False),
        ({"X": "INSURANCE_FUND"}, "insurance_fund", False),
        ({"X": "SOMETHING_NEW"}, "unknown_X", True),
    ],
)
def test_single_futures_trades_that_are_no_prints_use_their_id_up_without_a_gap(
    changed: dict[str, object], counted: str, stored: bool
) -> None:
    session = futures()
    session.receive(trade("BTCUSDT", 10), 3)
    assert bool(trades(session.receive(trade("BTCUSDT", 11, **changed), 4))) is stored
    assert session.counts[counted] >= 1
    assert covers(session.receive(trade("BTCUSDT", 12), 5)) == []


def test_second_kind_of_trade_stream_of_one_instrument_is_ignored() -> None:
    session = session_of("BINANCE_SPOT", "TRADES BTCUSDT")
    assert len(trades(session.receive(aggregate("BTCUSDT", 5, 9, 9), 3))) == 1
    assert list(session.receive(trade("BTCUSDT", 9), 4)) == []
    assert session.counts["ignored"] == 1


@pytest.mark.parametrize(
    "frame",
    [
        aggregate("BTCUSDT", 1, 5, 4),
        aggregate("BTCUSDT", 1, 1, 1, p="nan"),
        aggregate("BTCUSDT", 1, 1, 1, q="-1"),
        aggregate("BTCUSDT", 1, 1, 1, T=10**16),
        aggregate("BTCUSDT", 1, 1, 1, s="ETHUSDT"),
        trade("BTCUSDT", 1, t="x"),
        trade("BTCUSDT", 1).replace(b'"trade"', b'"depthUpdate"'),
        framed("btcusdt@aggTrade", []),
        framed("btcusdt@aggTrade", None),
        aggregate("BTCUSDT", 1, 1, 1).replace(b'"e":"aggTrade",', b""),
    ],
)
def test_a_malformed_trade_is_a_gap_until_the_next_good_one(frame: bytes) -> None:
    session = futures()
    out = list(session.receive(frame, 3 * S))
    assert [row[:4] for row in covers(out)] == [("gap", "malformed", 1, 3 * S), ("syncing", "malformed", 3 * S, None)]
    good = aggregate("BTCUSDT", 7, 9, 9) if b"aggTrade" in frame else trade("BTCUSDT", 7)
    assert covers(session.receive(good, 4 * S)) == [("live", "malformed", 4 * S, None, "")]


def test_chain_takes_ranges_and_keeps_the_last_number() -> None:
    counts: Counter[str] = Counter()
    chain = TradeChain("X@Y", "start", counts, None)
    chain.live(1, "start")
    assert chain.check(1, 3, None, 2) == ()
    assert chain.check(4, 4, None, 3) == ()
    rows = chain.check(7, 9, None, 5)
    assert rows is not None
    assert rows[0] == Coverage("X@Y", "TRADES", "gap", "venue_gap", 3, 5, "missing ids 5 to 6 (2)", 5, 6)
    assert chain.check(8, 9, None, 6) is None
    assert chain.check(9, 12, None, 7) == []
    assert chain.last == 12
    assert counts == {"trade_gaps": 1, "duplicates": 1}


def test_chain_without_event_times_never_calls_a_lower_number_a_restart() -> None:
    chain = TradeChain("X@Y", "start", Counter(), SeenTrades(50, None))
    chain.live(1, "start")
    assert chain.check(3, 3, None, 100 * S) is None
    assert chain.last == 50


def test_oldest_of_too_many_holes_is_given_up_and_stays_a_gap() -> None:
    chain = TradeChain("X@Y", "start", Counter(), SeenTrades(0, None))
    for number in range(2, 2 * HOLES + 4, 2):
        chain.check(number, number, None, number)
    seen = chain.seen()
    assert seen is not None
    assert [hole.first for hole in seen.holes] == list(range(3, 2 * HOLES + 3, 2))
    assert chain.check(1, 1, None, 999) is None
    assert chain.check(3, 3, None, 999) is not None
