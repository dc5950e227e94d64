"""`xtrader _deliver`: one sink in its own process, started by the recorder, told what to do on its standard input.

The rule: it imports its own sink and nothing of the recorder, which is 20 MB and a quarter of a second.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from xtrader.pipeline.delivery import DeliverySpec
    from xtrader.sinks.base import Sink


@click.command("_deliver", hidden=True)
def deliver() -> None:
    """Follow the journal into a sink. Started by the recorder, not by people."""
    from xtrader.pipeline.process_setup import allow_many_files, set_up_process

    set_up_process()
    allow_many_files()
    from xtrader import logs
    from xtrader.settings.environment import delivery_logs

    level, secrets, log_to = delivery_logs()
    logs.set_up(level, secrets, log_to=log_to)
    from xtrader.pipeline.delivery import delivery_main

    code = delivery_main(_make_sink, logs.set_levels)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not through the interpreter's end: the thread that listens to the recorder holds standard input, and Python aborts over it.
    os._exit(code)


def _make_sink(spec: DeliverySpec) -> Sink:
    from xtrader import sinks
    from xtrader.settings.environment import sink_options

    made: Sink = sinks.module(spec.sink.name).make(spec.sink.arguments, spec.collector, sink_options())
    return made
