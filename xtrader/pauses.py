"""Pauses: how long to wait before something that failed is tried again; the one back-off of the whole product.

Rule: nothing is given up. Pauses double up to a longest one, begin anew with whatever was achieved, and are short at the end of a
run.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 30.0
ENDING: Final = 0.5
"""Seconds between two attempts while a run ends: there is little time left, and nobody is to be flooded in it."""


def pause(failures: int, chance: float, *, first: float = FIRST, longest: float = LONGEST) -> float:
    """Seconds to wait after so many `failures` in a row (1 or more): `first` doubled with each, at most `longest`. `chance`, from
    0 to 1, takes up to half of it away, so that those who lost the same thing do not come back to it in step."""
    return min(longest, first * 2.0 ** min(failures - 1, 30)) * (0.5 + chance / 2)


class Pauses:
    """The pauses of one thing that is tried for ever. `chance` gives a number from 0 to 1 each time."""

    def __init__(self, *, first: float = FIRST, longest: float = LONGEST, chance: Callable[[], float] = random.random) -> None:
        self.failures = 0
        """In a row, without anything achieved between them."""
        self._first = first
        self._longest = longest
        self._chance = chance

    def after_failure(self, *, achieved: bool, ending: bool = False) -> float:
        """Seconds to wait now that it failed. `achieved`: it did something of its work since the last failure, so that this one
        counts as the first. `ending`: the run is over but for this."""
        self.failures = 1 if achieved else self.failures + 1
        if ending:
            return ENDING
        return pause(self.failures, self._chance(), first=self._first, longest=self._longest)
