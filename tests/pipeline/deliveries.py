"""Deliveries of a journal into memory, as tests make them."""

from __future__ import annotations

from pathlib import Path

from xtrader.errors import SinkRetry
from xtrader.pipeline.delivery import Delivery, DeliverySpec, Status
from xtrader.pipeline.rotation import Rotation
from xtrader.records.batches import Batch, Session
from xtrader.sinks.base import SinkSpec
from xtrader.sinks.memory import MemorySink


class Failing(MemorySink):
    """Takes nothing in its bad times, which are counted down by attempts."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def write(self, batch: Batch) -> None:
        super().write(batch)
        if self.failures and not isinstance(batch, Session):
            self.failures -= 1
            raise SinkRetry("not now")


def delivery_of(directory: Path, sink: MemorySink, rotation: Rotation | None = None) -> tuple[Delivery, list[Status]]:
    told: list[Status] = []
    return Delivery(directory, sink, rotation or Rotation(), told.append), told


def spec(directory: Path, sink_directory: Path) -> DeliverySpec:
    return DeliverySpec(str(directory), "c1", SinkSpec("parquet", {"directory": str(sink_directory)}, 60.0, 1 << 30))
