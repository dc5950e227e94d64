"""The command `xtrader`: bare it records; `demo`, `emulate`, `plan` and `renormalise` are its further words.

Rule: what the user did wrong is one sentence on standard error and exit code 2, never a traceback.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from xtrader import __version__
from xtrader.cli import outcome
from xtrader.cli.commands import RECORDING, LazyGroup, with_examples
from xtrader.cli.options import recording_options

EPILOG = (
    "Settings come from flags, else from the environment, else from .env in the working directory, else from the TOML file that "
    "--config names; see .env.example."
)


@click.group(cls=LazyGroup, invoke_without_command=True, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xtrader", message="%(prog)s %(version)s")
@recording_options
@click.pass_context
def cli(context: click.Context, /, **flags: object) -> None:
    """Record order books and trades into Parquet files that can be proven complete.

    Without a command: record --subscriptions until told to stop.
    """
    if context.invoked_subcommand is None:
        sys.exit(_record(flags))
    given = [name for name, value in flags.items() if value]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise click.UsageError(f"{option} goes after the command '{context.invoked_subcommand}', or without any command")


with_examples(cli, RECORDING)


def program() -> NoReturn:
    """The program `xtrader`: `main`, then the end of the process. A signal that comes later must not undo its exit code."""
    code = main()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return outcome.run(cli, arguments)


def _record(flags: dict[str, object]) -> int:
    import structlog

    from xtrader import logs
    from xtrader.model.subscription import parse_subscriptions
    from xtrader.settings.directories import check_directories
    from xtrader.settings.effective import effective, said
    from xtrader.settings.environment import process_sources
    from xtrader.venues import exchanges, streams

    log = structlog.get_logger("xtrader.recorder")

    # Until the recorder listens to signals, an interrupt ends the process at once: there is nothing to undo, and as an exception it
    # could be lost in a callback whose errors Python ignores, and the recorder would go on.
    outcome.leave_interrupts_to_the_system()
    settings, found = effective(process_sources(flags))
    parse_subscriptions(settings.subscriptions, exchanges(), streams)
    check_directories(settings)
    logs.set_up(settings.log_level, settings.secrets, settings.warnings, settings.log_to)
    from xtrader.pipeline.process_setup import set_up_process

    set_up_process()
    from xtrader.app import compose, workers

    record = workers.record if workers.is_wanted(settings) else compose.record
    return record(settings, began=lambda: log.info("settings", **said(found)))
