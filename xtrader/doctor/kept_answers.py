"""The answers of routine checks, kept beside the journal: a file for each kind, a line for each time.

The rule: they are bounded, and what was kept is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from xtrader.diagnosis import LEVELS, Diagnosis
from xtrader.durable import replace_file

LINES: Final = 1000
"""That are kept of a kind: of hourly ones six weeks."""
ANSWERS: Final = 100
"""Of one time that are kept: those that are not ok before the others."""


class KeptAnswers(msgspec.Struct, frozen=True):
    """Those of one time, `ts` int ns UTC: the worst `level`, how many there were, and the first of them."""

    ts: int
    level: str
    version: str
    count: int
    answers: tuple[Diagnosis, ...]


def answers_file(directory: Path, kind: str) -> Path:
    """Where those of a kind are kept."""
    return directory / f"check-{kind}.jsonl"


def keep_answers(directory: Path, kind: str, answers: Sequence[Diagnosis], version: str, now: int) -> KeptAnswers:
    """Keep the answers of one time, and forget the oldest beyond LINES. Raises OSError."""
    worst = max((LEVELS.index(one.level) for one in answers), default=0)
    shown = sorted(answers, key=lambda one: -LEVELS.index(one.level))[:ANSWERS]
    kept = KeptAnswers(now, LEVELS[worst], version, len(answers), tuple(shown))
    path = answers_file(directory, kind)
    lines = path.read_bytes().splitlines(keepends=True)[-LINES + 1 :] if path.exists() else []
    replace_file(path, b"".join([*(line for line in lines if line.endswith(b"\n")), msgspec.json.encode(kept), b"\n"]))
    return kept


def read_answers(directory: Path, kind: str) -> Iterator[KeptAnswers]:
    """What is kept of a kind, oldest first; a line that cannot be read is left out. Raises OSError."""
    path = answers_file(directory, kind)
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(line, type=KeptAnswers)
