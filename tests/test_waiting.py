"""A wait ends when its condition holds, and says what it last saw when it does not come to hold."""

from __future__ import annotations

import asyncio

import pytest

from tests.waiting import until, wait_until, within


def test_a_wait_gives_what_its_condition_gave() -> None:
    left = [0, 0, 7]
    assert wait_until(lambda: left.pop(0)) == 7
    left = [0, 0, 8]
    assert asyncio.run(until(lambda: left.pop(0))) == 8


def test_a_wait_in_vain_says_for_what_and_what_there_was() -> None:
    names = ["one"]
    with pytest.raises(AssertionError, match=r"not so after 0\.01 s: .*len\(names\) > 1.*; last False; names = \['one'\]"):
        wait_until(lambda: len(names) > 1, limit=0.01)
    with pytest.raises(AssertionError, match=r"len\(names\) > 1.*; it saw the end of a log"):
        asyncio.run(until(lambda: len(names) > 1, lambda: "the end of a log", limit=0.01))


def test_what_never_answers_is_given_up() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await within(asyncio.Event().wait(), limit=0.01)

    asyncio.run(main())
