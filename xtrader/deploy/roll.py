"""A change of version without a gap: the new recorder beside the old one, and the old one ends only when the new one is ready.

The rule: what is done is a list of steps, made before the first of them; whatever fails before the old recorder is told to stop is
undone, and the old one was never touched.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xtrader.errors import ConfigError, XTraderError

LOOK: Final = 1.0
"""Seconds between two looks at a recorder that is to become ready."""
SAID: Final = 1000
"""Characters of what a command said that are told, its last ones."""
ANSWERS: Final = 60
"""Seconds within which a program must answer a question."""


@dataclass(frozen=True, slots=True)
class RollStep:
    """One thing to do, and what it is for: a command to run; or a file to write with `text`, or to remove where that is None. A
    command with `steady` must succeed again and again for so many seconds on end, within `within` seconds."""

    says: str
    command: tuple[str, ...] = ()
    file: Path | None = None
    text: str | None = None
    steady: float = 0
    within: float = 0

    def __str__(self) -> str:
        """As a user would do it by hand."""
        if self.file is not None:
            return f"rm -f {shlex.quote(str(self.file))}" if self.text is None else f"write {shlex.quote(str(self.file))}"
        words = shlex.join(self.command)
        return f"{words}    # every second, until it was so for {self.steady:g} s" if self.steady else words


@dataclass(frozen=True, slots=True)
class Roll:
    """The steps of one instance. Until all of `start` are done nothing has happened to the old recorder, and `undo` leaves it so;
    `switch` ends it. `old` and `new` are what the platform calls the two. `log` is a command that shows what the new one said."""

    old: str
    new: str
    start: tuple[RollStep, ...]
    undo: tuple[RollStep, ...]
    switch: tuple[RollStep, ...]
    log: tuple[str, ...] = ()


class RollUndone(XTraderError):
    """The new recorder did not come up; the old one records on."""

    def __init__(self, roll: Roll, why: str, left: Sequence[str]) -> None:
        super().__init__(roll.new, why)
        self.roll = roll
        self.why = why
        self.left = left

    def __str__(self) -> str:
        end = f"; to be done by hand: {'; '.join(self.left)}" if self.left else ""
        return f"undone, {self.roll.old} records on: {self.why}{end}"


class RollUnfinished(XTraderError):
    """The new recorder records, and something of the old one is left to be done."""

    def __init__(self, roll: Roll, why: str) -> None:
        super().__init__(roll.new, why)
        self.roll = roll
        self.why = why

    def __str__(self) -> str:
        return f"{self.roll.new} records, but {self.roll.old} is not put away: {self.why}"


class _Failed(Exception):
    """A step that did not succeed, and why."""


def perform(roll: Roll, say: Callable[[str], None]) -> None:
    """Do it. `say` hears each step. Raises RollUndone, also for an interrupt before the old recorder is told to stop, and
    RollUnfinished."""
    _start(roll, say)
    for step in roll.switch:
        say(step.says)
        try:
            _do(step)
        except _Failed as error:
            raise RollUnfinished(roll, str(error)) from None


def _start(roll: Roll, say: Callable[[str], None]) -> None:
    try:
        for step in roll.start:
            say(step.says)
            _do(step)
    except BaseException as error:
        why = str(error) if isinstance(error, _Failed) else "interrupted" if isinstance(error, KeyboardInterrupt) else repr(error)
        said = "" if not roll.log else _said_last(roll.log)
        why = f"{why}; {roll.new} said: {said}" if said else why
        left = []
        for step in roll.undo:
            say(step.says)
            try:
                _do(step)
            except _Failed as failed:
                left.append(str(failed))
        raise RollUndone(roll, why, left) from None


def _do(step: RollStep) -> None:
    try:
        if step.file is not None:
            _put(step.file, step.text)
        elif step.steady:
            _wait(step)
        else:
            done = _run(step.command)
            if done.returncode:
                raise _Failed(_told(step.command, done))
    except OSError as error:
        raise _Failed(f"'{error.filename or step.command[0]}': {error.strerror}") from None


def _wait(step: RollStep) -> None:
    """Raises _Failed."""
    deadline = time.monotonic() + step.within
    since = None
    while True:
        done = _run(step.command)
        now = time.monotonic()
        since = None if done.returncode else since or now
        if since is not None and now - since >= step.steady:
            return
        if now > deadline:
            why = _told(step.command, done) if done.returncode else "it was, but not for so long"
            raise _Failed(f"not ready for {step.steady:g} s within {step.within:g} s: {why}")
        time.sleep(min(LOOK, step.steady))


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # In a session of its own: an interrupt of the roll is not one of the program that undoes it.
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, start_new_session=True)  # noqa: S603


def _said_last(command: Sequence[str]) -> str:
    try:
        return _run(command).stdout.strip()[-SAID:]
    except OSError:
        return ""


def _told(command: Sequence[str], done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stderr.strip() or done.stdout.strip())[-SAID:]
    return f"'{shlex.join(command)}' ended with {done.returncode}{': ' + said if said else ''}"


def _put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def ask(command: Sequence[str]) -> str:
    """What a platform's program answers, "" where it fails. Raises ConfigError where it is not installed or is silent."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=ANSWERS)  # noqa: S603
    except FileNotFoundError:
        raise ConfigError(f"'{command[0]}' is not installed here, and is needed to roll") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"'{shlex.join(command)}' gives no answer within {ANSWERS} s") from None
    return done.stdout.strip() if done.returncode == 0 else ""


def restore(path: Path) -> RollStep:
    """The step that puts a file back as it is now."""
    text = path.read_text(encoding="utf-8") if path.is_file() else None
    return RollStep(f"put {path} back", file=path, text=text)
