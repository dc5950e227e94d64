"""OpenRequests: which channels a request still waits for."""

from __future__ import annotations

from collections import Counter

from xtrader.model.subscription import Subscription
from xtrader.venues.machine.channel import Channel
from xtrader.venues.machine.requests import OpenRequests

ONE, TWO = (Channel(Subscription("L2", "OKX_SWAP", symbol), "start", Counter(), lambda channel: []) for symbol in ("A", "B"))


def test_an_answer_settles_its_channel_in_every_request_and_is_forgotten_with_the_last_of_them() -> None:
    requests = OpenRequests(10)
    requests.put("1", [ONE, TWO])
    requests.put("2", [TWO])
    requests.settled(TWO)
    assert (requests.of("1"), requests.of("2")) == ((ONE,), ())
    assert requests.take("1") == (ONE,)
    assert requests.take("1") == ()


def test_a_later_request_makes_the_answer_to_an_earlier_one_late() -> None:
    requests = OpenRequests(10)
    requests.put("3", [ONE])
    requests.put("4", [ONE])
    assert ONE.is_late("3")
    assert not ONE.is_late("4")


def test_the_oldest_of_too_many_is_forgotten() -> None:
    requests = OpenRequests(2)
    for number in ("5", "6", "7"):
        requests.put(number, [ONE])
    assert [requests.of(number) for number in ("5", "6", "7")] == [(), (ONE,), (ONE,)]
