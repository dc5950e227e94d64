"""Alerts fire and clear in a real Prometheus with a real Alertmanager, because something of a real recorder is really broken.

All that may be broken at once is, as most of the time is waiting. XTRADER_ALERTS=1 adds what takes a database, an object store or
control groups; ONLY_BY_RULES has the alerts that nothing is broken for here: for them tests/ of deploy/monitoring stands alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import resource
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest
import trustme

from tests.deploy.broken import ALL, BINANCE, DERIBIT, OKX, RARER, Recorders, both
from tests.deploy.monitoring import LONGEST, Session, expressions, named, needed, rules, stack
from tests.faults.world import LOGIN
from tests.needs import missing, small_file_system
from tests.pipeline.loops import in_loop
from tests.waiting import until
from xtrader.emulator import deribit
from xtrader.emulator.faults import parse
from xtrader.emulator.server import Emulator

FIRED_HERE = {
    *("XtraderCertificate", "XtraderCredentials", "XtraderDescriptors", "XtraderDiskFilling", "XtraderDown", "XtraderGapRate"),
    *("XtraderHung", "XtraderJournalFilling", "XtraderJournalFull", "XtraderNoTargets", "XtraderNotReady", "XtraderRestBlocked"),
    *("XtraderRestBudget", "XtraderSinkFailing", "XtraderSubscriptionNotLive", "XtraderUnknownMessages", "XtraderVenueDown"),
    "XtraderWatchdog",
}
OF_THE_MACHINE = {
    *("XtraderClockOff", "XtraderCommitSlow", "XtraderJournalDelay", "XtraderJournalStalled", "XtraderReceiveLag"),
    *("XtraderRestarting", "XtraderSinkLag", "XtraderSinkRestarting"),
}
ONLY_BY_RULES = {"XtraderConnectBudget", "XtraderRowsSetAside", "XtraderStale"}
INHIBITED = {
    (("XtraderVenueDown", "a"), ("XtraderSubscriptionNotLive", "a")),
    (("XtraderJournalFull", "b"), ("XtraderJournalFilling", "b")),
}
INHIBITED_ON_THE_MACHINE = {
    (("XtraderSinkFailing", "b"), ("XtraderSinkLag", "b")),
    (("XtraderClockOff", "c"), ("XtraderReceiveLag", "c")),
    (("XtraderJournalStalled", "c"), ("XtraderHung", "c")),
}
"""Causes, and what people are not told because of them."""
SECONDS_TO_BE_OLD = 60
"""A venue that is down is none while the recorder is younger."""


def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def faketime(offset: Path) -> dict[str, str]:
    """Variables by which a process's clock is wrong by what a file says."""
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not found:
        missing("libfaketime is not installed (Debian: faketime)")
    flags = {"FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": str(offset), **flags}


