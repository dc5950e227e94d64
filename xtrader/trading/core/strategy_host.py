"""Runs strategies: calls what each has, hears their intents, and keeps one's failure from the others.

The rule: an exception fails the strategy that raised it, its orders are cancelled, and after three in an hour it stays failed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from xtrader.errors import ConfigError
from xtrader.trading.books.instrument_book import InstrumentBook
from xtrader.trading.core.order_desk import OrderDesk, Write
from xtrader.trading.ledger.trade_ledger import ZERO
from xtrader.trading.model.intents import Intent, cancel_all
from xtrader.trading.model.order_state import WorkingOrder
from xtrader.trading.model.strategy import CALLBACKS, Strategy
from xtrader.trading.risk.gate_state import GateState

HOUR: Final = 3_600_000_000_000
MOST_FAILURES: Final = 3
SLOW: Final = 50_000_000
"""Nanoseconds of a callback that are told."""


class StrategyPlan:
    """A strategy that shall run: its name, how it is made, its parameters and the instruments that it trades."""

    def __init__(self, name: str, make: Callable[[], Any], params: Any, instruments: Sequence[str]) -> None:
        self.name = name
        self.make = make
        self.params = params
        self.instruments = tuple(instruments)


class HostedContext:
    """What a strategy is handed; see model.strategy.StrategyContext."""

    def __init__(self, plan: StrategyPlan, host: StrategyHost) -> None:
        self.now = 0
        self.instruments = plan.instruments
        self.params = plan.params
        self._host = host
        self._name = plan.name

    @property
    def orders(self) -> Sequence[WorkingOrder]:
        return [one for one in self._host.desk.open.values() if one.strategy == self._name]

    def book(self, instrument: str) -> InstrumentBook:
        found = self._host.books.get(instrument)
        if found is None:
            raise ConfigError(f"{instrument} is not among the instruments of this run: {', '.join(self.instruments)}")
        found.now = self.now
        return found

    def position(self, instrument: str) -> Decimal:
        found = self._host.desk.ledger.positions.get((self._name, instrument))
        return ZERO if found is None else found.quantity

    def queue_ahead(self, order_id: int) -> Decimal | None:
        order = self._host.desk.open.get(order_id)
        lots = None if order is None else self._host.desk.queue_ahead(order)
        return None if order is None or lots is None else self._host.books[order.instrument].grid.size(lots)

    def param(self, name: str) -> Any:
        try:
            return getattr(self.params, name)
        except AttributeError:
            names = list(getattr(self.params, "__struct_fields__", ()))
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
            raise ConfigError(f"the strategy has no parameter '{name}'; {hint}") from None

    def timer(self, seconds: float, name: str = "") -> None:
        self._host.set_timer(self._name, self.now + round(seconds * 1_000_000_000), name)

    def log(self, event: str, **facts: object) -> None:
        self._host.write("log", {"ts": self.now, "strategy": self._name, "event": event, **facts})


class Hosted:
    """One strategy: what runs, its state (one of model.strategy.STATES), and how often it failed and was slow."""

    def __init__(self, plan: StrategyPlan, host: StrategyHost) -> None:
        self.plan = plan
        self.state = "CREATED"
        self.context = HostedContext(plan, host)
        self.failures: list[int] = []
        self.slow = 0
        self.calls: dict[str, Callable[..., Any]] = {}

    @property
    def is_running(self) -> bool:
        return self.state in ("RUNNING", "PAUSED", "DRAINING")


class StrategyHost:
    """All strategies of a run. `stopwatch` gives nanoseconds that only differ meaningfully; `set_timer` schedules one."""

    def __init__(
        self,
        plans: Sequence[StrategyPlan],
        state: GateState,
        desk: OrderDesk,
        write: Write,
        set_timer: Callable[[str, int, str], None],
        stopwatch: Callable[[], int],
    ) -> None:
        self.desk = desk
        self.write = write
        self.set_timer = set_timer
        self.books = state.books
        self._state = state
        self._stopwatch = stopwatch
        self.is_warming = False
        """Whether any strategy waits for its books."""
        self.hosted = {plan.name: Hosted(plan, self) for plan in plans}

    def start(self) -> None:
        """Make and start every strategy."""
        for one in self.hosted.values():
            self._begin(one)

    def _begin(self, one: Hosted) -> None:
        made = one.plan.make()
        if isinstance(made, Strategy) or not callable(made):
            own = [name for name in CALLBACKS if hasattr(made, name)]
            base = {name: getattr(Strategy, name) for name in CALLBACKS}
            one.calls = {name: getattr(made, name) for name in own if getattr(type(made), name, None) is not base[name]}
        else:
            one.calls = {"on_quote": lambda context, _: made(context)}
        self.move(one, "WARMING")
        self.call(one, "on_start")

    def warm(self, key: str) -> None:
        """A book became live: strategies that have all of theirs run from now on."""
        for one in self.hosted.values():
            if one.state == "WARMING" and key in one.plan.instruments:
                for name in one.plan.instruments:
                    self.books[name].now = self._state.now
                if all(self.books[name].state == "live" for name in one.plan.instruments):
                    self.move(one, "RUNNING")

    def interested(self, key: str, name: str) -> list[Hosted]:
        """The strategies that trade an instrument and have a callback."""
        return [one for one in self.hosted.values() if key in one.plan.instruments and name in one.calls]

    def call(self, one: Hosted, name: str, *values: object) -> None:
        """Call a callback, if it is there, and decide what it answers."""
        function = one.calls.get(name)
        if function is None:
            return
        one.context.now = self._state.now
        begun = self._stopwatch()
        try:
            answer = function(one.context, *values)
            intents: Sequence[Intent] = () if answer is None else tuple(answer)
            if any(not isinstance(intent, Intent) for intent in intents):
                raise TypeError(f"{name} answered something that is no Intent")
        except Exception as error:
            self._failed(one, name, error)
            return
        took = self._stopwatch() - begun
        if took > SLOW:
            one.slow += 1
            self.write("slow", {"ts": self._state.now, "strategy": one.plan.name, "callback": name, "ns": took})
        if intents and not self.desk.handle(one.plan.name, intents):
            self.pause(one, f"answered {len(intents)} intents to one event")

    def tell(self, name: str, *values: object) -> None:
        """Call a callback of every strategy that runs."""
        for one in self.hosted.values():
            if one.is_running:
                self.call(one, name, *values)

    def pause(self, one: Hosted, why: str) -> None:
        """Let no more orders of a strategy through."""
        self._state.paused.add(f"strategy:{one.plan.name}")
        self.move(one, "PAUSED", why)
        self.call(one, "on_trading_disabled", why)

    def stop(self) -> None:
        """Take all orders back and say good-bye."""
        for one in self.hosted.values():
            if one.is_running or one.state == "WARMING":
                self.move(one, "DRAINING")
                self.call(one, "on_stop")
            if one.state != "FAILED":
                self.desk.handle(one.plan.name, [cancel_all(reason="the run ends")])

    def stopped(self) -> None:
        """Nothing more comes."""
        for one in self.hosted.values():
            if one.state == "DRAINING":
                self.move(one, "STOPPED")

    def move(self, one: Hosted, state: str, why: str = "") -> None:
        """Note a new state."""
        one.state = state
        self.is_warming = any(each.state == "WARMING" for each in self.hosted.values())
        self.write("state", {"ts": self._state.now, "strategy": one.plan.name, "state": state, "why": why})

    def _failed(self, one: Hosted, name: str, error: Exception) -> None:
        now = self._state.now
        was = one.state
        self.move(one, "FAILED", f"{name}: {type(error).__name__}: {error}")
        one.failures.append(now)
        self.desk.handle(one.plan.name, [cancel_all(reason="the strategy failed")])
        lately = [ts for ts in one.failures if now - ts < HOUR]
        if len(lately) < MOST_FAILURES and was != "DRAINING":
            self._begin(one)
            self.warm(next(iter(one.plan.instruments), ""))
