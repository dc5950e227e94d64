"""What a breaker did stays done: a file beside the paper runs says so to the next run, until a person resets it.

The rule: starting again changes nothing; only `reset` with a reason does, and it is kept what had halted and why it was reset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from xtrader.durable import make_directory, replace_file
from xtrader.errors import ConfigError, DamagedFile

LATCH: Final = "breaker.json"


class HaltLatch(msgspec.Struct, frozen=True):
    """`halted` says why everything is halted (None: it is not), `stopped_until` until when a loss stopped trading (int ns),
    `resets` are the resets so far."""

    halted: str | None = None
    stopped_until: int | None = None
    resets: tuple[str, ...] = ()


def read_latch(runs: Path) -> HaltLatch:
    """The latch of the paper runs below a directory. Raises DamagedFile: a latch that cannot be read holds."""
    path = runs / "paper" / LATCH
    try:
        return msgspec.json.decode(path.read_bytes(), type=HaltLatch)
    except FileNotFoundError:
        return HaltLatch()
    except msgspec.MsgspecError as error:
        raise DamagedFile(path, f"is no state of a breaker: {error}; look why trading was halted before you remove it") from error


def write_latch(runs: Path, latch: HaltLatch) -> None:
    """Keep it, durably. Raises OSError."""
    make_directory(runs / "paper")
    replace_file(runs / "paper" / LATCH, msgspec.json.encode(latch) + b"\n")


def reset_latch(runs: Path, reason: str, when: str) -> HaltLatch:
    """Reset what is latched; returns what was. Raises ConfigError if nothing is, or there is no reason."""
    found = read_latch(runs)
    if not reason.strip():
        raise ConfigError("a reset needs a reason: --reason 'what was wrong and is not any more'")
    if found.halted is None and found.stopped_until is None:
        raise ConfigError(f"no breaker is latched in '{runs}'")
    write_latch(runs, HaltLatch(resets=(*found.resets, f"{when} {reason.strip()} (was: {found.halted or 'stopped for the day'})")))
    return found
