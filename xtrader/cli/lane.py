"""`xtrader _lane`: one sink in its own process, started by the recorder, told what to do on its standard input.

The rule: it imports its own sink and nothing of the recorder, which is 20 MB and a quarter of a second.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from xtrader.pipeline.lane import LaneSpec
    from xtrader.sinks.base import Sink


@click.command("_lane", hidden=True)
def lane() -> None:
    """Follow the journal into a sink. Started by the recorder, not by people."""
    from xtrader.pipeline.lean import allow_many_files, run_lean

    run_lean()
    allow_many_files()
    from xtrader.pipeline.lane import lane_main

    code = lane_main(_make_sink)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not through the interpreter's end: the thread that listens to the recorder holds standard input, and Python aborts over it.
    os._exit(code)


def _make_sink(spec: LaneSpec) -> Sink:
    from xtrader import sinks
    from xtrader.settings.environment import sink_options

    made: Sink = sinks.module(spec.sink.name).make(spec.sink.arguments, spec.collector, sink_options())
    return made
