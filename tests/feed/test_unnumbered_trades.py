"""Trades without numbers: each is recorded once, over two connections and over reconnects."""

from __future__ import annotations

from collections import Counter

from xtrader.feed.redundant import Redundant
from xtrader.model.market import Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.machine import trades
from xtrader.venues.machine.channels import TradesChannel
from xtrader.venues.machine.trades import SeenTrades

TAPE = Subscription("TRADES", "X", "B")
MS = 1_000_000


def trade(name: str, ts: int = 5 * MS) -> Trade:
    return Trade(TAPE.key, name, "buy", 1.0, 2.0, ts, 100 * MS)


def channel(resume: SeenTrades | None = None) -> TradesChannel:
    made = TradesChannel(TAPE, "start", Counter(), lambda asked: [], resume)
    made.open(0)
    made.acked(MS)
    return made


def names(outputs: object) -> list[str]:
    return [output.trade_id for output in outputs if isinstance(output, Trade)]  # type: ignore[attr-defined]


def merged(records: list[object]) -> Redundant:
    both = Redundant([TAPE], [lambda key: None, lambda key: None], records.append)
    for number in (0, 1):
        both.take(number, Coverage(TAPE.key, "TRADES", "live", "start", MS, None))
    return both


def test_one_that_comes_again_on_a_connection_is_dropped_and_counted() -> None:
    one = channel()
    assert [names(one.take(trade(name), None)) for name in ("a", "b", "a")] == [["a"], ["b"], []]
    assert one._counts["duplicates"] == 1


def test_the_same_id_at_another_time_is_another_trade() -> None:
    one = channel()
    assert [names(one.take(trade("a", ts), None)) for ts in (1, 2)] == [["a"], ["a"]]


def test_the_next_session_knows_what_the_last_one_saw() -> None:
    first = channel()
    first.take(trade("a"), None)
    assert names(channel(first.seen()).take(trade("a"), None)) == []


def test_one_that_two_connections_bring_is_stored_once_and_handed_on_as_seen() -> None:
    records: list[object] = []
    both = merged(records)
    for number, name in ((0, "a"), (1, "a"), (1, "b"), (0, "b"), (0, "c")):
        both.take(number, trade(name))
    assert names(records) == ["a", "b", "c"]
    seen = both.seen()[TAPE.key]
    assert [name for name, _ in seen.names] == ["a", "b", "c"]
    assert names(channel(seen).take(trade("b"), None)) == []


def test_numbers_and_names_are_handed_on_together() -> None:
    one = channel()
    one.take(Trade(TAPE.key, "7", "buy", 1.0, 1.0, 1, 2, 7), 7)
    one.take(trade("odd"), None)
    seen = one.seen()
    assert seen is not None
    assert (seen.last, [name for name, _ in seen.names]) == (7, ["odd"])


def test_the_oldest_of_too_many_is_forgotten() -> None:
    known = trades.Names()
    for number in range(trades.REMEMBERED + 1):
        assert known.add((str(number), None))
    assert ("0", None) not in known
    assert ("1", None) in known
