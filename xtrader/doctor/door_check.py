"""How the recorder that runs here is, by its own words.

The rule: none is no trouble; one that does not answer is.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.errors import ConfigError
from xtrader.ops.ask import Asking, NobodyThere
from xtrader.ops.door import NAME
from xtrader.ops.facts import Facts
from xtrader.ops.health import troubles

PATIENCE: Final = 5.0
SHOWN: Final = 10
"""Troubles that are told; `xtrader status` has all."""


def ask_door(journal: Path) -> tuple[Facts | None, list[Diagnosis]]:
    """The facts of the recorder whose journal is in a directory, None if there is none or it says nothing; and what is found."""
    about = "recorder"
    if not (journal / NAME).exists():
        return None, [ok(about, "none runs here")]
    try:
        with Asking(journal, PATIENCE) as asking:
            return asking.facts(), list(_mode(about, journal))
    except NobodyThere as error:
        # Without anybody behind it the socket of one that was killed says no at once.
        if "no recorder" in str(error):
            return None, [ok(about, f"{error}; the last one left its door behind")]
        return None, [
            wrong(
                about, str(error), "is it stopped (kill -CONT), or does its disk hang? `xtrader healthcheck` says whether it writes"
            )
        ]
    except ConfigError as error:
        return None, [warning(about, str(error), "use the program that runs there")]


def judge_recorder(facts: Facts, version: str, now: int) -> Iterator[Diagnosis]:
    """What a recorder's facts mean at wall time `now` (int ns). `version` is that of this program."""
    about = "recorder"
    found = troubles(facts, now)
    blocking = [one for one in found if one.blocks]
    words = f"{facts.live} of {facts.wanted} subscriptions are live"
    yield wrong(about, f"is not ready: {words}", "`xtrader status` says more") if blocking else ok(about, f"is ready: {words}")
    remedy = "docs/operations.md says what this kind of trouble means"
    for one in found[:SHOWN]:
        yield (wrong if one.blocks else warning)(f"{about}: {one.subject}", f"{one.kind}: {one.words}", remedy)
    own = facts.versions.get("xtrader", "")
    if own != version:
        yield warning(about, f"is of version {own}, this program of {version}", "start it again to run the new version")


def _mode(about: str, journal: Path) -> Iterator[Diagnosis]:
    mode = stat.S_IMODE((journal / NAME).stat().st_mode)
    if mode & 0o077:
        yield wrong(about, f"others may come to its door (mode {mode:04o})", f"chmod 600 '{journal / NAME}'")
