"""What is known of a venue's clock holds the truth, whatever the way there and back took."""

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from xtrader.clock import SECOND
from xtrader.feed.clock_offset import WINDOW, ClockOffset

NOW = 1_700_000_000 * SECOND
WAYS = st.lists(st.tuples(st.integers(0, 2 * SECOND), st.integers(0, 2 * SECOND), st.integers(0, SECOND)), min_size=1, max_size=9)


@given(st.integers(-(10**12), 10**12), WAYS)
def test_the_truth_is_within_the_error_of_the_offset(offset: int, ways: list[tuple[int, int, int]]) -> None:
    known = ClockOffset()
    venue = NOW
    for there, back, lag in ways:
        venue += there + 10 * SECOND
        known.answered(formatdate(venue // SECOND, usegmt=True), venue - there + offset, venue + back + offset)
        known.lagged(lag + offset, venue + lag + offset)
    found, error = known.bounds(venue + back + offset)
    assert found is not None
    assert error is not None
    assert abs(found - offset / SECOND) <= error + 1e-6
    assert error <= (SECOND + min(there + back for there, back, _ in ways)) / SECOND


def test_without_an_answer_the_offset_is_at_most_the_least_lag_and_without_anything_unknown() -> None:
    known = ClockOffset()
    assert known.bounds(NOW) == (None, None)
    known.answered("yesterday", NOW, NOW)
    assert known.bounds(NOW) == (None, None)
    known.lagged(-SECOND, NOW)
    assert known.bounds(NOW) == (-1.0, None)
    assert known.bounds(NOW + 2 * WINDOW) == (None, None)
