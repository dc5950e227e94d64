"""`xtrader venues`: what can be recorded of which exchange, what its numbers prove, and within which limits.

Rule: the venues say it themselves; a table in a document would be out of date.
"""

from __future__ import annotations

from typing import Any

import click

CHAINS = {
    "numbers": "numbers: a lost message is seen at the next one",
    "checksum": "checksum of the best levels in every message",
    "connection": "numbers of the connection's messages: a loss is seen at the next one",
    "whole": "every message is the whole book; a lost one cannot be seen",
    "none": "none: crossed books, and what the venue answers by REST when it is silent",
}
TRADES = {
    "contiguous": "numbers: each missing one is named",
    "increasing": "numbers, checked while recording: each missing one is named",
    "unique": "ids: none is there twice; a lost one cannot be seen, a silence can",
}


def rows() -> list[dict[str, Any]]:
    """One for each exchange, with what its module says."""
    from xtrader import venues

    found = []
    for exchange in sorted(venues.exchanges()):
        market, rules = venues.market(exchange, {}), venues.rules(exchange)
        assert rules is not None
        limits = market.limits
        found.append(
            {
                "exchange": exchange,
                "streams": list(venues.streams(exchange)),
                "environment": market.environment,
                "websocket": market.ws_url,
                "rest": market.rest_url,
                "depth": market.depth_window,
                "books": rules.chain,
                "trades": rules.numbered or rules.trade_ids,
                "rest_weight": limits.rest_weight,
                "rest_seconds": limits.rest_seconds,
                "connects": limits.connects,
                "connect_seconds": limits.connect_seconds,
                "proven_on": venues.proven(exchange),
            }
        )
    return found


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def venues(as_json: bool) -> None:
    """What can be recorded of which exchange, and what its numbers prove."""
    import msgspec

    found = rows()
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    lines = [("exchange", "streams", "books", "trades", "REST", "connections", "proven on")]
    for row in found:
        rest, connects = f"{row['rest_weight']} in {row['rest_seconds']:g} s", f"{row['connects']} in {row['connect_seconds']:g} s"
        said = " ".join(row["streams"]), row["books"], row["trades"], rest, connects, row["proven_on"]
        lines.append((row["exchange"], *said))
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    used = [words for words in CHAINS.items() if any(row["books"] == words[0] for row in found)]
    for title, words in (("books", used), ("trades", list(TRADES.items()))):
        click.echo(f"\n{title}")
        for name, meaning in words:
            click.echo(f"  {name:<12}{meaning}")
