"""Whether the venues of the subscriptions can be asked, know the instruments, and agree with this machine's clock.

The rule: only the catalogues are asked for, through the same code as recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Final

from xtrader.clock import Clock
from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.doctor.wall_clock import judge
from xtrader.errors import ConfigError, XTraderError
from xtrader.feed.catalogue import TIMEOUT, TRADING, near, pages_of, pick
from xtrader.feed.rest import Rest, RestAnswer
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Listed, Market

AGAIN: Final = 3
"""Times that a venue is asked: each answer narrows how far its clock and this one differ."""
APART: Final = 0.31
"""Seconds between two of them, so that they fall on different parts of a second."""


@dataclass(slots=True)
class AskedVenue:
    """What a venue answered: its catalogue's bodies, what could be read of them, and which instrument each subscription means."""

    market: Market
    bodies: list[bytes] = field(default_factory=list)
    headers: list[set[str]] = field(default_factory=list)
    """The names of each answer's headers, in capitals."""
    listed: Listed | None = None
    subscriptions: tuple[Subscription, ...] = ()
    """With the venue's own symbols; those that it knows."""
    findings: list[Diagnosis] = field(default_factory=list)


async def ask_venue(market: Market, wanted: Sequence[Subscription], rest: Rest, clock: Clock) -> AskedVenue:
    """Ask a venue for its catalogue, and look the subscriptions up in it."""
    found = AskedVenue(market)
    about = f"venue {market.exchange}"
    try:
        async with asyncio.timeout(TIMEOUT):
            requests = market.catalogue([one.instrument for one in wanted])
            pages = [await pages_of(partial(rest.ask, market), request, attrgetter("body")) for request in requests]
            answers = [answer for of in pages for answer in of]
        found.findings += _refused(about, answers)
        if found.findings:
            return found
        found.bodies = [answer.body for answer in answers]
        found.headers = [{name.upper() for name in answer.headers} for answer in answers]
        found.listed = market.instruments(found.bodies, clock.now())
    except (XTraderError, TimeoutError) as error:
        reason = str(error) or f"no answer in {TIMEOUT:.0f} s"
        found.findings.append(wrong(about, f"its catalogue cannot be had: {reason}", _reach(market)))
        return found
    found.findings.append(_catalogue(about, market, found.listed))
    found.findings += _odd(about, found.listed)
    known = []
    for subscription in wanted:
        finding, instrument = _symbol(subscription, found.listed.instruments)
        found.findings += finding
        if instrument is not None:
            known.append(Subscription(subscription.stream, subscription.exchange, instrument.symbol))
    found.subscriptions = tuple(dict.fromkeys(known))
    found.findings += await _clock(about, market, wanted, rest, clock)
    return found


def _refused(about: str, answers: Sequence[RestAnswer]) -> list[Diagnosis]:
    statuses = sorted({answer.status for answer in answers if answer.status != 200})
    if not statuses:
        return []
    remedy = "with 403 or 451 it does not serve this address or country; else try again, and see its status page"
    return [wrong(about, f"its catalogue cannot be had: HTTP {', '.join(map(str, statuses))}", remedy)]


def _reach(market: Market) -> str:
    if market.environment == "override":
        return f"is XTRADER_{market.exchange}_REST_URL right, and does anything listen there?"
    return "is the network there (see above)? Does the venue serve this country? See its status page"


def _catalogue(about: str, market: Market, listed: Listed) -> Diagnosis:
    if not listed.instruments:
        return wrong(about, "its catalogue is empty", _reach(market))
    return ok(about, f"answers ({market.environment}); lists {len(listed.instruments)} instruments")


def _odd(about: str, listed: Listed) -> list[Diagnosis]:
    update = "xtrader may be older than the venue's catalogue: update it"
    found = []
    if listed.unread:
        found.append(
            warning(about, f"{len(listed.unread)} rows of its catalogue cannot be read, such as {listed.unread[0]}", update)
        )
    if listed.doubtful:
        found.append(
            warning(about, f"{len(listed.doubtful)} numbers of its catalogue cannot be true, such as {listed.doubtful[0]}", update)
        )
    return found


def _symbol(subscription: Subscription, instruments: Sequence[Instrument]) -> tuple[list[Diagnosis], Instrument | None]:
    about = f"subscription {subscription}"
    try:
        instrument = pick(instruments, subscription.instrument, str(subscription))
    except ConfigError as error:
        return [wrong(about, str(error), "name one of them")], None
    if instrument is None:
        return [wrong(about, "the venue lists no such instrument", near(instruments, subscription.instrument))], None
    if instrument.status.lower() not in TRADING:
        return [
            warning(
                about,
                f"{instrument.symbol} does not trade: its status is '{instrument.status}'",
                "is it the right one? It may bring nothing",
            )
        ], instrument
    return [ok(about, f"is {instrument.symbol} ({instrument.kind}, {instrument.status or 'status not told'})")], instrument


async def _clock(about: str, market: Market, wanted: Sequence[Subscription], rest: Rest, clock: Clock) -> list[Diagnosis]:
    """How far this machine's clock is from the venue's, by when it says that it answered."""
    fetch = market.catalogue([one.instrument for one in wanted])[0]
    for _ in range(AGAIN - 1):
        await asyncio.sleep(APART)
        try:
            await rest.ask(market, fetch)
        except XTraderError:
            break
    offset, error = rest.offsets[market.exchange].bounds(clock.now())
    if offset is None or error is None:
        return []
    found = judge(about, offset, error)
    return [found]
