"""The alerts that take longer to bring about, on recorders that are really broken: memory, workers, a database, an object store."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from tests import objectstore
from tests.deploy.broken import ALL, OKX, RARER, Recorders, both
from tests.deploy.monitoring import Session, needed, stack
from tests.needs import missing, small_file_system
from tests.pipeline.loops import in_loop
from tests.sinks.questdb.server import Server
from tests.waiting import until
from xtrader.emulator.server import Emulator


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """Processes that are started meanwhile may together have so many bytes of memory."""
    own = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line), "")
    group = Path("/sys/fs/cgroup/memory" + own.rpartition(":")[2])
    made = group / f"xtrader-test-{os.getpid()}"
    try:
        made.mkdir()
    except OSError:
        missing("no control group for memory (version 1) can be made here")
    (made / "memory.limit_in_bytes").write_text(str(size))
    (made / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (group / "cgroup.procs").write_text(str(os.getpid()))


async def of_memory_and_damage(recorders: Recorders, session: Session, root: Path, given: dict[str, str]) -> None:
    """Recorder g: little memory; then, without that limit, a journal that was damaged while it was away."""
    with limited(250 << 20):
        await recorders.start("g", both(OKX), given)
    await recorders.scraped()
    await session.fires("g", "XtraderMemory")
    await recorders.kill("g")
    segment = max((root / "g" / "data" / ".journal").glob("*.journal"), key=lambda path: path.stat().st_size)
    with segment.open("r+b") as file:
        file.seek(segment.stat().st_size // 2)
        file.write(b"damaged" * 8)
    await recorders.again("g")
    await session.fires("g", "XtraderJournalDamaged")
    await session.clears("g", "XtraderMemory")
    await recorders.kill("g")
    await recorders.again("g")
    await session.clears("g", "XtraderJournalDamaged")


async def of_workers(recorders: Recorders, session: Session) -> None:
    """Recorder f: a recording process that dies as soon as it lives."""
    gone = ("XtraderWorkerGone", "f")
    while gone not in session.fired:
        for child in psutil.Process(recorders.processes["f"].pid).children():
            with contextlib.suppress(psutil.Error):
                if "_worker" in child.cmdline():
                    child.kill()
        await asyncio.sleep(0.2)
    await session.clears("f", "XtraderWorkerGone")


async def of_a_database(session: Session, database: Server) -> None:
    """Recorder d: a table that somebody suspends."""
    await until(lambda: database.rows("trades") > 0)
    database.sql("ALTER TABLE 'trades' SUSPEND WAL")
    await session.fires("d", "XtraderTableSuspended")
    database.sql("ALTER TABLE 'trades' RESUME WAL")
    await session.clears("d", "XtraderTableSuspended")


async def of_an_object_store(session: Session, road: objectstore.Road) -> None:
    """Recorder e: an object store that is away."""
    road.close()
    await session.fires("e", "XtraderUploadBehind")
    road.open()
    await session.clears("e", "XtraderUploadBehind")


@pytest.mark.skipif(not ALL, reason="XTRADER_ALERTS=1 tries them")
@in_loop
async def test_rarer_alerts_fire_and_clear(tmp_path: Path) -> None:
    needed("prometheus", "prometheus-alertmanager")
    async with AsyncExitStack() as until_the_end:
        root = until_the_end.enter_context(small_file_system(tmp_path / "disk", "500m"))
        store = until_the_end.enter_context(contextlib.contextmanager(objectstore.server)())
        road = objectstore.Road(store.port)
        until_the_end.callback(road.close)
        store.make_bucket("recordings")
        database = Server(tmp_path / "questdb")
        database.start()
        until_the_end.callback(database.stop)
        session = Session(until_the_end.enter_context(stack(tmp_path)))
        looking = asyncio.create_task(session.look())
        venue = await until_the_end.enter_async_context(Emulator(["OKX_SWAP"], instruments=2, rate=60))
        recorders = Recorders(root, session)
        until_the_end.push_async_callback(recorders.close)
        given = venue.variables
        store_variables = {**objectstore.KEYS, "AWS_ENDPOINT_URL": road.url, "XTRADER_UPLOAD_URL": "s3://recordings"}
        await asyncio.gather(
            recorders.start("d", both(OKX), {**given, **database.variables(), "XTRADER_SINK": "questdb"}),
            recorders.start("e", both(OKX), {**given, **store_variables, "XTRADER_ROTATE_SECONDS": "1"}),
            recorders.start("f", both(OKX, "OKX_SWAP@ETH-USDT-SWAP"), {**given, "XTRADER_WORKERS": "2"}),
        )
        await recorders.scraped()
        await asyncio.gather(
            of_a_database(session, database),
            of_an_object_store(session, road),
            of_workers(recorders, session),
            of_memory_and_damage(recorders, session, root, given),
        )
        looking.cancel()
    assert {name for name, _ in session.fired} >= RARER
