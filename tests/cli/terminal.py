"""A real terminal of a given size to run a command in: tmux, a server of its own for each."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.needs import missing
from tests.waiting import wait_until


def require_tmux() -> None:
    """Skip without tmux; fail in CI."""
    if shutil.which("tmux") is None:
        missing("no tmux (apt install tmux)")


class Terminal:
    """What runs in it is looked at by `screen` and told keys by `press`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *arguments: str) -> str:
        ran = subprocess.run(["tmux", "-S", str(self._socket), *arguments], capture_output=True, text=True, timeout=60, check=True)
        return ran.stdout

    def press(self, key: str) -> None:
        self.tmux("send-keys", key)

    def screen(self) -> list[str]:
        """The lines of the screen."""
        return self.tmux("capture-pane", "-p").rstrip("\n").split("\n")

    async def until(self, condition: Callable[[str], bool]) -> list[str]:
        """The first screen whose text fulfils the condition."""
        lines: list[str] = []

        def shown() -> bool:
            lines[:] = self.screen()
            return condition("\n".join(lines))

        await asyncio.to_thread(wait_until, shown, lambda: "\n".join(["this screen:", *lines]))
        return lines


@asynccontextmanager
async def terminal(directory: Path, width: int, height: int, command: Sequence[str]) -> AsyncIterator[Terminal]:
    """Runs `command` with the environment of the tests; its exit code is shown as `exit CODE` after its end."""
    require_tmux()
    one = Terminal(directory / f"tmux-{width}x{height}")
    # Programs believe these variables before they ask the terminal.
    shell = f"unset COLUMNS LINES; {shlex.join(command)}; echo exit $?; sleep 600"
    settings = ["-e", f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}", "-e", "COLORTERM=truecolor"]
    await asyncio.to_thread(
        one.tmux,
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        "-x",
        str(width),
        "-y",
        str(height),
        *settings,
        "-c",
        str(directory),
        shell,
    )
    try:
        yield one
    finally:
        await asyncio.to_thread(one.tmux, "kill-server")
