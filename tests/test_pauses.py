"""The one back-off: it grows to its cap, begins anew with what was achieved, and is short but never nothing at the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xtrader.pauses import ENDING, FIRST, LONGEST, Pauses, pause

CHANCES = st.floats(0, 1)


@given(failures=st.integers(1, 10**9), chance=CHANCES)
def test_a_pause_doubles_up_to_its_cap_and_is_never_nothing(failures: int, chance: float) -> None:
    whole = min(LONGEST, FIRST * 2 ** min(failures - 1, 20))
    assert whole / 2 <= pause(failures, chance) <= whole


@given(failures=st.integers(1, 20), chance=CHANCES)
def test_what_was_achieved_makes_a_failure_the_first_again(failures: int, chance: float) -> None:
    pauses = Pauses(first=0.1, longest=60.0, chance=lambda: chance)
    waits = [pauses.after_failure(achieved=False) for _ in range(failures)]
    assert waits == [pause(number, chance, first=0.1, longest=60.0) for number in range(1, failures + 1)]
    assert pauses.after_failure(achieved=True) == pause(1, chance, first=0.1)
    assert pauses.after_failure(achieved=False) == pause(2, chance, first=0.1)


@given(failures=st.integers(0, 40), chance=CHANCES)
def test_while_a_run_ends_it_is_tried_every_half_second(failures: int, chance: float) -> None:
    pauses = Pauses(chance=lambda: chance)
    for _ in range(failures):
        pauses.after_failure(achieved=False)
    assert pauses.after_failure(achieved=False, ending=True) == ENDING == 0.5
