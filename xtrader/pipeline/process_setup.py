"""How the recording processes are set up: what they do without, though it is installed, and what they take.

The rule: nothing is taken from whoever wants it later.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa


class _Absent(MetaPathFinder):
    """Finds no pandas, wherever it is."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


def set_up_process() -> None:
    """Make this a process that only records: no pandas, and Arrow's memory from malloc, which keeps
    what is free for the next batch (its own pool gives it back to the system and has it zeroed again: a tenth of a sink's CPU,
    and 25 MB)."""
    leave_pandas_out()
    pa.set_memory_pool(pa.system_memory_pool())


def allow_many_files() -> None:
    """A connection each, and a file per partition, may be open at once: take all that the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, which it does at its first array, to ask whether that is a Series. It takes 26 MB and
    a fifth of a second in each process. Whoever imports pandas or calls `to_pandas` later gets it all the same."""
    if "pandas" in sys.modules:
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(absent)
