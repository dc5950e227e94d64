"""All lanes of a recorder: one process a sink, each with a cursor of its own; what one sink suffers touches no other.

The rule: the journal is let go of only where all have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from xtrader.pipeline.lane import LaneSpec, Status
from xtrader.pipeline.process import COMMAND, LaneProcess


class Lanes:
    """Behaves as one lane does. `on_cursor(offset)` is told the smallest cursor whenever one moves, once all have spoken;
    `environment` are all variables of the processes (None: those of this one), where secrets are."""

    def __init__(
        self,
        specs: Sequence[LaneSpec],
        durable: int,
        *,
        on_cursor: Callable[[int], None] = lambda _: None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._on_cursor = on_cursor
        self.lanes: dict[str, LaneProcess] = {
            spec.sink.name: LaneProcess(spec, durable, on_cursor=self._moved, command=command, environment=environment)
            for spec in specs
        }
        """By the sink's name."""

    @property
    def ready(self) -> bool:
        """All sinks take rows."""
        return all(lane.ready for lane in self.lanes.values())

    @property
    def settled(self) -> bool:
        """No sink needs anything more of what is durable."""
        return all(lane.settled for lane in self.lanes.values())

    @property
    def backlog(self) -> Mapping[str, int]:
        """Durable journal bytes that each sink has not read yet."""
        return {name: lane.backlog for name, lane in self.lanes.items()}

    @property
    def statuses(self) -> Mapping[str, Status | None]:
        """What each lane said last."""
        return {name: lane.status for name, lane in self.lanes.items()}

    def advance(self, durable: int) -> None:
        """See LaneProcess."""
        for lane in self.lanes.values():
            lane.advance(durable)

    async def run(self) -> None:
        """See LaneProcess; returns when all have finished."""
        async with asyncio.TaskGroup() as tasks:
            for lane in self.lanes.values():
                tasks.create_task(lane.run())

    async def finish(self, timeout: float) -> bool:
        """See LaneProcess; True if all have finished."""
        return all(await asyncio.gather(*(lane.finish(timeout) for lane in self.lanes.values())))

    def _moved(self, _: int) -> None:
        cursors = [lane.status.cursor for lane in self.lanes.values() if lane.status is not None]
        if len(cursors) == len(self.lanes):
            self._on_cursor(min(cursors))
