"""How long a venue may send us away, by what its header says."""

from __future__ import annotations

import time

import pytest

from xtrader.feed.rest import LONGEST_BAN, _retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30), ("0", 1), ("", 10), ("soon", 10), ("-5", 10), ("9999999999", LONGEST_BAN), ("9" * 5000, 10), ("\u00b2", 10)],
)
def test_a_retry_after_header_is_believed_up_to_the_longest_known_ban(header: str, seconds: float) -> None:
    assert _retry_after(header, 10.0) == seconds


def test_an_epoch_in_milliseconds_is_the_time_until_then() -> None:
    assert 50 < _retry_after(str(int((time.time() + 60) * 1000)), 10.0) <= 60
