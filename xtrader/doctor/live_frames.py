"""What a venue sends today, beside what the code expects: one connection, one instrument a stream, for a few seconds.

The rule: it is the recorder's own conversation with the venue that is listened to; what it cannot use, a recorder cannot either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from xtrader.clock import DAY, SECOND, Clock
from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.doctor.venue_check import AskedVenue
from xtrader.errors import XTraderError
from xtrader.feed.conversation import Conversation
from xtrader.feed.rest import Rest
from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, MarketRecord, Trade
from xtrader.model.streams import BY_RECORD
from xtrader.model.subscription import Subscription
from xtrader.venues import known_fields
from xtrader.venues.base import Link, Market
from xtrader.venues.machine.fields import CATALOGUE, VenueFields, catalogue_rows, changes, message_rows

SECONDS: Final = 15.0
"""For all channels of a venue; trades of a quiet instrument may not come in it."""
FRAMES: Final = 2000
"""Of a connection that are looked into."""
LEVELS: Final = 100
"""Best levels of a side that are held against the tick and lot sizes."""
ROWS: Final = 200
"""Rows of a catalogue that are looked into."""
ODD: Final = ("unknown", "malformed", "unknown_side")
"""What a session counts that no message of today should be."""
UPDATE: Final = "see whether the venue's change log says what it is, and update xtrader"


class LiveFrames:
    """Hears a connection: as `Raw` its bytes, as `emit` its records. Keeps the first part of each kind of message, and the first
    record of each subscription."""

    def __init__(self, fields: VenueFields | None) -> None:
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.records: dict[Subscription, MarketRecord] = {}
        self.refused: dict[Subscription, str] = {}
        self._fields = fields
        self._left = FRAMES

    def emit(self, record: MarketRecord | Coverage) -> None:
        """Take a record of the session."""
        if isinstance(record, Coverage):
            if record.state == "gap":
                self.refused[Subscription(record.stream, *record.instrument.split("@", 1))] = record.detail or record.cause
            return
        self.records.setdefault(Subscription(BY_RECORD[type(record)].name, *record.instrument.split("@", 1)), record)

    def received(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> None:
        """Take a message's bytes."""
        if self._fields is None or self._left <= 0:
            return
        self._left -= 1
        for kind, row in message_rows(self._fields, bytes(payload)):
            # An empty value says less than a full one of the same kind.
            if len(row) > len(self.rows.get(kind, ())):
                self.rows[kind] = row

    def opened(self, now: int) -> None:
        """Nothing to do."""

    def sent(self, payload: str, ts: int) -> None:
        """Nothing to do."""

    def answered(self, url: str, status: int, body: bytes, headers: Mapping[str, str], ts: int) -> None:
        """Nothing to do."""

    def tick(self, now: int) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


async def examine_live(asked: AskedVenue, rest: Rest, clock: Clock, seconds: float = SECONDS) -> list[Diagnosis]:
    """What a venue sends of one subscription a stream, and how that and its catalogue differ from what is expected."""
    market = asked.market
    fields = known_fields(market.exchange)
    found = list(_catalogue(asked, fields))
    wanted = list({one.stream: one for one in reversed(asked.subscriptions)}.values())
    if not wanted:
        return found
    listings = {row.symbol: row for row in asked.listed.instruments} if asked.listed is not None else {}
    heard = await asyncio.gather(*(_listen(market, link, rest, clock, fields, seconds) for link in market.links(wanted)))
    for diagnoses, frames in heard:
        found += diagnoses
        for subscription, record in frames.records.items():
            found += _units(subscription, record, listings.get(subscription.instrument))
        if fields is not None:
            for kind, row in frames.rows.items():
                found += compare(f"live {market.exchange} {kind}", fields, kind, [row])
    if fields is None:
        found.append(ok(f"live {market.exchange}", "which fields its messages have is not written down here; they can be read"))
    return found


def compare(about: str, fields: VenueFields, kind: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Diagnosis]:
    """How rows of a kind differ from what is known of it: a field is missing if no row has it."""
    differences = [changes(fields.kinds[kind], row) for row in rows]
    new = sorted({name for one in differences for name in one.new})
    missing = sorted(set.intersection(*(set(one.missing) for one in differences))) if differences else []
    if missing:
        yield wrong(about, f"has no {', '.join(missing)} any more", f"nothing can be recorded rightly without: {UPDATE}")
    if new:
        yield warning(about, f"has fields that are not known here: {', '.join(new)}", f"they are left out: {UPDATE}")
    if differences and not missing and not new:
        yield ok(about, "has the fields that are known, and no others")


