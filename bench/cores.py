"""Where things run: a contender with all its processes on one core, the server on another if there is one."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """Where things run: the contender with all its processes on one core, the server on another if there is one."""

    contender: int
    server: int

    @staticmethod
    def here() -> Cores:
        usable = sorted(os.sched_getaffinity(0))
        return Cores(usable[-1], usable[0])
