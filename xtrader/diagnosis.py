"""What an examination found: each thing with how it is, in words, and what to do about it.

The rule: no finding holds a secret.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Level: TypeAlias = Literal["ok", "warning", "wrong"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warning", "wrong")


class Diagnosis(msgspec.Struct, frozen=True):
    """One thing that was looked at. `about` names it, `words` say how it is, `remedy` what to do; that is empty where it is ok."""

    level: Level
    about: str
    words: str
    remedy: str = ""


def ok(about: str, words: str) -> Diagnosis:
    """It is as it should be."""
    return Diagnosis("ok", about, words)


def warning(about: str, words: str, remedy: str) -> Diagnosis:
    """Recording goes on with it, worse than it could, or until something else happens."""
    return Diagnosis("warning", about, words, remedy)


def wrong(about: str, words: str, remedy: str) -> Diagnosis:
    """With it nothing, or something else than what was asked for, is recorded."""
    return Diagnosis("wrong", about, words, remedy)
