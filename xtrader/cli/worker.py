"""`xtrader _worker`: one of several recording processes, started by the recorder, told what to record on its standard input."""

from __future__ import annotations

import sys

import click


@click.command("_worker", hidden=True)
def worker() -> None:
    """Record a part of the subscriptions. Started by the recorder, not by people."""
    from xtrader.pipeline.process_setup import set_up_process

    set_up_process()
    from xtrader.app import workers

    sys.exit(workers.run_worker())
