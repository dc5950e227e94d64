"""Decides a run again from its inputs, and finds the first decision that differs.

The rule: nothing of the earlier run is believed but its manifest; its log is compared row by row with what is decided now.
"""

from __future__ import annotations

import tempfile
from decimal import localcontext
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from xtrader.trading import app
from xtrader.trading.core.engine import Engine
from xtrader.trading.log import run_files
from xtrader.trading.log.run_log import RunLog, decided, digest_of
from xtrader.trading.log.taken_inputs import taken
from xtrader.trading.model.grid import PRECISION


class RunVerdict(NamedTuple):
    """`rows` were compared. `first` is (row number, then, now) of the first difference, as JSON text, None if there is none; an
    absent row is empty. `is_whole`: the log is that of a run that ended."""

    rows: int
    digest: str
    first: tuple[int, str, str] | None
    is_whole: bool


def verify_run(directory: Path) -> RunVerdict:
    """Decide the run in a directory again. Of one that did not end, what is there is compared. Raises ConfigError, OSError."""
    manifest = run_files.load(directory)
    with localcontext(prec=PRECISION), tempfile.TemporaryDirectory(prefix="xtrader-verify-") as temporary:
        prepared = app.prepare_again(manifest)
        has_inputs = manifest.mode != "replay"
        log = RunLog(Path(temporary))
        try:
            Engine(app.setup_of(prepared, log.write, lambda: 0)).run(
                taken(directory / run_files.LOG) if has_inputs else app.inputs_of(prepared)
            )
        finally:
            log.close()
        is_whole = bool(manifest.ended)
        rows, first = 0, None
        for then, now in zip_longest(decided(directory / run_files.LOG), decided(Path(temporary))):
            if then is None and not is_whole:
                break
            if then != now:
                first = rows, (then or b"").decode(), (now or b"").decode()
                break
            rows += 1
        own = digest_of(directory / run_files.LOG)
        if first is None and is_whole and own != manifest.digest:
            first = rows, f"the manifest says {manifest.digest}", f"the log is {own}"
        return RunVerdict(rows, own, first, is_whole)
