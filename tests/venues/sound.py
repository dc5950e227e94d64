"""What a session may hand out, whatever it was given."""

from __future__ import annotations

from math import isfinite
from typing import get_args

from xtrader.model.market import BookUpdate, Flat, Trade
from xtrader.model.streams import STREAMS
from xtrader.venues.base import Output

KINDS = (*(one for one in get_args(Output) if one is not Flat), *(one.record for one in STREAMS.values()))


def is_sound(output: object) -> bool:
    """A documented output whose prices and sizes are numbers that exist."""
    match output:
        case Trade():
            return isfinite(output.price) and isfinite(output.size)
        case BookUpdate():
            return all(isfinite(price) and isfinite(size) for price, size in (*output.bids, *output.asks))
        case _:
            return isinstance(output, KINDS)
