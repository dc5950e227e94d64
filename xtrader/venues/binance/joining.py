"""Joining: how a change of the diff stream meets a snapshot by REST, by the vendor's steps."""

from __future__ import annotations

from typing import Literal, TypeAlias

from xtrader.model.market import BookUpdate

Join: TypeAlias = Literal["old", "joins", "late"]


def join_spot(snapshot: int, previous: int, last: int) -> Join:
    """How a spot delta (`previous` = U - 1, `last` = u) meets a snapshot with that lastUpdateId.

    Vendor's steps: buffer the stream; get the snapshot; if its lastUpdateId is below the first buffered U, get another; drop
    events with `u <= lastUpdateId`; the first one applied has `U <= lastUpdateId + 1`; from then on `U == previous u + 1`.
    """
    if last <= snapshot:
        return "old"
    return "joins" if previous <= snapshot else "late"


def join_futures(snapshot: int, previous: int, last: int) -> Join:
    """How a futures delta (`previous` = pu, `last` = u) meets a snapshot with that lastUpdateId.

    Vendor's steps: buffer the stream; get the snapshot; drop events with `u < lastUpdateId`; the first one applied has
    `U <= lastUpdateId <= u`; from then on `pu == previous u`. As ids run over all instruments, an event with
    `pu <= lastUpdateId < U` leaves nothing out either. `pu < U`, so both together are `pu <= lastUpdateId <= u`.
    """
    if last < snapshot:
        return "old"
    return "joins" if previous <= snapshot else "late"


def ids(delta: BookUpdate) -> tuple[int, int]:
    """(number of the state it follows, number of the state after it) of a delta; Binance's deltas always have both."""
    assert delta.prev_sequence is not None
    assert delta.sequence is not None
    return delta.prev_sequence, delta.sequence
