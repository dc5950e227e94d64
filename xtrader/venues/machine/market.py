"""StreamMarket: what the markets of venues have in common whose connections carry anything. One rule: a user's URL goes before the
venue's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import msgspec

from xtrader.errors import ConfigError, ProtocolError
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Limits, Link, Listed
from xtrader.venues.machine.options import url_option
from xtrader.venues.machine.wire import BAD, listed


class StreamMarket:
    """See venues/base.py (Market) for what the methods return. `ws` and `rest` are base URLs without path."""

    limits: Limits
    per_link: ClassVar[int] = 100
    """Subscriptions on one connection."""
    send_limits: ClassVar[tuple[tuple[int, float], ...]] = ()

    def __init__(
        self, exchange: str, options: Mapping[str, str], ws: str, path: str, rest: str, environment: str = "production"
    ) -> None:
        own_ws = url_option(options, f"XTRADER_{exchange}_WS_URL", ("ws", "wss"))
        own_rest = url_option(options, f"XTRADER_{exchange}_REST_URL", ("http", "https"))
        self.exchange = exchange
        self.environment = "override" if own_ws or own_rest else environment
        self.ws_url = (own_ws or ws) + path
        self.rest_url = own_rest or rest

    def links(self, subscriptions: Sequence[Subscription]) -> list[Link]:
        """The subscriptions in their order, so many on a connection."""
        wanted = list(dict.fromkeys(subscriptions))
        return [
            Link(
                self.exchange,
                f"{self.exchange}/{n // self.per_link}",
                self.ws_url,
                tuple(wanted[n : n + self.per_link]),
                self.send_limits,
            )
            for n in range(0, len(wanted), self.per_link)
        ]

    def _listed(
        self,
        bodies: Sequence[bytes],
        rows: Callable[[bytes], Sequence[msgspec.Raw]],
        read: Callable[[msgspec.Raw], Instrument | None],
        name: str,
    ) -> Listed:
        """The catalogue in the bodies: `rows` finds them in one, or raises one of BAD or ValueError; for `read` and `name` see
        `machine.wire.listed`."""
        found: list[msgspec.Raw] = []
        for body in bodies:
            try:
                found += rows(body)
            except (*BAD, ValueError) as error:
                raise ProtocolError(self.exchange, f"the instrument catalogue cannot be read: {str(error)[:200]}") from error
        return listed(found, read, name)


def choice(options: Mapping[str, str], name: str, default: int, known: Sequence[int]) -> int:
    """A setting that is one of some numbers; `default` when it is not set or empty. Raises ConfigError."""
    text = options.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdecimal() or int(text) not in known:
        raise ConfigError(f"{name} must be one of {', '.join(map(str, known))}, not '{text[:40]}'")
    return int(text)
