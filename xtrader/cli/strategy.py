"""`xtrader strategy`: begins a strategy."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(no_args_is_help=True)
def strategy() -> None:
    """Begin a strategy of your own."""


@strategy.command()
@click.argument("name")
@click.option("--directory", metavar="DIR", default=".", show_default=True, help="Where its files go.")
def new(name: str, directory: str) -> None:
    """Write NAME.py, NAME.toml and a test that passes at once."""
    from xtrader.trading.strategy_template import new_strategy

    paths = new_strategy(name, Path(directory))
    for path in paths:
        click.echo(path)
    click.echo(f"next: xtrader trade --strategy {paths[0]} DIR", err=True)
