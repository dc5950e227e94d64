"""`xtrader breaker`: what the breaker of paper runs has latched, and how it is reset.

Rule: nothing but a person with a reason resets it.
"""

from __future__ import annotations

from pathlib import Path

import click

from xtrader.cli.trade import runs_option


@click.group(name="breaker", no_args_is_help=True)
def breaker() -> None:
    """Show or reset what halted paper trading."""


@breaker.command()
@runs_option
def show(runs_directory: str) -> None:
    """Say whether paper trading is halted, and why."""
    from xtrader.trading.halt_latch import read_latch
    from xtrader.trading.log.run_files import utc

    found = read_latch(Path(runs_directory))
    if found.halted is not None:
        click.echo(f"halted: {found.halted}")
    if found.stopped_until is not None:
        click.echo(f"stopped by a loss until {utc(found.stopped_until)}")
    if found.halted is None and found.stopped_until is None:
        click.echo("nothing is latched")
    for one in found.resets:
        click.echo(f"reset {one}")


@breaker.command()
@click.option("--reason", required=True, help="Why it may trade again; it is kept.")
@runs_option
def reset(reason: str, runs_directory: str) -> None:
    """Let paper trading go on."""
    from xtrader.clock import SystemClock
    from xtrader.trading.halt_latch import reset_latch
    from xtrader.trading.log.run_files import utc

    was = reset_latch(Path(runs_directory), reason, utc(SystemClock.now()))
    click.echo(f"reset; it was: {was.halted or 'stopped by a loss for the day'}")
