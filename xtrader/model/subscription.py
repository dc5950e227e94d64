"""Subscription: `STREAM:EXCHANGE@INSTRUMENT`, both ways."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection

import msgspec

from xtrader.errors import ConfigError
from xtrader.model.streams import SUBSCRIBED

STREAMS = SUBSCRIBED


class Subscription(msgspec.Struct, frozen=True, order=True):
    """One stream of one instrument. `instrument` is what the user typed until it was looked up, then the venue's own symbol."""

    stream: str
    exchange: str
    instrument: str

    @property
    def key(self) -> str:
        """`EXCHANGE@INSTRUMENT`: the instrument key that records carry."""
        return f"{self.exchange}@{self.instrument}"

    def __str__(self) -> str:
        return f"{self.stream}:{self.exchange}@{self.instrument}"


def parse_subscriptions(
    text: str, exchanges: Collection[str], streams: Callable[[str], Collection[str]] = lambda exchange: SUBSCRIBED
) -> tuple[Subscription, ...]:
    """The subscriptions of a comma-separated list, in its order, each once; `exchanges` are the tokens that exist, `streams` says
    which streams one of them has.

    Case and white space round the parts do not matter; the instrument keeps its spelling for the catalogue to look up.
    Raises ConfigError with one sentence that names the token, what is wrong with it, and what was perhaps meant.
    """
    found: dict[tuple[str, str, str], Subscription] = {}
    for token in filter(None, (part.strip() for part in text.split(","))):
        one = _parse(token, exchanges)
        if one.stream not in (had := streams(one.exchange)):
            raise ConfigError(f"{one.exchange} has no {one.stream}, asked for by '{token}'; it has {', '.join(had)}")
        found.setdefault((one.stream, one.exchange, one.instrument.upper()), one)
    if not found:
        raise ConfigError(
            f'no subscriptions: give --subscriptions "STREAM:EXCHANGE@INSTRUMENT,…", such as "L2:{_example(exchanges)}", '
            "or set the variable SUBSCRIPTIONS"
        )
    return tuple(found.values())


def parse_name(text: str, exchanges: Collection[str]) -> tuple[str, str]:
    """(exchange, instrument as it was typed) of `EXCHANGE@INSTRUMENT`. Raises ConfigError with one sentence."""
    exchange, at, instrument = (part.strip() for part in text.partition("@"))
    if not at or not exchange or not instrument:
        raise ConfigError(f"'{text}' is no instrument: it must be EXCHANGE@INSTRUMENT, such as {_example(exchanges)}")
    if exchange.upper() not in exchanges:
        raise ConfigError(f"unknown exchange '{exchange}' in '{text}'; {_near(exchange.upper(), exchanges)}")
    return exchange.upper(), instrument


def _parse(token: str, exchanges: Collection[str]) -> Subscription:
    stream, colon, rest = (part.strip() for part in token.partition(":"))
    exchange, at, instrument = (part.strip() for part in rest.partition("@"))
    for what, part in (("stream", colon and stream), ("exchange", colon and exchange), ("instrument", at and instrument)):
        if not part:
            raise ConfigError(f"subscription '{token}' has no {what}: it must be STREAM:EXCHANGE@INSTRUMENT")
    for what, part, known in (("stream", stream, STREAMS), ("exchange", exchange, exchanges)):
        if part.upper() not in known:
            raise ConfigError(f"unknown {what} '{part}' in '{token}'; {_near(part.upper(), known)}")
    if any(character.isspace() or character in ":@" or not character.isprintable() for character in instrument):
        raise ConfigError(f"instrument '{instrument}' in '{token}' cannot be one name; subscriptions are separated by commas")
    return Subscription(stream.upper(), exchange.upper(), instrument)


def _example(exchanges: Collection[str]) -> str:
    """The last by name: the first one lists no such pair."""
    return f"{max(exchanges, default='EXCHANGE')}@BTCUSDT"


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
