"""`compact` in a process of its own, which can be killed."""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

from xtrader.store.mend.compact import HOUR, compact


def _context() -> ForkServerContext:
    found = get_context("forkserver")
    found.set_forkserver_preload(["xtrader.store.mend.compact"])
    return found


def killed(directory: Path, after: float) -> bool:
    """Run it, and kill it after so many seconds; False if it was done before."""
    process = _context().Process(target=compact, args=(directory, HOUR))
    process.start()
    process.join(after)
    if process.exitcode is None:
        process.kill()
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode != 0
