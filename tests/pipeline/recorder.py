"""A recorder without sockets: `python -m tests.pipeline.recorder DIRECTORY RUN [SINK_DIRECTORY [URL]]` puts numbered records
through writer, journal and delivery until SIGTERM. `… delivery` is its delivery process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import uvloop

from tests.pipeline.numbered import trade, update
from xtrader.clock import SystemClock
from xtrader.errors import StorageError
from xtrader.model.market import Coverage
from xtrader.pipeline.delivery import DeliverySpec, delivery_main
from xtrader.pipeline.delivery_process import DeliveryProcess
from xtrader.pipeline.journal import open_journal
from xtrader.pipeline.writer import Writer
from xtrader.sinks.base import Sink, SinkSpec
from xtrader.sinks.object_sink import ObjectSink
from xtrader.sinks.parquet.sink import ParquetSink

RUN = 10_000_000
"""Records of run r are numbered from r * RUN on: odd ones are book messages, even ones trades."""
DELIVERY = (sys.executable, "-m", "tests.pipeline.recorder", "delivery")
KEYS = [f"OKX_SWAP@SYM{number}-USDT-SWAP" for number in range(5)]


def make_sink(spec: DeliverySpec) -> Sink:
    directory, url = Path(spec.sink.arguments["directory"]), spec.sink.arguments.get("url")
    if url is not None:
        return ObjectSink(directory, spec.collector, url, keep_local=False)
    return ParquetSink(directory, spec.collector, buffer_bytes=1 << 18)


async def record(journal_directory: Path, run: int, sink_directory: Path, url: str | None = None) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    clock = SystemClock()
    journal = open_journal(journal_directory, "c1", clock, {}, segment_bytes=1 << 18)
    sink = SinkSpec("parquet", {"directory": str(sink_directory), "url": url}, 1.0, 1 << 19)
    spec = DeliverySpec(str(journal_directory), "c1", sink)
    delivery = DeliveryProcess(spec, journal.durable, on_cursor=journal.release, command=DELIVERY)
    writer = Writer(journal, clock, min_free=0, fsync_interval=0.02, on_durable=delivery.advance)
    working = asyncio.create_task(writer.run())
    following = asyncio.create_task(delivery.run())
    for row in journal.open_coverage():
        now = max(clock.now(), row.ts_from)
        writer.put(Coverage(row.instrument, row.stream, row.state, row.cause, row.ts_from, now, row.detail))
    for key in KEYS:
        writer.put(Coverage(key, "L2", "live", "start", clock.now(), None))
    number = run * RUN
    while not stopped.is_set() and not working.done():
        for _ in range(100):
            key = KEYS[number % len(KEYS)]
            writer.put(update(number, key, clock.now()) if number % 2 else trade(number, key, clock.now()))
            number += 1
        await asyncio.sleep(0.01)
    await writer.close()
    await working
    if await delivery.finish(30):
        await following
    else:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    journal.close()


def main() -> int:
    if sys.argv[1] == "delivery":
        return delivery_main(make_sink)
    directory = Path(sys.argv[1])
    sink_directory = Path(sys.argv[3]) if len(sys.argv) > 3 else directory / "data"
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(record(directory / "journal", int(sys.argv[2]), sink_directory, *sys.argv[4:]))
    except StorageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
