"""The whole examination, in the order in which one thing depends on another.

The rule: whatever a part of it runs into, the others are done, and every line says what was looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence

from xtrader import sinks
from xtrader.clock import Clock
from xtrader.diagnosis import Diagnosis, warning, wrong
from xtrader.doctor.disk import examine_directory
from xtrader.doctor.door_check import ask_door, judge_recorder
from xtrader.doctor.journal_check import examine_journal
from xtrader.doctor.limits import examine_limits, load
from xtrader.doctor.live_frames import examine_live
from xtrader.doctor.network import examine_host, host_and_port
from xtrader.doctor.settings_check import examine_settings
from xtrader.doctor.venue_check import AskedVenue, ask_venue
from xtrader.doctor.wall_clock import kernel_clock, ntp_clock
from xtrader.errors import ConfigError, XTraderError
from xtrader.feed.rest import Rest
from xtrader.model.subscription import Subscription
from xtrader.settings.load import Settings, Sources
from xtrader.sinks.base import SinkRun
from xtrader.venues import market


async def examine(
    settings: Settings,
    sources: Sources,
    subscriptions: Sequence[Subscription],
    ntp: str,
    live: bool,
    version: str,
    clock: Clock,
    run: SinkRun,
) -> AsyncIterator[Diagnosis]:
    """Everything that is examined. `ntp` is a time server (empty: none is asked), `live`: the venues are subscribed to for a
    moment, `version` is this program's, `run` what the sinks may know."""
    for finding in examine_settings(settings, sources):
        yield finding
    for finding in await asyncio.to_thread(_machine, settings, len(subscriptions), ntp):
        yield finding
    facts, found = await asyncio.to_thread(ask_door, settings.journal_directory)
    for finding in (*found, *(judge_recorder(facts, version, time.time_ns()) if facts is not None else ())):
        yield finding
    for finding in await asyncio.to_thread(_all, examine_journal(settings, facts is not None)):
        yield finding
    for name in settings.sinks:
        for finding in await asyncio.to_thread(examine_sink, name, run):
            yield finding
    async with Rest(clock) as rest:
        for asked in await ask_venues(settings, subscriptions, rest, clock):
            for finding in asked.findings:
                yield finding
            for finding in await examine_live(asked, rest, clock) if live else ():
                yield finding


async def ask_venues(settings: Settings, subscriptions: Sequence[Subscription], rest: Rest, clock: Clock) -> list[AskedVenue]:
    """Every venue of the subscriptions at once, with what is found on the way to its hosts."""
    wanted = {
        exchange: [one for one in subscriptions if one.exchange == exchange]
        for exchange in dict.fromkeys(s.exchange for s in subscriptions)
    }
    return await asyncio.gather(*(_venue(settings, exchange, of, rest, clock) for exchange, of in wanted.items()))


async def _venue(settings: Settings, exchange: str, wanted: Sequence[Subscription], rest: Rest, clock: Clock) -> AskedVenue:
    made = market(exchange, settings.venue_options)
    urls = {host_and_port(url): url for url in (made.ws_url, made.rest_url)}
    hosts = await asyncio.gather(*map(examine_host, urls.values()))
    asked = await ask_venue(made, wanted, rest, clock)
    asked.findings[:0] = [finding for found in hosts for finding in found]
    if made.environment == "testnet":
        remedy = "name the real one in the settings, unless the test market is what is to be recorded"
        asked.findings.append(warning(f"venue {exchange}", "this is the venue's test environment, not its real market", remedy))
    return asked


def examine_sink(name: str, run: SinkRun) -> list[Diagnosis]:
    """What a sink finds about itself: whether its server, its store or its directory takes rows."""
    about = f"sink {name}"
    try:
        module = sinks.module(name)
        module.spec(run)
        return list(module.examine(run)) if "examine" in sinks.can(name) else []
    except ConfigError as error:
        return [wrong(about, str(error), "mend the setting that it names")]
    except (XTraderError, OSError) as error:
        return [wrong(about, str(error), "the journal keeps the rows meanwhile; look at the sink")]


def _machine(settings: Settings, subscriptions: int, ntp: str) -> list[Diagnosis]:
    found = [load(), *examine_limits(subscriptions)]
    kernel = kernel_clock()
    found += [] if kernel is None else [kernel]
    found += [ntp_clock(ntp)] if ntp else []
    directories = {
        "journal directory": settings.journal_directory,
        "output directory": settings.output_directory if settings.writes_files else None,
        "raw directory": settings.raw_directory,
    }
    for what, path in directories.items():
        if path is not None:
            found += examine_directory(what, path, settings.min_free_bytes)
    return found


def _all(findings: Iterable[Diagnosis]) -> list[Diagnosis]:
    return list(findings)
