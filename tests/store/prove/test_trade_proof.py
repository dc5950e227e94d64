"""What `verify` makes of an instrument's trades: twice is damage whatever gap is there, late is none where a row says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest

from xtrader.records.schemas import flat_table
from xtrader.store.prove.coverage_map import CoverageMap
from xtrader.store.prove.trade_proof import TradeProof
from xtrader.store.read.coverage_fold import CoverageRow
from xtrader.venues.base import Rules

Trade = tuple[int, int]
"""(id, ts_event); a trade is received at its place."""
LIVE = CoverageRow("", "TRADES", "live", "start", 0, None, "")
NUMBERED = ["contiguous", "increasing"]


def gap(start: int, end: int, ids: tuple[int, int] | None = None) -> list[CoverageRow]:
    """A closed gap, and live again."""
    first, last = ids or (None, None)
    return [
        CoverageRow("", "TRADES", "gap", "venue_gap", start, end, "", first, last),
        CoverageRow("", "TRADES", "live", "venue_gap", end, None, ""),
    ]


def filled(first: int, last: int) -> CoverageRow:
    return CoverageRow("", "TRADES", "live", "filled", 0, 0, "", first, last)


def found(
    trade_ids: str, rows: Iterable[CoverageRow], *tables: Sequence[Trade], received: Callable[[int], int] = lambda place: 10 * place
) -> list[str]:
    told: list[str] = []
    chain = TradeProof(Rules(bridges=False, trade_ids=trade_ids), CoverageMap([LIVE, *rows]), told.append)
    place = 0
    for trades in tables:
        ids = [str(number) for number, _ in trades]
        times = np.array([received(at) for at in range(place, place + len(trades))])
        place += len(trades)
        ones = np.ones(len(trades))
        columns = {"ts_event": np.array([ts for _, ts in trades]), "ts_recv": times, "trade_id": ids, "price": ones, "size": ones}
        chain.check(flat_table("TRADES", {**columns, "side": np.zeros(len(trades), np.uint8)}))
    return told


def row_of(numbers: Iterable[int]) -> list[Trade]:
    return [(number, 1000 * number) for number in numbers]


@pytest.mark.parametrize("trade_ids", ["contiguous", "increasing", "unique"])
@pytest.mark.parametrize("cut", [4, 8])
def test_trades_that_are_there_twice_are_damage_whatever_gap_row_is_there(trade_ids: str, cut: int) -> None:
    trades = row_of([*range(990, 1001), *range(993, 1010)])
    told = found(trade_ids, gap(0, 500), trades[:cut], trades[cut:20], trades[20:])
    assert all("are there twice" in text for text in told)
    assert sum(int(text.split()[0]) for text in told) == 8


@pytest.mark.parametrize("trade_ids", NUMBERED)
def test_a_number_that_came_late_is_no_damage_where_a_row_says_so(trade_ids: str) -> None:
    trades = row_of([100, 103, 102, 104])
    rows = [*gap(0, 10, (101, 102)), filled(102, 102)]
    assert found(trade_ids, rows, trades) == []
    assert found(trade_ids, rows, trades[:2], trades[2:]) == []
    assert found(trade_ids, [*gap(0, 10, (101, 102))], trades[:1], trades[2:3], trades[1:2]) == []


def test_a_trade_that_waited_for_another_connection_lies_behind_the_gap_that_begins_with_that_one_s_last() -> None:
    trades, received = row_of([100, 101, 102, 104, 105]), [0, 50, 45, 40, 60]
    for tables in ([trades], [trades[:3], trades[3:]]):
        assert found("contiguous", gap(50, 50, (103, 103)), *tables, received=received.__getitem__) == []
        assert len(found("contiguous", gap(51, 51, (103, 103)), *tables, received=received.__getitem__)) == 1


@pytest.mark.parametrize(("ids", "damage"), [((103, 103), 0), (None, 1)])
def test_a_trade_may_be_received_within_a_gap_that_names_others(ids: tuple[int, int] | None, damage: int) -> None:
    """It came on another connection and waited; a gap that names nothing says that nothing was recorded then."""
    closed = CoverageRow("", "TRADES", "live", "start", 0, 50, "")
    trades, received = row_of([100, 101, 102, 104, 105]), [0, 10, 50, 60, 80]
    told = found("contiguous", [closed, *gap(50, 70, ids)], trades, received=received.__getitem__)
    assert [text for text in told if "in no interval that is live" in text] == told
    assert len(told) == damage


@pytest.mark.parametrize("trade_ids", NUMBERED)
def test_rows_out_of_order_are_damage_without_such_a_row(trade_ids: str) -> None:
    told = found(trade_ids, [], row_of([100, 101, 103, 102, 104]))
    assert any("trade 102 at 30 follows 103, and no gap row says why" in text for text in told)


def test_a_missing_number_is_damage_beside_a_gap_that_names_others() -> None:
    trades = row_of([100, 103])
    assert found("contiguous", gap(0, 10, (101, 102)), trades) == []
    assert found("contiguous", gap(0, 10), trades) == []
    assert len(found("contiguous", gap(0, 10, (101, 101)), trades)) == 1
    assert found("increasing", [], trades) == []


@pytest.mark.parametrize("trade_ids", NUMBERED)
def test_numbers_that_began_anew_are_no_damage_inside_a_gap_and_may_come_again(trade_ids: str) -> None:
    trades = [(5, 1), (6, 2), (7, 3), (5, 9000), (6, 9001), (7, 9002), (8, 9003)]
    assert found(trade_ids, gap(20, 30), trades) == []
    assert found(trade_ids, gap(20, 30), trades[:3], trades[3:5], trades[5:]) == []
    told = found(trade_ids, [], trades)
    assert told == ["trade 5 at 30 follows 7, and no gap row says why"]
