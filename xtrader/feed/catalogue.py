"""Catalogue: what the venues list, and which instrument a user means by a symbol or an alias.

Rule: a venue that cannot be asked never stops a restart: an older answer on disk stands in, with a warning. A name that no
answer was ever seen to list is not guessed, unless the user wants that: it waits.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec
import structlog

from xtrader.clock import SECOND, Clock
from xtrader.durable import replace_file
from xtrader.errors import ConfigError, ProtocolError, VenueError, XTraderError, retryable
from xtrader.model.instrument import Instrument, believable
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Market
from xtrader.venues.machine.paging import MOST, next_page

log = structlog.get_logger("xtrader.catalogue")

TIMEOUT = 10.0
"""Seconds that a venue has for its whole catalogue."""
BELIEVED = 7 * 86_400 * SECOND
"""A cached catalogue that is younger may say that an instrument does not exist."""
TRADING = ("", "trading", "live", "open")
"""Status words of instruments that trade; the empty one is a rule-made instrument's."""

Body: TypeAlias = Callable[[Market, Fetch], Awaitable[bytes]]
T = TypeVar("T")


class CachedCatalogue(msgspec.Struct, frozen=True):
    """A venue's catalogue as it is cached: when it was given (int nanoseconds UTC), its rows, and what it says of rows that cannot
    be read (see `venues.base.Listed`): what is not among the rows may be one of those."""

    ts: int
    instruments: list[Instrument]
    unread: list[str] = []


class Resolved(NamedTuple):
    """Subscriptions with the venues' own symbols, each once, and the instruments by key. `waiting` are subscriptions, as the user
    wrote them, whose venue could not be asked, with why; `refused` those that a catalogue does not list, or lists several times."""

    subscriptions: tuple[Subscription, ...]
    instruments: dict[str, Instrument]
    waiting: dict[Subscription, str]
    refused: dict[Subscription, ConfigError]


def body_of(get: Callable[[Market, Fetch], Awaitable[tuple[int, bytes]]]) -> Body:
    """The function that a Catalogue needs, from one that returns (status, body). What is not 200 raises VenueError."""

    async def fetch(market: Market, request: Fetch) -> bytes:
        status, body = await get(market, request)
        if status != 200:
            raise VenueError(market.exchange, f"{request.method} {request.path}: HTTP {status}")
        return body

    return fetch


class Unseen(NamedTuple):
    """Of a name: no catalogue can be had that lists it, and why."""

    reason: str


