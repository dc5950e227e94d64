"""`xtrader check`: the questions that are to be asked of a recorder every hour, day, week and month, answered and kept."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtrader.cli.doctor import SOMETHING_WRONG, print_diagnosis
from xtrader.errors import ConfigError

if TYPE_CHECKING:
    from xtrader.doctor.kept_answers import KeptAnswers

KINDS = ("hourly", "4h", "daily", "weekly", "monthly")
SHOWN = 50
"""Times that --kept shows."""


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("directory", metavar="[DIR]", required=False)
@click.option("--alerts", metavar="URL", default="", help="A Prometheus that is asked which alerts fire.")
@click.option("--kept", is_flag=True, help="Show the answers that were kept, and ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each answer (with --kept: for each time).")
def check(kind: str, directory: str | None, alerts: str, kept: bool, as_json: bool) -> None:
    """Answer the questions of a routine, from what was recorded, and keep the answers beside the journal.

    DIR is what the recorder writes to (default: that of the settings). Exit code 0, or 1 if an answer is not as it should be.
    """
    import time

    from xtrader import __version__, logs
    from xtrader.doctor.kept_answers import answers_file, keep_answers
    from xtrader.doctor.routine import ask
    from xtrader.settings.environment import process_sources
    from xtrader.settings.load import settings_of

    if directory is not None and not Path(directory).is_dir():
        raise ConfigError(f"there is no directory '{directory}'; give the output directory of a recorder")
    sources = process_sources({"output_directory": directory})
    settings = settings_of(sources)
    logs.set_up("error", settings.secrets)
    if kept:
        sys.exit(_show(settings.journal_directory, kind, as_json))
    answers = ask(kind, settings, sources, __version__, alerts)
    for one in answers:
        print_diagnosis(one, as_json)
    wrong = sum(one.level == "wrong" for one in answers)
    try:
        keep_answers(settings.journal_directory, kind, answers, __version__, time.time_ns())
        where = f"kept in '{answers_file(settings.journal_directory, kind)}'"
    except OSError as error:
        where = f"not kept, for '{settings.journal_directory}' cannot be written to: {error.strerror}"
        click.echo(f"xtrader: the answers are {where}", err=True)
    if not as_json:
        click.echo(f"\n{kind}: {len(answers)} answers, {wrong} wrong; {where}")
    sys.exit(SOMETHING_WRONG if wrong else 0)


def _show(journal: Path, kind: str, as_json: bool) -> int:
    """Print what was kept; 1 if the last time found something wrong, or there is nothing."""
    import msgspec

    from xtrader.doctor.kept_answers import read_answers

    found: list[KeptAnswers] = list(read_answers(journal, kind))[-SHOWN:]
    for one in found:
        click.echo(msgspec.json.encode(one) if as_json else _line(one))
    if not found:
        click.echo(f"xtrader: no {kind} answers are kept in '{journal}'", err=True)
    return 0 if found and found[-1].level != "wrong" else SOMETHING_WRONG


def _line(one: KeptAnswers) -> str:
    when = datetime.fromtimestamp(one.ts // 10**9, UTC).strftime("%Y-%m-%d %H:%M UTC")
    ill = "; ".join(f"{answer.about}: {answer.words}" for answer in one.answers if answer.level == "wrong")
    return f"{when}  {one.level:<7}  {one.count} answers{'; ' + ill if ill else ''}"
