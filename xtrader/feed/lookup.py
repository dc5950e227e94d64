"""Lookup: has every venue asked what its subscriptions mean, and again those that cannot be asked yet.

Rule: a venue without a catalogue holds up no other one. What its catalogue says when it comes later stops nothing that is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from xtrader.errors import ConfigError
from xtrader.feed.catalogue import Catalogue, Resolved
from xtrader.feed.feed import Pending
from xtrader.model.subscription import Subscription
from xtrader.pauses import Pauses
from xtrader.venues.base import Market

log = structlog.get_logger("xtrader.catalogue")

PATIENCE: Final = 3.0
"""Seconds that all venues have together for their first answer, before those that answered are recorded without the others."""


class Lookup:
    """Looks `subscriptions` up at their `markets` (by exchange token). `found` gets an exchange and what its catalogue said, at
    most twice for the same one: what is known at once, and what had to wait. `pending` gets whatever is not recorded yet, and
    why, whenever that changes. `now` gives wall time, int ns UTC."""

    def __init__(
        self,
        catalogue: Catalogue,
        markets: Mapping[str, Market],
        subscriptions: Sequence[Subscription],
        *,
        found: Callable[[str, Resolved], None],
        pending: Callable[[Mapping[Subscription, Pending]], None],
        now: Callable[[], int],
    ) -> None:
        self._catalogue = catalogue
        self._markets = markets
        self._wanted = {exchange: [one for one in subscriptions if one.exchange == exchange] for exchange in markets}
        self._found = found
        self._tell = pending
        self._now = now
        self._pending: dict[Subscription, Pending] = {}
        self._asking: dict[str, asyncio.Task[Resolved]] = {}

    async def begin(self) -> None:
        """Ask all venues once and go on with those that have answered. Raises ConfigError for what one of them does not list."""
        self._asking = {exchange: asyncio.create_task(self._ask(exchange)) for exchange in self._wanted if self._wanted[exchange]}
        try:
            if self._asking:
                await asyncio.wait(self._asking.values(), timeout=PATIENCE)
            answers = {exchange: task.result() for exchange, task in self._asking.items() if task.done()}
            for answer in answers.values():
                for error in answer.refused.values():
                    raise error
        except BaseException:
            self.close()
            raise
        for exchange in self._asking:
            if exchange in answers:
                self._take(exchange, answers[exchange])
            else:
                self._wait(dict.fromkeys(self._wanted[exchange], "no answer yet"))
        self._tell(self._pending)

    async def go_on(self) -> None:
        """Ask the venues again that had no answer until each has one; ends then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for exchange in self._asking:
                    tasks.create_task(self._go_on(exchange))
        finally:
            self.close()

    def close(self) -> None:
        """Ask no more."""
        for task in self._asking.values():
            task.cancel()

    async def _go_on(self, exchange: str) -> None:
        pauses = Pauses()
        while self._wanted[exchange]:
            if self._asking[exchange].done():
                await asyncio.sleep(pauses.after_failure(achieved=False))
                self._asking[exchange] = asyncio.create_task(self._ask(exchange))
            answer = await self._asking[exchange]
            if not answer.waiting or not pauses.failures:
                self._take(exchange, answer)
            else:
                self._wait(answer.waiting)
            self._tell(self._pending)

    async def _ask(self, exchange: str) -> Resolved:
        return await self._catalogue.look_up_each(self._markets, self._wanted[exchange])

    def _take(self, exchange: str, answer: Resolved) -> None:
        """Record what an answer says; what it leaves open waits for another."""
        for one in self._wanted[exchange]:
            self._pending.pop(one, None)
        self._wanted[exchange] = list(answer.waiting)
        for one, error in answer.refused.items():
            self._refuse(one, error)
        self._wait(answer.waiting)
        if answer.subscriptions or not answer.waiting:
            self._found(exchange, answer)

    def _wait(self, waiting: Mapping[Subscription, str]) -> None:
        """Say, once as long as it stays the same, that they wait for their venue's catalogue."""
        new = {}
        for one, reason in waiting.items():
            detail = f"waits for the catalogue of {one.exchange}: {reason}"
            before = self._pending.get(one)
            if before is None or before.detail != detail:
                new[one] = reason
            self._pending[one] = Pending("syncing", self._now() if before is None else before.since, detail)
        for reason in dict.fromkeys(new.values()):
            names = [str(one) for one, why in new.items() if why == reason]
            log.warning(
                "waits_for_catalogue",
                exchange=next(iter(new)).exchange,
                count=len(names),
                subscriptions=names[:10],
                reason=reason,
                about="they are recorded when it comes; --offline-names records them now, by what the names look like",
            )

    def _refuse(self, one: Subscription, error: ConfigError) -> None:
        log.error("instrument_unknown", subscription=str(one), reason=str(error), about="it is not recorded; the others are")
        self._pending[one] = Pending("rejected", self._now(), str(error))
