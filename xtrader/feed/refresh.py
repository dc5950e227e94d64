"""Refresh: while instruments are recorded the venues' catalogues are read again, and what changed is told.

Rule: a reading that fails changes nothing, and is followed by another one soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress

import msgspec
import structlog

from xtrader.clock import SECOND, Clock
from xtrader.errors import ConfigError, XTraderError
from xtrader.feed.catalogue import TRADING, Catalogue, is_unread, near, pick
from xtrader.model.instrument import Instrument
from xtrader.venues.base import Market

log = structlog.get_logger("xtrader.catalogue")

SOON = 60.0
"""Seconds after which a catalogue is read again that could not be had, or that lacks an instrument, or when one has expired;
and the shortest time between two readings, however often the venue says that something changed."""
SETTLE = 1.0
"""Seconds between the venue's notice of a change and the reading: notices come together."""
UNLISTED = "unlisted"
"""The status, a word of ours, of what two readings of the whole catalogue in a row did not list."""


class Refresh:
    """Reads the catalogues of `markets` (by exchange token) again every `seconds`. `instruments` are the latest facts by key, kept
    up to date here; `tell` gets each one that changed."""

    def __init__(
        self,
        catalogue: Catalogue,
        markets: Mapping[str, Market],
        instruments: MutableMapping[str, Instrument],
        *,
        tell: Callable[[Instrument], None],
        clock: Clock,
        seconds: float,
    ) -> None:
        self._catalogue = catalogue
        self._markets = markets
        self._instruments = instruments
        self._tell = tell
        self._clock = clock
        self._seconds = seconds
        self._soon = min(SOON, seconds)
        self._noticed = {exchange: asyncio.Event() for exchange in markets}
        self._added = {exchange: asyncio.Event() for exchange in markets}
        self._missed: set[str] = set()
        self._compared: set[str] = set()
        self._reading = asyncio.Lock()
        """One catalogue at a time: a large one keeps a thread busy for a while, and others have to get a word in."""

    def add(self, instruments: Mapping[str, Instrument]) -> None:
        """Follow these too, by key: they have just been looked up."""
        self._instruments.update(instruments)
        for one in instruments.values():
            self._added[one.exchange].set()

    def notice(self, exchange: str, symbols: Iterable[str]) -> None:
        """The venue says that its catalogue has other facts of `symbols`: read it again soon, if one of them is recorded."""
        if any(f"{exchange}@{symbol}" in self._instruments for symbol in symbols):
            self._noticed[exchange].set()

    async def run(self) -> None:
        """Read again, each venue by itself, until cancelled. Raises only what `tell` raises."""
        async with asyncio.TaskGroup() as tasks:
            for exchange in sorted(self._markets):
                tasks.create_task(self._follow(self._markets[exchange]))
            await asyncio.Event().wait()

    async def _follow(self, market: Market) -> None:
        if not self._of(market):
            await self._added[market.exchange].wait()
        known = all(instrument.source == "venue" for instrument in self._of(market).values())
        seconds = self._seconds if known else self._soon
        while True:
            await self._wait(market, seconds)
            seconds = self._seconds if await self._read(market) else self._soon

    async def _wait(self, market: Market, seconds: float) -> None:
        """Until it is time for a reading: after `seconds`, after an expiry, or when the venue gives notice."""
        began, now = self._clock.monotonic(), self._clock.now()
        expiries = [one.expiry for one in self._of(market).values() if one.expiry is not None and one.expiry > now]
        if expiries:
            seconds = min(seconds, (min(expiries) - now) / SECOND + self._soon)
        noticed = self._noticed[market.exchange]
        with suppress(TimeoutError):
            await asyncio.wait_for(noticed.wait(), seconds)
            passed = (self._clock.monotonic() - began) / SECOND
            await asyncio.sleep(max(self._soon - passed, min(SETTLE, self._soon)))
        noticed.clear()

    async def _read(self, market: Market) -> bool:
        """False if the venue should be asked again soon: it gave nothing, or did not list an instrument for the first time."""
        before = self._of(market)
        guessed = [one for one in before.values() if one.source == "rule"]
        try:
            async with self._reading:
                listing = await self._catalogue.read_again(market, sorted(one.symbol for one in before.values()))
        except XTraderError as error:
            log.warning("catalogue_not_read_again", exchange=market.exchange, reason=str(error))
            return False
        listed = {row.key: row for row in listing.instruments}
        for one in guessed:
            self._compare(one, listing.instruments)
        gone = {key for key, old in before.items() if key not in listed and not is_unread(listing, old.symbol)}
        for key, old in before.items():
            if key in listed:
                self._take(old, listed[key])
            elif key in gone & self._missed:
                self._take(old, msgspec.structs.replace(old, status=UNLISTED, source="venue", ts=listing.ts))
        is_first = not gone <= self._missed
        self._missed = {key for key in self._missed if key not in before} | gone
        return not is_first

    def _compare(self, guessed: Instrument, listed: Sequence[Instrument]) -> None:
        """Say once where the catalogue means something else by a name than what is recorded for it, by the look of the name."""
        if guessed.key in self._compared:
            return
        self._compared.add(guessed.key)
        try:
            meant = pick(listed, guessed.alias, guessed.alias)
        except ConfigError as error:
            log.error("instrument_guessed_wrong", recorded=guessed.key, reason=str(error))
            return
        if meant is None or meant.key != guessed.key:
            reason = f"it is not listed; {near(listed, guessed.alias)}" if meant is None else f"the catalogue means {meant.key}"
            log.error("instrument_guessed_wrong", asked=guessed.alias, recorded=guessed.key, reason=reason)

    def _take(self, old: Instrument, new: Instrument) -> None:
        changed = {name: (was, now) for name in new.__struct_fields__ if (was := getattr(old, name)) != (now := getattr(new, name))}
        changed.pop("ts", None)
        self._instruments[new.key] = new if changed else old
        if not changed:
            return
        shown = ", ".join(f"{name} {was!r} -> {now!r}" for name, (was, now) in changed.items())
        trades = new.status.lower() in TRADING
        (log.info if trades else log.warning)("instrument_changed", instrument=new.key, changed=shown)
        self._tell(new)

    def _of(self, market: Market) -> dict[str, Instrument]:
        return {key: one for key, one in self._instruments.items() if one.exchange == market.exchange}
