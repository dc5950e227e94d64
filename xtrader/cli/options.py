"""The flags of a recording, for every command that takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from xtrader import sinks

F = TypeVar("F", bound=Callable[..., Any])
OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--subscriptions", metavar="LIST", help="STREAM:EXCHANGE@INSTRUMENT, comma separated: L2:OKX_SWAP@BTCUSDT."),
    click.option(
        "--sink", metavar="NAME", help=f"Where rows go: {', '.join(sinks.names())}, or several (default {sinks.DEFAULT})."
    ),
    click.option("--output-directory", metavar="DIR", help="Where the Parquet files go (default ./data; may be s3://…)."),
    click.option("--config", metavar="FILE", help="A TOML file of settings, by the names of their variables."),
    click.option("--raw-directory", metavar="DIR", help="Also keep every received byte here."),
    click.option(
        "--offline-names", is_flag=True, help="Record names that no catalogue can be had for, by what they look like; do not wait."
    ),
    click.option("--verbose", is_flag=True, help="Log telemetry every 10 seconds."),
    click.option("--log-file", metavar="FILE", help="Log to this file, as JSON, instead of standard error; it is rotated."),
    click.option("--shutdown-after", metavar="SECONDS", help="Finish by itself after this time."),
)


def recording_options(function: F) -> F:
    """Give a command all flags of a recording, in the order in which --help lists them."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function
