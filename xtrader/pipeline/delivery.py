"""One sink in its own process: follows the journal as far as it is durable, and moves the sink's cursor.

The rule: nothing is lost by the death of this process at any instant, because all it knows is in the journal, the cursor and
the sink. It is told what to do on stdin, one JSON object a line: first a `DeliverySpec`, then `Order`s; it says how far it is by
`Status` lines on stdout. The end of stdin means that the recorder is gone: it leaves at once, the next one does its work again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from xtrader.errors import SinkRetry, XTraderError
from xtrader.pauses import FIRST, LONGEST, Pauses
from xtrader.pipeline import codec, poison
from xtrader.pipeline.codec import Payload
from xtrader.pipeline.cursors import read_cursor, write_cursor
from xtrader.pipeline.frames import Damaged, JournalFrame, read_frames, segments
from xtrader.pipeline.rotation import Rotation
from xtrader.pipeline.state import JournalState
from xtrader.records.batches import Batch, Session, picked
from xtrader.records.objects import records
from xtrader.sinks.base import Sink, SinkSpec
from xtrader.sinks.refused import RefusedFile

REPORT_SECONDS: Final = 0.25
FIRST_PAUSE: Final = FIRST
LONGEST_PAUSE: Final = LONGEST

log = structlog.get_logger("xtrader.pipeline")


class DeliverySpec(msgspec.Struct, frozen=True):
    """What a delivery is to do: whose journal it follows, into which sink."""

    journal: str
    collector: str
    sink: SinkSpec


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """The journal is durable up to `durable`; with `finish`, that is the end: leave when it is reached. `levels` are those of its
    log from now on; empty: as they are."""

    durable: int
    finish: bool = False
    levels: str = ""


class Status(msgspec.Struct, frozen=True):
    """How far a delivery is. `cursor` is the offset below which the sink has everything, `position` how far it has read, `rows`
    and `parts` count what this process did, `damaged` the journal bytes it had to skip, `refused` the rows that the sink had to
    set aside, `error` is what keeps it waiting, or its rows from being found."""

    cursor: int
    position: int
    rows: int = 0
    parts: int = 0
    damaged: int = 0
    error: str = ""
    refused: int = 0
    retries: int = 0
    """How often this process had to begin again because the sink did not take rows."""
    hidden: bool = False
    """Rows that the sink has taken are not where they are to be found."""


class Delivery:
    """Carries frames from a journal's directory to a sink. `report` is told when something moved."""

    def __init__(self, journal: Path, sink: Sink, rotation: Rotation, report: Callable[[Status], None]) -> None:
        self._journal = journal
        self._sink = sink
        self._rotation = rotation
        self._report = report
        self._reported = 0.0
        self._cursor = 0
        self._committed = 0
        self._position = 0
        self._parts = 0
        self._damaged = 0
        self._retries = 0
        self._reached = 0
        self._refused: dict[int, Mapping[int, str]] = {}
        """By the offset of their frame: the places of the records that the sink refuses."""
        self._set_aside = RefusedFile(journal / f"{sink.name}-refused.jsonl", ("offset", "place"))

    def open(self) -> None:
        """Begin, or begin again, at the sink's cursor. Raises OSError, SinkRetry, ConfigError."""
        files = segments(self._journal)
        oldest = files[0].base if files else 0
        cursor = read_cursor(self._journal, self._sink.name)
        self._cursor = max(oldest, cursor or 0)
        self._sink.abandon()
        start = self._committed = self._position = max(oldest, self._sink.open(self._cursor))
        self._rotation.restart()
        state = JournalState("", {})
        head = max((segment.base for segment in files if segment.base <= start), default=start)
        for item in read_frames(self._journal, head, start):
            if not isinstance(item, Damaged):
                state.take(codec.read_payload(item.payload))
        self._sink.write(Session(state.alive, state.collector, state.venues, list(state.instruments.values())))
        self._tell()

    def advance(self, limit: int) -> None:
        """Carry everything below `limit`, a durable offset; records that the sink can never take are set aside in
        `<sink>-refused.jsonl` beside the journal. Raises OSError, SinkRetry, and what the sink fails by through no record."""
        while True:
            try:
                self._advance(limit)
                return
            except Exception as error:
                if not poison.is_poison(error) or not self._find_refused():
                    raise
            self.open()

    def _find_refused(self) -> bool:
        """Look at what was read since the last commit, frame by frame, for records that the sink refuses; whether there are new
        ones."""
        self._set_aside.load()
        self.open()
        found = False
        for item in read_frames(self._journal, self._position, self._reached):
            if isinstance(item, Damaged) or item.offset in self._refused:
                continue
            payload = codec.read_payload(item.payload)
            try:
                batch = codec.read_batch(payload)
            except poison.UNREADABLE as error:
                self._set_aside.add(poison.about_frame(self._sink.name, item.offset, item.payload, error))
                self._refused[item.offset] = {}
                found = True
                continue
            refused = {} if batch is None else poison.refused(self._sink, batch)
            if batch is None or not refused:
                continue
            rows = list(records(batch))
            for place, reason in refused.items():
                self._set_aside.add(poison.about_record(self._sink.name, item.offset, place, rows[place], reason))
            self._refused[item.offset] = refused
            found = True
        return found

    def _batch(self, item: JournalFrame, payload: Payload) -> Batch | None:
        """What of a frame the sink is to take."""
        refused = self._refused.get(item.offset)
        if refused is None:
            return codec.read_batch(payload)
        batch = codec.read_batch(payload) if refused else None
        kept = [] if batch is None else [place for place in range(len(batch)) if place not in refused]
        return picked(batch, kept) if batch is not None and kept else None

    def _advance(self, limit: int) -> None:
        for item in read_frames(self._journal, self._position, limit):
            if isinstance(item, Damaged):
                self._damaged += item.end - item.offset
                self._position = item.end
                continue
            payload = codec.read_payload(item.payload)
            due = self._rotation.before(payload, item.end - item.offset, limit - item.end)
            if due or self._committed < self._cursor == item.offset:
                self._commit(item.offset)
            self._reached = item.end
            batch = self._batch(item, payload)
            if batch is not None:
                self._sink.write(batch)
            self._position = item.end
            if self._rotation.after(payload):
                self._commit(item.end, final=item.end >= limit)
                self._rotation.restart()
            if time.monotonic() - self._reported > REPORT_SECONDS:
                self._tell()
        if self._cursor < self._committed:
            self._settle(final=False)
        self._tell()

    @property
    def cursor(self) -> int:
        """The offset below which the sink has everything."""
        return self._cursor

    def close(self) -> None:
        """Let go of the sink."""
        self._sink.close()

    def fail(self, error: BaseException) -> None:
        """Say what keeps the sink from taking more."""
        self._retries += 1
        self._tell(f"{type(error).__name__}: {error}")

    def _commit(self, offset: int, *, final: bool = False) -> None:
        self._parts += self._sink.commit(self._committed, offset)
        self._committed = offset
        self._settle(final)
        self._tell()

    def _settle(self, final: bool) -> None:
        settled = self._sink.settle(self._committed, final)
        if settled > self._cursor:
            write_cursor(self._journal, self._sink.name, settled)
            self._cursor = settled
            self._refused = {offset: places for offset, places in self._refused.items() if offset >= settled}

    def _tell(self, error: str = "") -> None:
        self._reported = time.monotonic()
        error = error or self._sink.trouble
        refused = self._sink.refused + self._set_aside.count
        sink, counts = self._sink, (self._parts, self._damaged)
        hidden = bool(sink.trouble)
        self._report(Status(self._cursor, self._position, sink.rows, *counts, error, refused, self._retries, hidden))


