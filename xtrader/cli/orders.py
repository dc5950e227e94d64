"""`xtrader resync`, `reconnect`, `log-level` and `stop`: what a running recorder is told at its door."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from xtrader.cli.status import journal_of

F = TypeVar("F", bound=Callable[..., Any])
NOTHING_DONE = 1
"""Exit code where the recorder left everything as it was."""


def _recorder(function: F) -> F:
    return click.argument("directory", metavar="[DIR]", required=False)(function)


@click.command()
@click.argument("subscription", metavar="[STREAM:]EXCHANGE@INSTRUMENT")
@_recorder
def resync(subscription: str, directory: str | None) -> None:
    """Have a running recorder begin a subscription anew: a book by a new snapshot, trades by subscribing again.

    Without STREAM, all of the instrument's. It costs each a gap row of cause operator, and nothing else. DIR is the recorder's
    output or journal directory (default: those of the settings).
    """
    _tell(directory, "resync", "resynced", "subscription", subscription=subscription)


@click.command()
@click.argument("connection", metavar="EXCHANGE/N")
@_recorder
def reconnect(connection: str, directory: str | None) -> None:
    """Have a running recorder let a connection go and make it anew; `xtrader status --json` names the connections.

    It costs what the connection carries a gap row of cause operator, unless another connection carries it too.
    """
    _tell(directory, "reconnect", "reconnected", "connection", connection=connection)


@click.command("log-level")
@click.argument("module")
@click.argument("level")
@_recorder
def log_level(module: str, level: str, directory: str | None) -> None:
    """Have a running recorder log more or less: a MODULE such as feed, or all; error, warn, info, debug or trace.

    It holds until the recorder ends. XTRADER_LOG=info,feed=debug says the same at a start.
    """
    click.echo(f"levels are {_ask(directory, 'log-level', module=module, level=level)['levels']}")


@click.command()
@_recorder
def stop(directory: str | None) -> None:
    """Have a running recorder finish its files and end, as SIGTERM does."""
    _ask(directory, "stop")
    click.echo("it is stopping")


def _tell(directory: str | None, command: str, done: str, kind: str, **said: str) -> None:
    answer = _ask(directory, command, **said)
    for name in answer[done]:
        click.echo(f"{done} {name}")
    for one in answer["left"]:
        click.echo(f"left alone {one[kind]}: {one['why']}", err=True)
    if not answer[done]:
        sys.exit(NOTHING_DONE)


def _ask(directory: str | None, command: str, **said: str) -> dict[str, Any]:
    from xtrader.ops.ask import Asking

    with Asking(journal_of(directory)) as asking:
        return asking.result(command, **said)
