"""CPU and memory of a process and its children while it runs, looked at five times a second from the server's core."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import NamedTuple

import psutil


class Sample(NamedTuple):
    """CPU seconds since the start and bytes of memory, of all processes together. Pages that processes share count once (PSS)."""

    at: float
    cpu: float
    memory: int


class Watch(threading.Thread):
    """Looks until `over` is set. (ru_maxrss would begin with what the parent had.)"""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.samples: list[Sample] = []
        self.over = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while not self.over.wait(0.2):
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(self.pid)
                both = (root, *root.children(recursive=True))
                times = [one.cpu_times() for one in both]
                cpu = sum(one.user + one.system for one in times)
                self.samples.append(Sample(time.monotonic() - began, cpu, sum(one.memory_full_info().pss for one in both)))

    @property
    def memory(self) -> int:
        """The most that was seen, bytes."""
        return max((sample.memory for sample in self.samples), default=0)

    def cores(self, since: float, until: float) -> float:
        """CPU seconds a second between two times after the start."""
        window = [sample for sample in self.samples if since <= sample.at <= until]
        return (window[-1].cpu - window[0].cpu) / (window[-1].at - window[0].at)