class Orders:
    """The newest order, given by one thread and awaited by another."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._order = Order(0)

    def give(self, order: Order) -> None:
        with self._changed:
            self._order = order
            self._changed.notify_all()

    def after(self, order: Order) -> Order:
        """Wait for an order that differs from this one."""
        with self._changed:
            while self._order == order:
                self._changed.wait()
            return self._order

    @property
    def is_ending(self) -> bool:
        """The order to finish came."""
        return self._order.finish

    def pause(self, seconds: float) -> None:
        """Wait; less long if the order to finish comes meanwhile."""
        with self._changed:
            was_ending = self._order.finish
            self._changed.wait_for(lambda: self._order.finish and not was_ending, seconds)


def follow(delivery: Delivery, orders: Orders) -> None:
    """Carry what is ordered until a finishing order is carried out. The sink's bad times are waited out, for ever: the delivery
    begins again at the cursor, after pauses that double up to half a minute."""
    pauses = Pauses(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
    order = Order(0)
    opened = achieved = False
    cursor = 0
    while True:
        try:
            if not opened:
                delivery.open()
                opened = True
            while not order.finish:
                order = orders.after(order)
                delivery.advance(order.durable)
                achieved = True
            return
        except (OSError, SinkRetry) as error:
            achieved = achieved or delivery.cursor > cursor
            seconds = pauses.after_failure(achieved=achieved, ending=orders.is_ending)
            achieved, cursor = False, delivery.cursor
            log.warning("sink_waits", error=str(error), seconds=round(seconds, 2))
            delivery.fail(error)
            opened = False
            order = Order(0)
            orders.pause(seconds)


def delivery_main(make_sink: Callable[[DeliverySpec], Sink], set_levels: Callable[[str], None] = lambda levels: None) -> int:
    """Run a delivery on stdin and stdout; `make_sink` gets its spec, `set_levels` what its log is to say from then on. Returns the
    exit code. What others print goes to stderr. The signals of a shutdown are the recorder's to answer, also where they reach the
    whole process group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    status = os.dup(1)
    os.dup2(2, 1)
    # Unbuffered, because a buffered stdin that a thread still reads from kills the interpreter when it exits.
    stdin = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
    told = stdin.readline()
    if not told.endswith(b"\n"):
        # The recorder was gone before it had said anything.
        return 0
    spec = msgspec.json.decode(told, type=DeliverySpec)
    orders = Orders()
    threading.Thread(target=_listen, args=(stdin, orders, set_levels), daemon=True).start()
    rotation = Rotation(spec.sink.rotate_seconds, spec.sink.rotate_bytes, free=spec.sink.rotate_freely)
    try:
        delivery = Delivery(Path(spec.journal), make_sink(spec), rotation, partial(_say, status))
        follow(delivery, orders)
        delivery.close()
    except XTraderError as error:
        log.error("delivery_failed", error=str(error))
        return error.exit_code
    return 0


def _listen(stream: Iterable[bytes], orders: Orders, set_levels: Callable[[str], None]) -> None:
    levels = ""
    for line in stream:
        if line.endswith(b"\n"):
            order = msgspec.json.decode(line, type=Order)
            if order.levels != levels:
                levels = order.levels
                set_levels(levels)
            orders.give(order)
    os._exit(0)


def _say(descriptor: int, status: Status) -> None:
    try:
        os.write(descriptor, msgspec.json.encode(status) + b"\n")
    except BrokenPipeError:
        os._exit(0)
