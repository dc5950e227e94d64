"""`xtrader doctor`: examines everything that a recorder depends on, and says of each thing how it is and what to do."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from xtrader.cli.options import recording_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xtrader.diagnosis import Diagnosis
    from xtrader.model.subscription import Subscription
    from xtrader.settings.load import Settings, Sources

TIME_SERVER = "pool.ntp.org"
MARKS = {"ok": "green", "warning": "yellow", "wrong": "red"}
SOMETHING_WRONG = 1
"""Exit code where anything is wrong; warnings are none."""


@click.command()
@recording_options
@click.option("--live", is_flag=True, help="Also subscribe to one instrument a stream, and look for fields that are new or gone.")
@click.option("--ntp", metavar="HOST", default=TIME_SERVER, show_default=True, help="The time server to ask; 'off' asks none.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each finding.")
def doctor(live: bool, ntp: str, as_json: bool, **flags: object) -> None:
    """Examine everything that recording depends on, and say what to do.

    Clock, disk, limits, settings, names, TLS, venues and their instruments, sinks, the journal, and the recorder that runs here.
    It takes the flags and settings of the recorder, changes nothing, and shows no secret. Exit code 0, or 1 if anything is wrong.
    """
    from xtrader import logs
    from xtrader.model.subscription import parse_subscriptions
    from xtrader.settings.environment import process_sources, take_sink_variables
    from xtrader.settings.load import settings_of
    from xtrader.venues import exchanges, streams

    sources = process_sources(flags)
    settings = settings_of(sources)
    logs.set_up("error", settings.secrets)
    take_sink_variables(settings)
    wanted = parse_subscriptions(settings.subscriptions, exchanges(), streams) if settings.subscriptions.strip() else ()
    found = asyncio.run(_examine(settings, sources, wanted, "" if ntp == "off" else ntp, live, as_json))
    wrong = sum(one.level == "wrong" for one in found)
    warned = sum(one.level == "warning" for one in found)
    if not as_json:
        click.echo(f"\n{len(found)} things were looked at: {wrong} wrong, {warned} worth a word")
    sys.exit(SOMETHING_WRONG if wrong else 0)


async def _examine(
    settings: Settings, sources: Sources, wanted: Sequence[Subscription], ntp: str, live: bool, as_json: bool
) -> list[Diagnosis]:
    from xtrader import __version__
    from xtrader.clock import SystemClock
    from xtrader.doctor.examination import examine
    from xtrader.settings.check import sink_run

    found = []
    async for finding in examine(settings, sources, wanted, ntp, live, __version__, SystemClock(), sink_run(settings)):
        print_diagnosis(finding, as_json)
        found.append(finding)
    return found


def print_diagnosis(finding: Diagnosis, as_json: bool) -> None:
    """Print one as a line and what to do, or as a line of JSON."""
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(finding))
        return
    mark = click.style(f"{finding.level:<7}", fg=MARKS[finding.level], bold=finding.level == "wrong")
    click.echo(f"{mark}  {finding.about}: {finding.words}")
    if finding.remedy:
        click.echo(f"           -> {finding.remedy}")
