"""`xtrader plan`: a dry run. What would be connected, subscribed and requested, and what it weighs against the limits."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from xtrader.feed.plan import ExchangePlan
    from xtrader.settings.load import Settings

SHOWN = 4
"""Subscriptions of one connection that are named; the JSON names all."""
WIDTH = 140
"""Columns where nobody says how many there are."""
SOURCES = {
    "venue": "the venue's catalogue",
    "cache": "an older catalogue on disk",
    "rule": "a rule for names: recorded when a catalogue lists it, or with --offline-names",
}


@click.command()
@click.option("--subscriptions", metavar="LIST", help="As for recording; also from SUBSCRIPTIONS and .env.")
@click.option("--config", metavar="FILE", help="A TOML file of settings, as for recording.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def plan(subscriptions: str | None, config: str | None, as_json: bool) -> None:
    """Show what recording the subscriptions would do, without connecting."""
    import msgspec
    from rich.console import Console

    from xtrader import logs
    from xtrader.settings.environment import load_process

    settings = load_process({"subscriptions": subscriptions, "config": config})
    logs.set_up(settings.log_level, settings.secrets, settings.warnings)
    plans = asyncio.run(_make(settings))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(plans)))
        return
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    for one in plans:
        for part in _draw(one):
            console.print(part)


async def _make(settings: Settings) -> list[ExchangePlan]:
    from xtrader.clock import SystemClock
    from xtrader.feed.catalogue import Catalogue, body_of
    from xtrader.feed.plan import make_plan
    from xtrader.feed.rest import Rest
    from xtrader.model.subscription import parse_subscriptions
    from xtrader.venues import exchanges, market, streams

    subscriptions = parse_subscriptions(settings.subscriptions, exchanges(), streams)
    markets = {exchange: market(exchange, settings.venue_options) for exchange in dict.fromkeys(s.exchange for s in subscriptions)}
    clock = SystemClock()
    async with Rest(clock) as rest:
        catalogue = Catalogue(settings.cache_directory, body_of(rest.get), clock, guesses=True)
        return await make_plan(markets, subscriptions, catalogue, clock.now(), settings.connections)


def _draw(one: ExchangePlan) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    yield Text(f"{one.exchange} ({one.environment})", style="bold")
    found = Table("instrument", "kind", "status", "known from")
    for instrument in one.instruments:
        found.add_row(instrument.symbol, instrument.kind, instrument.status, SOURCES[instrument.source])
    yield found
    links = Table()
    for heading in ("connection", "URL", "carries", "first messages", "sent within"):
        links.add_column(heading, overflow="fold")
    for link in one.links:
        links.add_row(link.name, link.url, _shorten(link.subscriptions), str(link.messages), _seconds(link.seconds))
    yield links
    if one.snapshots:
        snapshots = Table("REST snapshots", "levels a side", "weight each", "weight together")
        for part in one.snapshots:
            snapshots.add_row(str(part.count), str(part.depth or "all"), str(part.weight), str(part.count * part.weight))
        yield snapshots
        shallow = [(part.depth, part.shallow) for part in one.snapshots if part.shallow]
        for depth, keys in shallow:
            yield Text(f"Shallow at first, {depth:,} levels a side: {_named(keys)}")
        if shallow:
            yield Text(f"All books are as deep as the venue gives them about {_seconds(one.deep_seconds)} after that")
        yield Text(f"REST: at most {one.rest_limit} weight in {_seconds(one.rest_seconds)} is used at {one.rest_url}")
    else:
        yield Text("REST: no snapshots needed")
    yield Text(
        f"Everything in sync after about {_seconds(one.sync_seconds)} and the round trips: "
        f"connecting {_seconds(one.connect_seconds)}, snapshots {_seconds(one.snapshot_seconds)}\n"
    )


def _named(keys: Sequence[str]) -> str:
    rest = len(keys) - SHOWN
    return ", ".join(keys[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _shorten(subscriptions: Sequence[str]) -> str:
    shown = "\n".join(subscriptions[:SHOWN])
    rest = len(subscriptions) - SHOWN
    return shown + (f"\nand {rest} more" if rest > 0 else "")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
