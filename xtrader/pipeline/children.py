"""The one supervisor: a process of ours is started, spoken to and heard line by line, and started again when it dies.

The rule: a child is started again for as long as it is wanted, after pauses that grow while it achieves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from xtrader.pauses import Pauses

FIRST_PAUSE: Final = 0.1
LONGEST_LINE: Final = 1 << 24
LOOKS: Final = 5
"""In how many looks in a row a child must have been silent to count as hung: a loop of ours that was late itself is one look."""

log = structlog.get_logger("xtrader.pipeline")


class Child:
    """One child process, again and again.

    `talk(stdin)` is what is said to it, from its start on; it is cancelled when the child is gone. `hear(line)` gets what it says.
    `environment` are all its variables (None: those of this process). It is in a session of its own, so that it gets no signal from
    the terminal, however early. It inherits the file descriptors `pass_fds`. With `patience` it must go on speaking: one that
    has spoken, and is silent for about so many seconds, hangs and is killed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        talk: Callable[[asyncio.StreamWriter], Awaitable[None]],
        hear: Callable[[bytes], None],
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        patience: float | None = None,
    ) -> None:
        self.restarts = 0
        self.process: asyncio.subprocess.Process | None = None
        """The last one that was started; it may have ended."""
        self.speaks = False
        """It runs and has said something."""
        self._name = name
        self._command = command
        self._talk = talk
        self._hear = hear
        self._environment = environment
        self._pass_fds = pass_fds
        self._patience = patience
        self._was_heard = False
        self._ending = asyncio.Event()

    def hurry(self) -> None:
        """The run is ending: no pause is a long one from here on."""
        self._ending.set()

    async def run(self, is_over: Callable[[int], bool], has_achieved: Callable[[], bool]) -> int:
        """Run it until `is_over(exit code)`; returns that code. `has_achieved()` is asked after each death: whether it did
        something of its work since the last."""
        pauses = Pauses(first=FIRST_PAUSE)
        while True:
            code = await self._run_once()
            if is_over(code):
                return code
            was_ending = self._ending.is_set()
            pause = pauses.after_failure(achieved=has_achieved(), ending=was_ending)
            self.restarts += 1
            log.error("child_died", child=self._name, code=code, seconds=round(pause, 2))
            if was_ending:
                await asyncio.sleep(pause)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), pause)
            if is_over(code):
                return code

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    async def _run_once(self) -> int:
        """Start the process and talk to it until it is gone; returns its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
            pass_fds=self._pass_fds,
            limit=LONGEST_LINE,
        )
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        talking = asyncio.ensure_future(self._talk(process.stdin))
        watching = None if self._patience is None else asyncio.ensure_future(self._watch(self._patience))
        try:
            async for line in process.stdout:
                self.speaks = self._was_heard = True
                self._hear(line)
            return await process.wait()
        finally:
            self.speaks = False
            talking.cancel()
            if watching is not None:
                watching.cancel()
            self.kill()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await talking
            await process.wait()

    async def _watch(self, patience: float) -> None:
        """Kill it when it has been silent for so long after it spoke."""
        silent = 0
        while True:
            self._was_heard = False
            await asyncio.sleep(patience / LOOKS)
            silent = silent + 1 if self.speaks and not self._was_heard else 0
            if silent >= LOOKS:
                log.error("child_hangs", child=self._name, seconds=patience)
                self.kill()
                return