@asynccontextmanager
async def slow_disk(process: asyncio.subprocess.Process, calls: str, seconds: float) -> AsyncIterator[None]:
    """Meanwhile each of these calls of the recorder takes so much longer."""
    delay = f"inject={calls}:delay_exit={int(seconds * 1e6)}"
    command = ["strace", "-f", "-e", f"trace={calls}", "-e", delay, "-p", str(process.pid)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        tracer.terminate()
        await asyncio.to_thread(tracer.wait)


def fill(place: Path, left: int) -> Path:
    """A file that leaves `left` bytes of its file system free."""
    made = place / "fill"
    free = psutil.disk_usage(str(place)).free
    with made.open("wb") as file, contextlib.suppress(OSError):
        for _ in range(max(free - left, 0) >> 12):
            file.write(bytes(4096))
    return made


class Venue:
    """An emulated venue that can be away, and come back where it was with another certificate."""

    def __init__(self, exchange: str, rate: float) -> None:
        self._exchange, self._rate = exchange, rate
        self._running = AsyncExitStack()
        self._port = 0
        self.emulator: Emulator | None = None

    async def open(self, authority: trustme.CA | None = None) -> dict[str, str]:
        """It is there; the variables that point at it."""
        context = None if authority is None else tls(authority)
        emulator = Emulator([self._exchange], instruments=1, rate=self._rate, port=self._port, tls=context)
        self.emulator = await self._running.enter_async_context(emulator)
        self._port = int(emulator.variables[f"XTRADER_{self._exchange}_REST_URL"].rpartition(":")[2])
        return emulator.variables

    async def close(self) -> None:
        """It is away."""
        await self._running.aclose()

    def meet(self, *faults: str) -> None:
        assert self.emulator is not None
        for fault in faults:
            self.emulator.add(parse(fault))


async def use_weight_up(session: Session, binance: Venue) -> None:
    """Others behind the same address ask the venue for more than four fifths of what we allow ourselves in a minute."""
    assert binance.emulator is not None
    address = binance.emulator.variables["XTRADER_BINANCE_FUTURES_REST_URL"]

    def used() -> int:
        with urllib.request.urlopen(f"{address}/fapi/v1/depth?symbol=BTCUSDT&limit=1000", timeout=20) as answer:
            return int(answer.headers["X-MBX-USED-WEIGHT-1M"])

    while ("XtraderRestBudget", "a") not in session.fired:
        # Once more if that was at the end of the venue's minute.
        while await asyncio.to_thread(used) < 1750:
            pass
        # A snapshot, which does not wait until others ask less, shows how much is used.
        binance.meet(f"lost:L2:{BINANCE}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(session.fires("a", "XtraderRestBudget"), LONGEST + 5)


async def of_the_machine(recorders: Recorders, session: Session, offset: Path) -> None:
    """Recorder c: its clock, its life, a disk that is slow, and its sink's process."""
    await recorders.kill("c")
    await session.fires("c", "XtraderDown")
    await recorders.again("c")
    await recorders.kill("c")
    await recorders.again("c")
    await session.fires("c", "XtraderRestarting", "XtraderClockOff", "XtraderReceiveLag")
    process = recorders.processes["c"]
    async with slow_disk(process, "fdatasync,write,writev", 0.8):
        await session.fires("c", "XtraderCommitSlow", "XtraderJournalDelay")
    async with slow_disk(process, "fdatasync", 60):
        await session.fires("c", "XtraderJournalStalled", "XtraderHung")
    offset.write_text("+0s")
    for _ in range(3):
        (sink,) = await until(lambda: [one for one in psutil.Process(process.pid).children() if "_deliver" in one.cmdline()])
        before = f'xtrader_sink_restarts_total{{instance="c"}} == {session.restarts("c")}'
        sink.kill()
        await until(lambda before=before: not session.stack.ask(before), pause=0.3)
    await session.fires("c", "XtraderSinkRestarting")
    names = (
        "Down",
        "ClockOff",
        "CommitSlow",
        "Hung",
        "JournalDelay",
        "JournalStalled",
        "ReceiveLag",
        "Restarting",
        "SinkRestarting",
    )
    await session.clears("c", *(f"Xtrader{name}" for name in names))


async def of_its_disk(recorders: Recorders, session: Session, journal: Path, output: Path, filler: Path) -> None:
    """Recorder b: no room for files, then none for the journal; then it hangs, and is gone."""
    full = fill(output, 0)
    names = ["XtraderSinkFailing", "XtraderJournalFilling", "XtraderDiskFilling", *(["XtraderSinkLag"] if ALL else [])]
    await session.fires("b", *names)
    fuller = fill(journal, 700 << 10)
    await session.fires("b", "XtraderJournalFull", "XtraderNotReady")
    for one in (full, fuller, filler):
        one.unlink()
    await session.clears("b", *names, "XtraderJournalFull", "XtraderNotReady")
    process = recorders.processes["b"]
    process.send_signal(signal.SIGSTOP)
    await session.fires("b", "XtraderHung")
    process.send_signal(signal.SIGCONT)
    await session.clears("b", "XtraderHung")
    await recorders.kill("b")
    await session.fires("b", "XtraderDown")
    await recorders.again("b")
    await session.clears("b", "XtraderDown")


async def of_the_venues(
    recorders: Recorders, session: Session, venues: dict[str, Venue], authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorder a: what venues do, and what is near a limit."""
    okx, binance, options = (venues[name] for name in ("OKX_SWAP", "BINANCE_FUTURES", "DERIBIT"))
    okx.meet(f"lost:L2:{OKX}:times=8,every=40", "unknown_enum:TRADES:OKX_SWAP")
    binance.meet("rest_429:BINANCE_FUTURES:seconds=4")
    process = psutil.Process(recorders.processes["a"].pid)
    limit = process.rlimit(resource.RLIMIT_NOFILE)
    process.rlimit(resource.RLIMIT_NOFILE, (int(process.num_fds() / 0.85), limit[1]))
    monkeypatch.setattr(deribit, "CLIENT_SECRET", "another")
    options.meet(f"close_1006:L2:{DERIBIT}")
    await session.fires("a", "XtraderRestBlocked")
    await use_weight_up(session, binance)
    first = ("XtraderRestBlocked", "XtraderRestBudget", "XtraderUnknownMessages", "XtraderDescriptors", "XtraderCredentials")
    await session.fires("a", *first, "XtraderSubscriptionNotLive")
    process.rlimit(resource.RLIMIT_NOFILE, limit)
    monkeypatch.undo()
    await options.close()
    await options.open(trustme.CA())
    await session.fires("a", "XtraderCertificate")
    await options.close()
    await options.open(authority)
    age = f'time() - xtrader_start_timestamp_seconds{{instance="a"}} > {SECONDS_TO_BE_OLD}'
    await until(lambda: session.stack.ask(age), pause=0.5)
    people = session.stack.people
    before = len(people.pages(exchange="BINANCE_FUTURES"))
    await binance.close()
    await session.fires("a", "XtraderVenueDown", "XtraderGapRate", "XtraderNotReady")
    await until(lambda: ("XtraderSubscriptionNotLive", "a") in session.inhibited)
    await until(lambda: len(people.pages(exchange="BINANCE_FUTURES")) > before)
    assert people.pages(exchange="BINANCE_FUTURES")[before:] == [("XtraderVenueDown", "a")]
    await binance.open()
    names = ("XtraderCertificate", "XtraderVenueDown", "XtraderGapRate", "XtraderNotReady", "XtraderSubscriptionNotLive")
    await session.clears("a", *first, *names)


def test_every_alert_is_fired_here_or_named_where_it_is_not() -> None:
    groups = (FIRED_HERE, OF_THE_MACHINE, RARER, ONLY_BY_RULES)
    assert {one["alert"] for one in rules("alert")} == set().union(*groups)
    assert sum(map(len, groups)) == len(rules("alert"))


@pytest.mark.slow
@in_loop
async def test_alerts_fire_and_clear_and_people_are_told_of_the_cause_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("prometheus", "prometheus-alertmanager", *(["strace"] if ALL else []))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    offset = tmp_path / "offset"
    offset.write_text("+5s")
    venues = {name: Venue(name, 30) for name in ("OKX_SWAP", "BINANCE_FUTURES", "DERIBIT")}
    async with AsyncExitStack() as until_the_end:
        # A disk of their own for all: how busy the machine's is does not matter then.
        root = until_the_end.enter_context(small_file_system(tmp_path / "disk", "300m"))
        journal, output = (until_the_end.enter_context(small_file_system(tmp_path / name, "16m")) for name in ("journal", "output"))
        filler = fill(journal, 8 << 20).rename(journal / "filler")
        session = Session(until_the_end.enter_context(stack(tmp_path)))
        looking = asyncio.create_task(session.look())
        pointed: dict[str, str] = {}
        for name, venue in venues.items():
            until_the_end.push_async_callback(venue.close)
            pointed |= await venue.open(authority if name == "DERIBIT" else None)
        recorders = Recorders(root, session)
        until_the_end.push_async_callback(recorders.close)
        often = {**pointed, "XTRADER_CATALOGUE_INTERVAL": "1s", "XTRADER_ROTATE_SECONDS": "5"}
        known = {"SSL_CERT_FILE": str(tmp_path / "authority.pem"), **LOGIN}
        small = {"XTRADER_JOURNAL_DIRECTORY": str(journal), "XTRADER_JOURNAL_MAX_BYTES": "4MiB"}
        await asyncio.gather(
            session.fires("", "XtraderNoTargets", "XtraderWatchdog"),
            recorders.start("a", both(OKX, BINANCE, DERIBIT), {**often, **known}),
            recorders.start("b", both(OKX), {**often, **small}, into=output),
            *([recorders.start("c", both(OKX), {**often, **faketime(offset)})] if ALL else []),
        )
        await recorders.scraped()
        await session.clears("", "XtraderNoTargets")
        await asyncio.gather(
            of_the_venues(recorders, session, venues, authority, monkeypatch),
            of_its_disk(recorders, session, journal, output, filler),
            *([of_the_machine(recorders, session, offset)] if ALL else []),
        )
        looking.cancel()
        # What rules and panels ask is answered by what these recorders served.
        asked = {f"last_over_time({name}[10m])" for one in (*rules("alert"), *rules("record")) for name in named(one["expr"])}
        asked |= {one for dashboard in ("overview", "venues", "storage") for one in expressions(dashboard)}
        assert [one for one in sorted(asked) if not session.stack.ask(one)] == []
    inhibited = INHIBITED | (INHIBITED_ON_THE_MACHINE if ALL else set())
    told = set(session.stack.people.pages())
    assert {name for name, _ in session.fired} >= FIRED_HERE | (OF_THE_MACHINE if ALL else set())
    # People hear of all that fires, but for what has a cause that they hear of instead.
    for cause, effect in inhibited:
        assert cause in told
        assert effect in session.inhibited
    unheard = {effect for _, (effect, _) in inhibited} | {"XtraderWatchdog", "XtraderNotReady"}
    assert {name for name, _ in told} >= {name for name, _ in session.fired} - unheard
    assert ("XtraderWatchdog", "") in session.stack.people.pages("/watchdog")
