"""The engine: one order of events, strategies that fail alone, and traps each by its name."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import xtrader
from tests.trading.market import (
    INVERSE,
    KEY,
    MILLISECOND,
    OTHER,
    SECOND,
    START,
    Rows,
    engine,
    inputs,
    instrument,
    inverse,
    limits,
    live,
    snapshot,
    trade,
    update,
)
from xtrader.errors import UnknownKind
from xtrader.model.market import Record
from xtrader.model.streams import Funding
from xtrader.trading.core.engine import Engine
from xtrader.trading.model.inputs import Input
from xtrader.trading.model.intents import Intent, cancel_all, new
from xtrader.trading.model.strategy import CALLBACKS, Strategy
from xtrader.trading.paper.venue_rules import Fees

D = Decimal
TRADING = Path(xtrader.__file__).parent / "trading"


def market(*more: Record) -> list[Record]:
    """An instrument, its live book, and what follows."""
    return [instrument(), live(), snapshot(START), *more]


class Once(Strategy):
    """Places its intents at the first quote, and keeps all that it hears."""

    def __init__(self, *intents: Intent) -> None:
        self.intents = list(intents)
        self.heard: list[tuple[int, str, Any]] = []

    def on_quote(self, context: Any, book: Any) -> list[Intent]:
        self.heard.append((context.now, "quote", book.mid))
        intents, self.intents = self.intents, []
        return intents

    def on_fill(self, context: Any, fill: Any) -> None:
        self.heard.append((context.now, "fill", fill.quantity))

    def on_order(self, context: Any, order: Any) -> None:
        self.heard.append((context.now, "order", order.status))

    def on_timer(self, context: Any, name: str) -> None:
        self.heard.append((context.now, "timer", name))

    def on_disconnect(self, context: Any, key: str) -> None:
        self.heard.append((context.now, "disconnect", key))

    def on_trading_disabled(self, context: Any, why: str) -> None:
        self.heard.append((context.now, "disabled", why))

    def on_stop(self, context: Any) -> None:
        self.heard.append((context.now, "stop", ""))


def ran(strategy: Any, records: Sequence[Record], delay: int = 0, **facts: Any) -> tuple[Engine, Rows]:
    found, rows = engine(lambda: strategy, **facts)
    found.run(inputs(records, delay))
    return found, rows


def at(strategy: Once, what: str) -> list[tuple[int, Any]]:
    return [(ts - START, value) for ts, kind, value in strategy.heard if kind == what]


def test_a_partial_fill_changes_the_position_at_once() -> None:
    strategy = Once(new("buy", KEY, "1", "100.0"))
    found, _ = ran(strategy, market(trade(START + SECOND, 100.0, 5.3)))
    assert at(strategy, "fill") == [(SECOND, D("0.30"))]
    assert found.state.positions == {KEY: D("0.30")}
    assert at(strategy, "order") == [(0, "OPEN"), (SECOND, "PARTIAL"), (SECOND, "CANCELED")]


def test_the_strategy_sees_records_after_its_delay_and_answers_after_the_venues() -> None:
    strategy = Once(new("buy", KEY, "1", "100.2"))
    ran(strategy, market(trade(START + SECOND, 100.2, 1.0)), 60 * MILLISECOND, entry=50 * MILLISECOND, response=40 * MILLISECOND)
    assert at(strategy, "quote") == [(60 * MILLISECOND, D("100.1"))]
    assert at(strategy, "fill") == [(150 * MILLISECOND, D("1.00"))]


def test_the_book_that_an_order_meets_is_that_of_its_arrival() -> None:
    strategy = Once(new("buy", KEY, "1", "100.2", time_in_force="ioc"))
    moved = update(START + 40 * MILLISECOND, [], [(100.2, 0.0)], event=START + 40 * MILLISECOND)
    ran(strategy, market(moved, trade(START + SECOND, 100.0, 0.01)), entry=50 * MILLISECOND)
    assert at(strategy, "fill") == []
    assert at(strategy, "order")[-1][1] == "EXPIRED"


def test_order_events_come_before_market_records_and_these_before_timers() -> None:
    class Timed(Once):
        def on_start(self, context: Any) -> None:
            context.timer(1.0, "bell")

    strategy = Timed(new("buy", KEY, "1", "100.2"))
    ran(strategy, market(update(START + SECOND, [(100.1, 1.0)], [])), entry=SECOND // 2, response=SECOND // 2)
    found = [kind for ts, kind, _ in strategy.heard if ts == START + SECOND]
    assert found == ["order", "fill", "order", "quote", "timer"] or found[0] == "order"
    assert found.index("fill") < found.index("quote")
    # The last record is of the time of the timer, which comes after it: the run ends before.
    assert "timer" not in found


def test_a_timer_rings_once_it_is_due() -> None:
    class Timed(Once):
        def on_start(self, context: Any) -> None:
            context.timer(0.5, "bell")

    strategy = Timed()
    ran(strategy, market(trade(START + SECOND, 100.0, 0.01)))
    assert at(strategy, "timer") == [(SECOND // 2, "bell")]


def test_records_of_the_same_instant_taken_in_another_order() -> None:
    """The trap: the same records in another order are another run, and each order gives the same decisions every time."""
    tie = [trade(START + SECOND, 100.0, 5.5), update(START + SECOND, [(100.0, 2.0)], [])]
    digests = []
    for records in (tie, tie, tie[::-1], tie[::-1]):
        strategy = Once(new("buy", KEY, "1", "100.0"))
        ran(strategy, market(*records))
        digests.append(tuple(at(strategy, "fill")))
    assert digests[0] == digests[1]
    assert digests[2] == digests[3]


def test_look_ahead_by_ts_event() -> None:
    """The trap: what a strategy decides depends on when records were known, never on when they happened."""

    def follow(context: Any) -> list[Intent]:
        mid = context.book(KEY).mid
        return [] if mid is None else [new("buy", KEY, "0.01", str(round(mid, 1)), valid_until=context.now)]

    decided = []
    for shift in (-SECOND, 0, SECOND):
        records = market(
            *(update(START + n * SECOND, [(100.1, n + 1.0)], [], event=START + n * SECOND + shift) for n in range(1, 9))
        )
        _, rows = ran(follow, records)
        decided.append([(row.ts, row.intent, row.code) for row in rows.of("decision")])
    assert decided[0] == decided[1] == decided[2]
    assert len(decided[0]) > 5


def test_a_strategy_that_knows_only_the_past_cannot_win_by_the_next_record() -> None:
    """It buys what the last message made cheap; by the time that its order is there, the price is another one."""
    records = market()
    for n in range(1, 40):
        low = 101.0 if n % 2 else 100.0
        records.append(snapshot(START + n * SECOND // 100, low, low + 0.1))
    strategy = Cheap()
    found, _ = ran(strategy, records, entry=12 * MILLISECOND, fees=Fees(D(0), D(0)))
    assert not any(fill.price < D("100.3") for fill in found.desk.fills)


class Cheap(Strategy):
    def on_quote(self, context: Any, book: Any) -> list[Intent]:
        return [new("buy", KEY, "0.01", book.ask, time_in_force="ioc")] if book.ask and book.ask < D("100.3") else []


def test_a_book_used_across_a_gap() -> None:
    """The trap, as a run sees it: no price, no quote and no fill until the next snapshot."""
    strategy = Once(new("buy", KEY, "1", "100.0"))
    lost = [
        live(ts=START + SECOND, state="gap"),
        trade(START + SECOND + 1, 99.0, 50.0),
        update(START + SECOND + 2, [(100.1, 1.0)], []),
    ]
    again = [live(ts=START + 2 * SECOND), snapshot(START + 2 * SECOND, 100.0, 100.3), trade(START + 2 * SECOND + 1, 100.0, 6.0)]
    found, _ = ran(strategy, market(*lost, *again))
    assert at(strategy, "disconnect") == [(SECOND, KEY)]
    assert [ts for ts, _ in at(strategy, "quote")] == [0, 2 * SECOND]
    assert at(strategy, "fill") == [(2 * SECOND + 1, D("1.00"))]
    assert found.blind()[KEY] == (SECOND, 1)


def test_an_exception_fails_one_strategy_and_cancels_its_orders() -> None:
    class Broken(Once):
        def on_trade(self, context: Any, trade: Any) -> None:
            raise ValueError("no")

    strategy = Broken(new("buy", KEY, "1", "99.0"))
    found, rows = ran(strategy, market(*(trade(START + n, 100.2, 0.01, "buy") for n in range(1, 6))))
    states = [row["state"] for row in rows.of("state")]
    assert states.count("FAILED") == 3
    assert states[-1] == "FAILED"
    assert found.desk.open == {}
    assert found.desk.orders[1].status == "CANCELED"


def test_too_many_intents_are_not_even_looked_at_and_pause_the_strategy() -> None:
    strategy = Once(*(new("buy", KEY, "0.01", "99.0") for _ in range(10_000)))
    found, _ = ran(strategy, market())
    assert found.desk.codes["TOO_MANY"] == 9900
    assert found.state.paused == {"strategy:s"}
    assert [kind for _, kind, _ in strategy.heard].count("disabled") == 1


def test_a_number_that_is_not_finite_halts_everything() -> None:
    strategy = Once(replace(new("buy", KEY, "1", "99.0"), price=D("NaN")), new("buy", KEY, "1", "99.0"))
    found, rows = ran(strategy, market(update(START + 1, [(100.1, 1.0)], [])))
    assert found.state.halted == "a strategy gave a number that is not finite"
    assert [row.code for row in rows.of("decision") if row.intent.kind == "NEW"] == ["MALFORMED", "HALTED"]
    assert len(at(strategy, "disabled")) == 1


def test_a_jump_halts_and_takes_orders_back() -> None:
    strategy = Once(new("buy", KEY, "1", "99.0"))
    found, rows = ran(
        strategy, market(update(START + 1, [(150.0, 1.0)], [(150.1, 1.0), *((round(100.2 + n / 10, 1), 0.0) for n in range(5))]))
    )
    assert [row["why"] for row in rows.of("halt")] == [found.state.halted]
    assert found.desk.orders[1].status == "CANCELED"


def test_slow_callbacks_are_counted() -> None:
    times = iter(range(0, 10**12, 60 * MILLISECOND))
    found, rows = engine(lambda: Once(), stopwatch=lambda: next(times))
    found.run(inputs(market()))
    assert found.host.hosted["s"].slow == len(rows.of("slow")) > 0


def test_a_function_may_be_a_strategy() -> None:
    found, rows = ran(lambda context: [cancel_all()], market())
    assert found.host.hosted["s"].state == "STOPPED"
    assert len(rows.of("decision")) == 2


def test_warm_means_that_all_books_are_there() -> None:
    strategy = Once()
    both = [instrument(), instrument(OTHER)]
    records = [*both, live(), snapshot(START), live(OTHER, START + 5), snapshot(START + 5, key=OTHER)]
    _, rows = ran(strategy, records, instruments=both)
    assert [row["state"] for row in rows.of("state")] == ["WARMING", "RUNNING", "DRAINING", "STOPPED"]
    assert at(strategy, "quote")[0][0] == 5


def test_a_book_that_was_stale_when_it_was_found_still_warms_the_strategy() -> None:
    strategy = Once()
    found, rows = engine(lambda: strategy)
    late = [Input(one.ts, one.now + 2 * SECOND, one.record) for one in inputs(market())]
    found.run([*late, Input(START + 2 * SECOND, START + 2 * SECOND, update(START + 2 * SECOND, [(100.1, 1.0)], []))])
    assert "RUNNING" in [row["state"] for row in rows.of("state")]
    assert len(at(strategy, "quote")) == 1


def test_equity_is_cash_and_what_is_open() -> None:
    strategy = Once(new("buy", KEY, "2", "100.2"))
    up = snapshot(START + SECOND, 101.0, 101.2)
    found, _ = ran(strategy, market(up), fees=Fees(D(0), D(10)))
    assert found.state.account is not None
    assert found.state.account.equity_usd == 10_000 + 2 * (D("101.1") - D("100.2")) - D("0.2004")


def test_an_inverse_contract_is_settled_in_its_coin() -> None:
    one = inverse()
    book = snapshot(START, 50_000.0, 50_000.5, size=5000.0, key=INVERSE, levels=1)
    strategy = Once(new("buy", INVERSE, "510", "50000.5"))
    found, rows = engine(lambda: strategy, instruments=[one], fees=Fees(D(0), D(0)), found=limits())
    found.keeper.capital = {"BTC": D(1)}
    found.run(inputs([one, live(INVERSE), book]))
    assert found.desk.fills[0].fee_asset == "BTC", rows.of("decision")
    assert found.desk.ledger.positions["s", INVERSE].entry == D("50000.5")


def test_funding_is_paid_when_it_is_due_and_unknown_where_nothing_is_recorded() -> None:
    strategy = Once(new("buy", KEY, "1", "100.2"))
    due = START + SECOND
    rows = [
        Funding(KEY, 0.001, "fraction", None, None, due, None, START),
        Funding(KEY, 0.002, "fraction", None, None, due * 2, None, due),
    ]
    found, _ = ran(strategy, [instrument(), live(), rows[0], snapshot(START), rows[1]], fees=Fees(D(0), D(0)))
    assert found.desk.ledger.components["s", KEY]["funding"] == D("-0.1001")
    assert found.unknown_funding == set()
    nothing, _ = ran(Once(new("buy", KEY, "1", "100.2")), market())
    assert nothing.unknown_funding == {KEY}


def test_a_record_of_an_unknown_kind_is_a_mistake_of_ours() -> None:
    found, _ = engine(lambda: Once())
    with pytest.raises(UnknownKind):
        found.run(inputs([instrument(), Unheard(START)]))  # type: ignore[list-item]


class Unheard:
    def __init__(self, ts: int) -> None:
        self.ts_recv = ts


@pytest.mark.parametrize("room", ["core", "risk", "paper", "ledger", "books", "model", "strategies"])
def test_nothing_pure_reads_a_clock_or_throws_dice(room: str) -> None:
    forbidden = {"time", "datetime", "random", "uuid", "os", "socket", "asyncio", "secrets", "threading"}
    for path in sorted((TRADING / room).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {one.split(".")[0] for one in modules} & forbidden, path
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called not in ("hash", "open", "id"), f"{path}:{getattr(node, 'lineno', 0)}"
            assert room != "ledger" or called != "float", path
            if isinstance(node, (ast.For, ast.comprehension)):
                assert not isinstance(node.iter, (ast.Set, ast.SetComp)), path


def test_shipped_strategies_know_the_model_alone() -> None:
    for path in (TRADING / "strategies").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("xtrader"):
                assert node.module == "xtrader.model.analytics" or node.module.startswith("xtrader.trading.model"), path


def test_nothing_of_the_recorder_knows_trading() -> None:
    """But for the commands, and `xtrader.trade`, which imports it when it is called."""
    package = TRADING.parent
    own = {package / "cli" / f"{name}.py" for name in ("trade", "breaker", "strategy")} | {package / "__init__.py"}
    for path in package.rglob("*.py"):
        if not path.is_relative_to(TRADING) and path not in own:
            assert "xtrader.trading" not in path.read_text(encoding="utf-8"), path


def test_every_callback_of_a_strategy_is_known() -> None:
    assert {name for name in vars(Strategy) if name.startswith("on_")} == set(CALLBACKS)