def _catalogue(asked: AskedVenue, fields: VenueFields | None) -> Iterator[Diagnosis]:
    if fields is None:
        return
    about = f"live {asked.market.exchange}"
    rows = [row for body in asked.bodies for row in catalogue_rows(fields, body)]
    yield from compare(f"{about} catalogue", fields, CATALOGUE, rows[:: max(len(rows) // ROWS, 1)])
    limits = asked.market.limits
    for body in asked.bodies:
        with suppress(msgspec.MsgspecError):
            for words in fields.limits(msgspec.json.decode(body, type=dict[str, Any]), limits.rest_weight, limits.rest_seconds):
                yield warning(f"{about} limits", words, UPDATE)
    if limits.used_weight_header and not any(limits.used_weight_header in names for names in asked.headers):
        yield warning(f"{about} limits", f"its answers have no header {limits.used_weight_header} any more", UPDATE)


async def _listen(
    market: Market, link: Link, rest: Rest, clock: Clock, fields: VenueFields | None, seconds: float
) -> tuple[list[Diagnosis], LiveFrames]:
    frames = LiveFrames(fields)
    session = market.session(link, "start", {})
    talk = Conversation(market, link, session, rest=rest, clock=clock, emit=frames.emit, raw=frames)
    about = f"live {link.name}"
    running = asyncio.create_task(talk.run())
    failure = ""
    try:
        async with asyncio.timeout(seconds):
            while set(frames.records) != set(link.subscriptions) and not running.done():
                await asyncio.wait([running], timeout=0.05)
    except TimeoutError:
        pass
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        pass
    except XTraderError as error:
        failure = str(error)
    found = (
        [wrong(about, f"the connection ended: {failure}", "see what else is wrong above, and the venue's status page")]
        if failure
        else []
    )
    found += [_heard(one, frames, session.activity[one].state, seconds) for one in link.subscriptions]
    counts = {name: session.counts[name] for name in ODD if session.counts[name]}
    if counts:
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        found.append(warning(about, f"some messages are of no kind that is known, or cannot be read: {said}", UPDATE))
    return found, frames


def _heard(subscription: Subscription, frames: LiveFrames, state: str, seconds: float) -> Diagnosis:
    about = f"live {subscription}"
    if subscription in frames.records:
        return ok(about, "its messages can be read")
    if state == "live":
        return ok(about, f"is subscribed; nothing came in {seconds:.0f} s, which may be quiet")
    why = frames.refused.get(subscription, "")
    if why:
        return wrong(about, f"brings nothing: {why}", UPDATE)
    return wrong(about, f"is not in sync after {seconds:.0f} s", "do its messages have all fields (see below)? Is the venue well?")


def _units(subscription: Subscription, record: MarketRecord, listing: Instrument | None) -> Iterator[Diagnosis]:
    """Whether times, prices and sizes are in the units that are expected."""
    about = f"live {subscription}"
    if record.ts_event is not None and abs(record.ts_event - record.ts_recv) > DAY:
        far = abs(record.ts_event - record.ts_recv) / SECOND
        yield wrong(about, f"its times are {far:,.0f} s from now: they may be in another unit", UPDATE)
    if listing is None or not isinstance(record, BookUpdate | Trade):
        return
    levels = [*record.bids[:LEVELS], *record.asks[:LEVELS]] if isinstance(record, BookUpdate) else [(record.price, record.size)]
    for what, step, values in (
        ("prices", listing.tick_size, [price for price, _ in levels]),
        ("sizes", listing.lot_size, [size for _, size in levels]),
    ):
        odd = [value for value in values if step and not is_multiple(value, step)]
        if len(odd) > len(values) // 2:
            words = (
                f"its {what} are no multiples of the catalogue's {step:.10g}, such as {odd[0]:.10g}: they may be in another unit"
            )
            yield warning(about, words, UPDATE)


def is_multiple(value: float, step: float) -> bool:
    """Whether a value is a whole number of steps, as far as float64 tells."""
    count = value / step
    return abs(count - round(count)) <= 1e-9 * max(abs(count), 1.0) + 1e-6
