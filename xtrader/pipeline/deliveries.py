"""All deliveries of a recorder: one process a sink, each with a cursor of its own; what one sink suffers touches no other.

The rule: the journal is let go of only where all have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from xtrader.pipeline.delivery import DeliverySpec, Status
from xtrader.pipeline.delivery_process import COMMAND, DeliveryProcess


class Deliveries:
    """Behaves as one delivery does. `on_cursor(offset)` is told the smallest cursor whenever one moves, once all have spoken;
    `environment` are all variables of the processes (None: those of this one), where secrets are."""

    def __init__(
        self,
        specs: Sequence[DeliverySpec],
        durable: int,
        *,
        on_cursor: Callable[[int], None] = lambda _: None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._on_cursor = on_cursor
        self.deliveries: dict[str, DeliveryProcess] = {
            spec.sink.name: DeliveryProcess(spec, durable, on_cursor=self._moved, command=command, environment=environment)
            for spec in specs
        }
        """By the sink's name."""

    @property
    def ready(self) -> bool:
        """All sinks take rows."""
        return all(delivery.ready for delivery in self.deliveries.values())

    @property
    def settled(self) -> bool:
        """No sink needs anything more of what is durable."""
        return all(delivery.settled for delivery in self.deliveries.values())

    @property
    def backlog(self) -> Mapping[str, int]:
        """Durable journal bytes that each sink has not read yet."""
        return {name: delivery.backlog for name, delivery in self.deliveries.items()}

    @property
    def statuses(self) -> Mapping[str, Status | None]:
        """What each delivery said last."""
        return {name: delivery.status for name, delivery in self.deliveries.items()}

    @property
    def unfinished(self) -> Mapping[str, Status]:
        """What those said last that still work, by the sink's name; of one that never spoke nothing is known."""
        unknown = Status(0, 0)
        return {name: delivery.status or unknown for name, delivery in self.deliveries.items() if not delivery.finished}

    def advance(self, durable: int) -> None:
        """See DeliveryProcess."""
        for delivery in self.deliveries.values():
            delivery.advance(durable)

    def set_levels(self, levels: str) -> None:
        """See DeliveryProcess."""
        for delivery in self.deliveries.values():
            delivery.set_levels(levels)

    async def run(self) -> None:
        """See DeliveryProcess; returns when all have finished."""
        async with asyncio.TaskGroup() as tasks:
            for delivery in self.deliveries.values():
                tasks.create_task(delivery.run())

    async def finish(self, timeout: float) -> bool:
        """See DeliveryProcess; True if all have finished."""
        return all(await asyncio.gather(*(delivery.finish(timeout) for delivery in self.deliveries.values())))

    def _moved(self, _: int) -> None:
        cursors = [delivery.status.cursor for delivery in self.deliveries.values() if delivery.status is not None]
        if len(cursors) == len(self.deliveries):
            self._on_cursor(min(cursors))
