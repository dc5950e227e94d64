"""A platform of two places on this machine, whose recorders are plain processes that roll as those of `xtrader roll` do."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from xtrader.deploy.roll import Roll, RollStep


class Places:
    """Places below a directory, each with a journal and a log of its own, whose recorders share one output directory."""

    def __init__(self, root: Path, subscriptions: str, variables: Mapping[str, str]) -> None:
        self.root = root
        self.data = root / "data"
        own = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "HOME", "PYTHON", "LANG"))}
        self._variables = own | {"XTRADER_MIN_FREE_BYTES": "1MiB", "XTRADER_HTTP": "off"} | variables
        self._subscriptions = subscriptions

    def start(self, place: str, variables: Mapping[str, str] | None = None) -> str:
        """The command that starts the recorder of a place."""
        directory = self.root / place
        directory.mkdir(exist_ok=True)
        found = self._variables | {
            "SUBSCRIPTIONS": self._subscriptions,
            "XTRADER_OUTPUT_DIRECTORY": str(self.data),
            "XTRADER_JOURNAL_DIRECTORY": str(directory / "journal"),
            "XTRADER_CACHE_DIRECTORY": str(self.root / "cache"),
            **(variables or {}),
        }
        words = shlex.join(["env", "-i", *(f"{name}={value}" for name, value in found.items()), sys.executable, "-m", "xtrader"])
        at = shlex.quote(str(directory))
        return f"cd {at} && {words} >>log 2>&1 </dev/null & echo $! >{at}/pid"

    def roll(self, old: str, new: str, ready: float, within: float, variables: Mapping[str, str] | None = None) -> Roll:
        """From one place to another."""
        journal = str(self.root / new / "journal")
        status = (sys.executable, "-m", "xtrader", "status", journal)
        return Roll(
            old,
            new,
            start=(
                RollStep(f"start {new}", ("sh", "-c", self.start(new, variables))),
                RollStep(f"wait for {new}", status, steady=ready, within=within),
            ),
            undo=(self._end(new),),
            switch=(self._end(old),),
        )

    def _end(self, place: str) -> RollStep:
        wait = "kill -TERM $p 2>/dev/null; while kill -0 $p 2>/dev/null; do sleep 0.1; done"
        return RollStep(f"stop {place}", ("sh", "-c", f"p=$(cat {shlex.quote(str(self.root / place))}/pid); {wait}"))

    def pid(self, place: str) -> int:
        return int((self.root / place / "pid").read_text())

    def is_running(self, place: str) -> bool:
        try:
            os.kill(self.pid(place), 0)
        except (ProcessLookupError, FileNotFoundError):
            return False
        return True

    def log(self, place: str) -> str:
        path = self.root / place / "log"
        return path.read_text() if path.is_file() else ""

    def kill(self) -> None:
        """End whatever is left."""
        for path in self.root.glob("*/pid"):
            if self.is_running(path.parent.name):
                os.kill(self.pid(path.parent.name), signal.SIGKILL)
