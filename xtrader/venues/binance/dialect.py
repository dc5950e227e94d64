"""Dialect: what differs between Binance's markets. One rule: facts only."""

from __future__ import annotations

import msgspec

from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch


class Dialect(msgspec.Struct, frozen=True):
    """What differs between the venue's markets: REST paths and weights, stream names, the book's rule."""

    rest_prefix: str
    is_futures: bool
    depths: tuple[tuple[int, int], ...]
    probe_depth_weight: int
    trade_stream: str
    """trade | aggTrade"""
    last_trade_path: str
    """Relative to the prefix; its numbers are those of `trade_stream`."""
    last_trade_weight: int

    @property
    def depth_path(self) -> str:
        return f"{self.rest_prefix}/depth"

    def stream(self, subscription: Subscription) -> str:
        """The stream's name on the wire: symbols in lower case."""
        kind = "depth@100ms" if subscription.stream == "L2" else self.trade_stream
        return f"{subscription.instrument.lower()}@{kind}"

    def question(self, subscription: Subscription) -> Fetch:
        """The request that asks how far the venue's numbers are."""
        symbol = ("symbol", subscription.instrument)
        if subscription.stream == "L2":
            return Fetch(subscription.key, "probe", self.depth_path, (symbol, ("limit", "5")), weight=self.probe_depth_weight)
        path = self.rest_prefix + self.last_trade_path
        return Fetch(subscription.key, "probe", path, (symbol, ("limit", "1")), weight=self.last_trade_weight)
