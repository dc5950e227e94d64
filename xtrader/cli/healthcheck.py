"""`xtrader healthcheck`: is the recorder alive? For whoever starts it again if it is not: Docker, Kubernetes, a script.

Rule: it starts in a moment and imports next to nothing, because it is run every few seconds beside a recorder.
"""

from __future__ import annotations

import click

WITHIN = 10.0
"""Seconds; a running recorder writes once a second, and a loaded disk may hold it up for some."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("directory", metavar="[DIR]", required=False)
@click.option("--within", metavar="SECONDS", type=click.FloatRange(min=1), default=WITHIN, show_default=True, help="How long ago.")
def healthcheck(directory: str | None, within: float) -> None:
    """Exit 0 if the recorder wrote to its journal within the last SECONDS, and 1 if not.

    DIR is what the recorder writes to, by default the one of the settings. Alive is not yet ready: a recorder that cannot reach its
    venues is alive, and starting it again would not help.
    """
    from xtrader.pipeline.alive import require_alive
    from xtrader.settings.environment import load_process

    settings = load_process({"output_directory": directory})
    age = require_alive(settings.journal_directory, settings.workers, within)
    click.echo(f"alive: the journal '{settings.journal_directory}' was written to {max(age, 0):.1f} s ago")