class Catalogue:
    """Looks instruments up: asks the venue through `fetch`, keeps the answer in `cache_directory`. With `guesses`, a rule says what
    a name is that no catalogue can be had for."""

    def __init__(self, cache_directory: Path, fetch: Body, clock: Clock, *, guesses: bool = False) -> None:
        self._guesses = guesses
        self._directory = cache_directory
        self._fetch = fetch
        self._clock = clock
        self._said: dict[tuple[str, str], Sequence[str]] = {}

    async def look_up(self, markets: Mapping[str, Market], subscriptions: Sequence[Subscription]) -> Resolved:
        """All venues at once. Raises ConfigError for the first instrument that a venue does not list."""
        found = await self.look_up_each(markets, subscriptions)
        for error in found.refused.values():
            raise error
        return found

    async def look_up_each(self, markets: Mapping[str, Market], subscriptions: Sequence[Subscription]) -> Resolved:
        """The same, where what is refused is told in the answer. Raises what trying again cannot help."""
        wanted: dict[str, list[Subscription]] = {}
        for subscription in subscriptions:
            wanted.setdefault(subscription.exchange, []).append(subscription)
        answers = await _all(
            self._resolve(markets[exchange], [one.instrument for one in of], {one.instrument: str(one) for one in of})
            for exchange, of in wanted.items()
        )
        by_exchange = dict(zip(wanted, answers, strict=True))
        named: list[Subscription] = []
        instruments: dict[str, Instrument] = {}
        waiting: dict[Subscription, str] = {}
        refused: dict[Subscription, ConfigError] = {}
        for one in subscriptions:
            answer = by_exchange[one.exchange][one.instrument]
            if isinstance(answer, Instrument):
                named.append(Subscription(one.stream, one.exchange, answer.symbol))
                instruments[answer.key] = answer
            elif isinstance(answer, Unseen):
                waiting[one] = answer.reason
            else:
                refused[one] = answer
        return Resolved(tuple(dict.fromkeys(named)), instruments, waiting, refused)

    async def resolve(
        self, market: Market, wanted: Sequence[str], tokens: Mapping[str, str] | None = None
    ) -> dict[str, Instrument]:
        """Text as the user typed it -> instrument. `tokens` names, for errors, the whole subscription a text came from.

        Raises ConfigError where a catalogue that can be believed lists no such instrument, or several; VenueError where none can
        be had that lists it.
        """
        found: dict[str, Instrument] = {}
        for text, answer in (await self._resolve(market, wanted, tokens or {})).items():
            if isinstance(answer, ConfigError):
                raise answer
            if isinstance(answer, Unseen):
                raise VenueError(market.exchange, answer.reason)
            found[text] = answer
        return found

    async def _resolve(
        self, market: Market, wanted: Sequence[str], tokens: Mapping[str, str]
    ) -> dict[str, Instrument | Unseen | ConfigError]:
        requests = market.catalogue(wanted)
        path = self._path(market, requests)
        listing, reason = await self._ask(market, requests)
        if listing is not None:
            await asyncio.to_thread(self._keep, path, listing)
        else:
            listing = self._cached(market, path, reason)
        found: dict[str, Instrument | Unseen | ConfigError] = {}
        for text in wanted:
            try:
                found[text] = self._find(market, listing, text, tokens.get(text, text), reason)
            except ConfigError as error:
                found[text] = error
        for instrument in found.values():
            if isinstance(instrument, Instrument) and instrument.status.lower() not in TRADING:
                log.warning("instrument_not_trading", instrument=instrument.key, status=instrument.status)
        return found

    async def read_again(self, market: Market, symbols: Sequence[str]) -> CachedCatalogue:
        """The catalogue as the venue gives it now, as far as `symbols` need it; kept on disk too. Raises VenueError, with
        why it cannot be had."""
        requests = market.catalogue(symbols)
        listing, reason = await self._ask(market, requests)
        if listing is None:
            raise VenueError(market.exchange, reason)
        await asyncio.to_thread(self._keep, self._path(market, requests), listing)
        return listing

    async def _ask(self, market: Market, requests: Sequence[Fetch]) -> tuple[CachedCatalogue | None, str]:
        now = self._clock.now()
        try:
            async with asyncio.timeout(TIMEOUT):
                pages = await _all(pages_of(partial(self._fetch, market), request, bytes) for request in requests)
            # In a thread, for a recorder reads catalogues too while messages come.
            rows, unread, doubtful = await asyncio.to_thread(market.instruments, [body for of in pages for body in of], now)
            self._say("catalogue_rows_unread", market, unread)
            self._say("catalogue_numbers_unknown", market, doubtful)
            if not rows:
                raise ProtocolError(market.exchange, "the catalogue is empty")
        except Exception as error:
            if isinstance(error, XTraderError) and not retryable(error):
                raise
            return None, str(error) or type(error).__name__
        return CachedCatalogue(now, rows, unread), ""

    def _say(self, event: str, market: Market, words: Sequence[str]) -> None:
        """Tell what is wrong with a catalogue, once as long as it stays the same."""
        if words and self._said.get((event, market.exchange)) != words:
            log.warning(event, exchange=market.exchange, count=len(words), first=words[0])
        self._said[event, market.exchange] = words

    def _path(self, market: Market, requests: Sequence[Fetch]) -> Path:
        """One file for each address and set of requests, so that a part of a catalogue is never taken for the whole."""
        asked = [market.rest_url, *(f"{request.path}?{sorted(request.params)}{request.body}" for request in requests)]
        digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()[:12]
        return self._directory / f"{market.exchange}-{market.environment}-{digest}.json"

    def _keep(self, path: Path, listing: CachedCatalogue) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Several recording processes read the same catalogue at the same time.
            replace_file(path, msgspec.json.encode(listing), f".{path.name}.{os.getpid()}.tmp")
        except OSError as error:
            log.warning("catalogue_not_cached", path=str(path), error=str(error))

    def _cached(self, market: Market, path: Path, reason: str) -> CachedCatalogue | None:
        try:
            listing = msgspec.json.decode(path.read_bytes(), type=CachedCatalogue)
        except FileNotFoundError:
            if self._guesses:
                log.warning("catalogue_missing", exchange=market.exchange, reason=reason, used="rules")
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("catalogue_cache_unusable", exchange=market.exchange, path=str(path), error=str(error))
            return None
        log.warning("catalogue_stale", exchange=market.exchange, reason=reason, age=self._age(listing))
        rows = [msgspec.structs.replace(believable(row)[0], source="cache") for row in listing.instruments]
        return msgspec.structs.replace(listing, instruments=rows)

    def _find(self, market: Market, listing: CachedCatalogue | None, text: str, token: str, reason: str) -> Instrument | Unseen:
        is_listed = False
        if listing is not None:
            instrument = pick(listing.instruments, text, token)
            if instrument is not None:
                return instrument
            if self._may_be_unread(market, listing, text):
                reason, is_listed = "its row in the catalogue cannot be read", True
            elif not reason or self._clock.now() - listing.ts < BELIEVED:
                age = f" (by its catalogue of {self._age(listing)} ago)" if reason else ""
                raise ConfigError(
                    f"unknown instrument '{text}' on {market.exchange} in '{token}'{age}; {near(listing.instruments, text)}"
                )
        if not is_listed and not self._guesses:
            return Unseen(reason)
        guessed = market.guess(text)
        if guessed is None:
            raise ConfigError(
                f"cannot tell what '{text}' on {market.exchange} in '{token}' is: the catalogue cannot be had ({reason}) "
                "and no rule fits the name; give the venue's own symbol"
            )
        log.warning("instrument_guessed", asked=text, instrument=guessed.key, reason=reason)
        return msgspec.structs.replace(guessed, source="rule")

    def _may_be_unread(self, market: Market, listing: CachedCatalogue, text: str) -> bool:
        guessed = market.guess(text)
        return guessed is not None and is_unread(listing, guessed.symbol)

    def _age(self, listing: CachedCatalogue) -> str:
        hours, minutes = divmod(max(self._clock.now() - listing.ts, 0) // SECOND // 60, 60)
        return f"{hours // 24} d {hours % 24} h" if hours >= 48 else f"{hours} h {minutes} min"


async def pages_of(ask: Callable[[Fetch], Awaitable[T]], request: Fetch, body: Callable[[T], bytes]) -> list[T]:
    """The answers with all pages of one list. `ask` makes a request, `body` gives the text of an answer."""
    found: list[T] = []
    page: Fetch | None = request
    while page is not None and len(found) < MOST:
        found.append(await ask(page))
        page = next_page(page, body(found[-1]))
    return found


async def _all(work: Iterable[Awaitable[T]]) -> list[T]:
    """Every result; the first error once all have ended, so that none is left running."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def is_unread(listing: CachedCatalogue, symbol: str) -> bool:
    """True if a catalogue has a row of this symbol that cannot be read."""
    return any(words.startswith(f"{symbol}: ") for words in listing.unread)


def pick(instruments: Sequence[Instrument], text: str, token: str) -> Instrument | None:
    """The instrument that `text` names, in any case: by symbol, else by alias, where a perpetual goes before the rest.

    None if there is none; ConfigError if several are meant alike.
    """
    name = text.upper()
    exact = [row for row in instruments if row.symbol.upper() == name]
    if exact:
        return next((row for row in exact if row.symbol == text), exact[0])
    meant = [row for row in instruments if row.alias.upper() == name]
    if len(meant) > 1:
        meant = [row for row in meant if row.kind == "perpetual"] or meant
    if len(meant) > 1:
        meant = [row for row in meant if row.status.lower() in TRADING] or meant
    if len(meant) > 1:
        symbols = ", ".join(sorted(row.symbol for row in meant)[:10])
        raise ConfigError(f"'{text}' in '{token}' may mean any of {symbols}; give the venue's own symbol")
    return meant[0] if meant else None


def near(instruments: Iterable[Instrument], text: str) -> str:
    """The end of a sentence about a name that nothing has: which names are like it."""
    names: dict[str, Instrument] = {}
    for row in instruments:
        names.setdefault(row.symbol.upper(), row)
        names.setdefault(row.alias.upper(), row)
    alike = difflib.get_close_matches(text.upper(), names, n=6, cutoff=0.6)
    rows = list({names[name].key: names[name] for name in alike}.values())[:3]
    if not rows:
        return "nothing there has a similar name"
    shown = [row.symbol if row.alias == row.symbol else f"{row.alias} ({row.symbol})" for row in rows]
    return f"did you mean {', '.join(shown)}?"
