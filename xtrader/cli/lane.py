"""`xtrader _lane`: one sink in its own process, started by the recorder, told what to do on its standard input.

The rule: it imports its own sink and nothing of the recorder, which is 20 MB and a quarter of a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
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


def _make_sink(spec: Mapping[str, Any]) -> Sink:
    if spec["name"] == "questdb":
        from xtrader.config import questdb_options
        from xtrader.sinks.questdb.conf import target
        from xtrader.sinks.questdb.sink import QuestdbSink

        return QuestdbSink(target(questdb_options()), Path(spec["memory"]), Path(spec["set_aside"]))
    directory, collector, upload = Path(spec["directory"]), spec["collector"], spec["upload"]
    if upload is None:
        from xtrader.sinks.parquet import ParquetSink

        return ParquetSink(directory, collector)
    from xtrader.sinks.objects import ObjectSink

    return ObjectSink(directory, collector, upload["url"], keep_local=upload["keep_local"])
