"""Ending work in order."""

from __future__ import annotations

import os
import signal

import pytest

from tests.waiting import wait_until
from xtrader.cli.stopping import Stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_wish_and_its_handler_comes_back(number: int) -> None:
    before = signal.getsignal(number)
    with Stopping() as stopping:
        assert not stopping.is_wanted()
        os.kill(os.getpid(), number)
        wait_until(stopping.is_wanted)
    assert signal.getsignal(number) == before


def test_the_end_of_its_time_is_a_wish_too() -> None:
    with Stopping(0.05) as stopping:
        assert wait_until(stopping.is_wanted)
