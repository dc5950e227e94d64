"""Live records in a program of one's own, without a recording: checked books and trades as they come.

Rule: what is given is what a recorder would write, gaps and resyncs included; whoever is too slow for it is told, and loses nothing
silently.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from xtrader.clock import SystemClock
from xtrader.errors import ConfigError, VenueError, XTraderError
from xtrader.feed.catalogue import Catalogue, body_of
from xtrader.feed.feed import Feed
from xtrader.feed.rest import Rest
from xtrader.model.subscription import parse_subscriptions
from xtrader.settings.environment import load_process
from xtrader.settings.load import Settings, load
from xtrader.venues import exchanges, market, streams

MOST_WAITING: Final = 1_000_000
"""Records that wait for a loop that is slower than the market; then it ends with an error."""


async def live(
    subscriptions: str | Iterable[str], *, variables: Mapping[str, str] | None = None, most_waiting: int = MOST_WAITING
) -> AsyncIterator[Any]:
    """The records of subscriptions, such as `"L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT"` or a list of such, as they come: first
    an Instrument for each, then Trade, BookUpdate, Coverage and the other streams' records, for ever. Connections are made again
    when they are lost; Coverage says when what was live.

        async for record in xtrader.live("TRADES:OKX_SWAP@BTCUSDT"):
            ...

    `variables` are settings by name (venues' addresses, …); None: those of the environment and `.env`. Raises ConfigError for what
    cannot be subscribed to, VenueError where a catalogue cannot be had, XTraderError if more than `most_waiting` records wait.
    """
    settings = _settings(subscriptions, variables)
    wanted = parse_subscriptions(settings.subscriptions, exchanges(), streams)
    clock = SystemClock()
    markets = {name: market(name, settings.venue_options) for name in sorted({one.exchange for one in wanted})}
    waiting: asyncio.Queue[Any] = asyncio.Queue(most_waiting)
    async with Rest(clock) as rest:
        catalogue = Catalogue(settings.cache_directory, body_of(rest.get), clock, guesses=settings.offline_names)
        found = await catalogue.look_up(markets, wanted)
        for one, reason in found.waiting.items():
            raise VenueError(one.exchange, f"the catalogue, which says what {one.instrument} is, cannot be had: {reason}")
        for instrument in found.instruments.values():
            yield instrument
        feed = Feed(markets, found.subscriptions, rest=rest, clock=clock, put=partial(_put, waiting))
        running = asyncio.create_task(feed.run())
        try:
            while True:
                getting = asyncio.create_task(waiting.get())
                await asyncio.wait([getting, running], return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    getting.cancel()
                    await running
                    return
                record = getting.result()
                if record is None:
                    raise XTraderError(f"{most_waiting:,} records wait: the program that takes them is slower than the market")
                yield record
                while not waiting.empty() and (record := waiting.get_nowait()) is not None:
                    yield record
                if record is None:
                    raise XTraderError(f"{most_waiting:,} records wait: the program that takes them is slower than the market")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def listen(
    subscriptions: str | Iterable[str],
    callbacks: Mapping[type, Callable[[Any], Any]],
    *,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Call a function with every record of its type, such as `{xtrader.Trade: on_trade}`, in the order in which they come; what is
    a coroutine is awaited before the next record. Other records are passed over. Ends by what a callback or `live` raises."""
    for kind, function in callbacks.items():
        if not isinstance(kind, type) or not callable(function):
            raise ConfigError(f"callbacks are functions by the type of a record, such as {{xtrader.Trade: print}}, not {kind!r}")
    async for record in live(subscriptions, variables=variables):
        wanted = callbacks.get(type(record))
        if wanted is not None:
            result = wanted(record)
            if inspect.isawaitable(result):
                await result


def _settings(subscriptions: str | Iterable[str], variables: Mapping[str, str] | None) -> Settings:
    text = subscriptions if isinstance(subscriptions, str) else ",".join(subscriptions)
    flags = {"subscriptions": text}
    return load_process(flags) if variables is None else load(flags, variables, None)


def _put(waiting: asyncio.Queue[Any], record: Any) -> None:
    """The last place is for the word that there was no room."""
    if waiting.qsize() < waiting.maxsize - 1:
        waiting.put_nowait(record)
    elif not waiting.full():
        waiting.put_nowait(None)
