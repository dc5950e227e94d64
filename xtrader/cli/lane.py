"""`xtrader _lane`: one sink in its own process, started by the recorder, told what to do on its standard input."""

from __future__ import annotations

import sys

import click


@click.command("_lane", hidden=True)
def lane() -> None:
    """Follow the journal into a sink. Started by the recorder, not by people."""
    from xtrader.pipeline.lean import run_lean

    run_lean()
    from xtrader import app

    sys.exit(app.run_lane_process())
