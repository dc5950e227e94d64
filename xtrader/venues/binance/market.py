"""BinanceMarket: where an exchange token's streams and REST are, what it lists, how its subscriptions are cut into connections.

One rule: the same symbol on spot, USD-M and COIN-M is three different instruments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Raw, Struct

from xtrader.errors import ConfigError, ProtocolError
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Limits, Link, Listed
from xtrader.venues.binance.dialect import Dialect
from xtrader.venues.binance.session import BinanceSession
from xtrader.venues.machine.options import url_option
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD, listed, ns, number

STREAMS_PER_LINK = 200
"""The venue allows 1024; fewer keep what one lost connection costs, and the snapshots it takes to come back, small."""
LIFETIME = 24 * 3600.0
SPOT_DEPTHS = ((5000, 250), (1000, 50), (500, 25), (100, 5))
FUTURES_DEPTHS = ((1000, 20), (500, 10), (100, 5), (50, 2))
USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
NEVER = 4_133_404_800_000_000_000
"""The delivery date, int ns, of what is not delivered; the venue gives a perpetual an earlier one when it will be delisted."""


class BinanceVenue(Struct, frozen=True):
    """What is known of one exchange token."""

    ws_url: str
    rest_url: str
    dialect: Dialect
    limits: Limits
    sends: int
    """Messages a second on one connection, two below the venue's limit: a ping and a pong in the same second count too."""
    catalogue_weight: int
    routes: tuple[str, str]
    """Paths of the combined streams that carry (depth and single trades, aggregates)."""


def _dialect(prefix: str, *, trade_stream: str) -> Dialect:
    if prefix == "/api/v3":
        return Dialect(prefix, False, SPOT_DEPTHS, 5, "trade", "/trades", 25)
    if trade_stream == "trade":
        return Dialect(prefix, True, FUTURES_DEPTHS, 2, "trade", "/trades", 5)
    return Dialect(prefix, True, FUTURES_DEPTHS, 2, "aggTrade", "/aggTrades", 20)


def _limits(weight: int) -> Limits:
    return Limits(weight, 60.0, 300, 300.0, USED_WEIGHT)


def place(exchange: str, trade_stream: str) -> BinanceVenue:
    """Where an exchange token is in production. `trade_stream` (aggTrade | trade) matters for USD-M only."""
    if exchange == "BINANCE_SPOT":
        dialect = _dialect("/api/v3", trade_stream="trade")
        spot = ("/stream", "/stream")
        return BinanceVenue("wss://stream.binance.com:9443", "https://api.binance.com", dialect, _limits(6000), 3, 20, spot)
    if exchange == "BINANCE_FUTURES":
        dialect = _dialect("/fapi/v1", trade_stream=trade_stream)
        routed = ("/public/stream", "/market/stream")
        return BinanceVenue("wss://fstream.binance.com", "https://fapi.binance.com", dialect, _limits(2400), 8, 1, routed)
    dialect = _dialect("/dapi/v1", trade_stream="aggTrade")
    both = ("/stream", "/stream")
    return BinanceVenue("wss://dstream.binance.com", "https://dapi.binance.com", dialect, _limits(2400), 8, 1, both)


def _trade_stream(options: Mapping[str, str]) -> str:
    name = "XTRADER_BINANCE_FUTURES_TRADES"
    chosen = options.get(name, "").strip() or "aggTrade"
    if chosen not in ("aggTrade", "trade"):
        raise ConfigError(f"{name} must be aggTrade or trade, not {chosen!r}.")
    return chosen


class BinanceMarket:
    """See `venues.base.Market`."""

    def __init__(self, exchange: str, options: Mapping[str, str]) -> None:
        self._place = place(exchange, _trade_stream(options) if exchange == "BINANCE_FUTURES" else "aggTrade")
        ws_url = url_option(options, f"XTRADER_{exchange}_WS_URL", ("ws", "wss"))
        rest_url = url_option(options, f"XTRADER_{exchange}_REST_URL", ("http", "https"))
        self.exchange = exchange
        self.environment = "override" if ws_url or rest_url else "production"
        self.ws_url = ws_url or self._place.ws_url
        self.rest_url = rest_url or self._place.rest_url
        self.limits = self._place.limits
        depths = [depth for depth, _ in self._place.dialect.depths]
        self.depth_window = (
            f"snapshot of {depths[-1]} to {depths[0]} levels a side (`depth` of COVERAGE says which), then every change"
        )

    def catalogue(self, wanted: Sequence[str]) -> Sequence[Fetch]:
        """One request, whatever is wanted: the whole list costs no more than a part of it."""
        path = f"{self._place.dialect.rest_prefix}/exchangeInfo"
        return (Fetch("catalogue", "catalogue", path, weight=self._place.catalogue_weight),)

    def instruments(self, bodies: Sequence[bytes], now: int) -> Listed:
        """What of `/exchangeInfo` can be read, and what cannot. Raises ProtocolError if it is no catalogue at all."""
        rows: list[Raw] = []
        for body in bodies:
            try:
                rows += _exchange_info.decode(body).symbols
            except BAD as bad:
                raise ProtocolError(self.exchange, f"malformed catalogue: {bad}") from None
        return listed(rows, lambda row: _instrument(self.exchange, _symbol.decode(row), now), "symbol")

    def guess(self, text: str) -> Instrument | None:
        """By the shape of the name: letters and digits, futures with `_YYMMDD`, COIN-M perpetuals with `_PERP`."""
        name = text.strip().upper()
        body, _, tail = name.partition("_")
        if len(body) < 2 or not body.isalnum():
            return None
        if self.exchange == "BINANCE_COINM" and tail in ("", "PERP"):
            return Instrument(
                exchange=self.exchange, symbol=f"{body}_PERP", alias=body, kind="perpetual", is_inverse=True, source="rule"
            )
        if not tail and "_" not in name:
            kind = "spot" if self.exchange == "BINANCE_SPOT" else "perpetual"
            return Instrument(exchange=self.exchange, symbol=name, alias=name, kind=kind, contract_size=1.0, source="rule")
        expiry = _expiry(tail)
        if self.exchange == "BINANCE_SPOT" or expiry is None:
            return None
        is_inverse = self.exchange == "BINANCE_COINM"
        size = None if is_inverse else 1.0
        return Instrument(
            exchange=self.exchange,
            symbol=name,
            alias=name,
            kind="future",
            contract_size=size,
            is_inverse=is_inverse,
            expiry=expiry,
            source="rule",
        )

    def links(self, subscriptions: Sequence[Subscription]) -> list[Link]:
        """At most STREAMS_PER_LINK streams on each; USD-M aggregates are on connections of their own (the venue's routes)."""
        by_route: dict[str, list[Subscription]] = {}
        public, aggregates = self._place.routes
        for subscription in dict.fromkeys(subscriptions):
            is_aggregate = subscription.stream == "TRADES" and self._place.dialect.trade_stream == "aggTrade"
            by_route.setdefault(aggregates if is_aggregate else public, []).append(subscription)
        parts = [
            (route, tuple(wanted[at : at + STREAMS_PER_LINK]))
            for route, wanted in by_route.items()
            for at in range(0, len(wanted), STREAMS_PER_LINK)
        ]
        # Notices of contracts have the route of the aggregates.
        tellers = [n for n, (route, _) in enumerate(parts) if route == aggregates and self._place.dialect.is_futures]
        limits = ((self._place.sends, 1.0),)
        return [
            Link(self.exchange, f"{self.exchange}/{n}", self.ws_url + route, part, limits, LIFETIME, n in tellers[:1])
            for n, (route, part) in enumerate(parts)
        ]

    def session(self, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> BinanceSession:
        """A fresh session."""
        return BinanceSession(self._place.dialect, link, cause, resume)


class Filter(Struct):
    """One of a symbol's filters; a filter has the fields of its type only."""

    filterType: str
    tickSize: Raw = Raw()
    stepSize: Raw = Raw()
    minQty: Raw = Raw()


class Symbol(Struct):
    """A row of `/exchangeInfo` of all three markets."""

    symbol: str
    baseAsset: str
    quoteAsset: str
    marginAsset: str = ""
    pair: str = ""
    contractType: str = ""
    status: str = ""
    contractStatus: str = ""
    deliveryDate: Raw = Raw()
    contractSize: Raw = Raw()
    filters: list[Filter] = []


class ExchangeInfo(Struct):
    symbols: list[Raw]


_exchange_info = msgspec.json.Decoder(ExchangeInfo)
_symbol = msgspec.json.Decoder(Symbol, strict=False)


def _instrument(exchange: str, row: Symbol, now: int) -> Instrument:
    price = next((f for f in row.filters if f.filterType == "PRICE_FILTER"), None)
    lot = next((f for f in row.filters if f.filterType == "LOT_SIZE"), None)
    kind = _kind(exchange, row.contractType)
    is_inverse = exchange == "BINANCE_COINM"
    is_pair = kind == "perpetual" and is_inverse
    expiry = ns(row.deliveryDate)
    return Instrument(
        exchange=exchange,
        symbol=row.symbol,
        alias=row.pair or row.baseAsset + row.quoteAsset if is_pair else row.symbol,
        kind=kind,
        base=row.baseAsset,
        quote=row.quoteAsset,
        settle=row.marginAsset,
        tick_size=None if price is None else number(price.tickSize),
        lot_size=None if lot is None else number(lot.stepSize),
        min_size=None if lot is None else number(lot.minQty),
        contract_size=number(row.contractSize) if is_inverse else 1.0,
        contract_unit=row.quoteAsset if is_inverse else row.baseAsset,
        is_inverse=is_inverse,
        expiry=None if expiry == NEVER else expiry,
        status=row.status or row.contractStatus,
        ts=now,
    )


def _kind(exchange: str, contract_type: str) -> str:
    """By contractType: perpetuals (`TRADIFI_PERPETUAL`, `PERPETUAL_DELIVERING` too) and dated contracts of a month or quarter."""
    if exchange == "BINANCE_SPOT":
        return "spot"
    if "PERPETUAL" in contract_type:
        return "perpetual"
    return "future" if "MONTH" in contract_type or "QUARTER" in contract_type else "unknown"


def _expiry(tail: str) -> int | None:
    """`260925` -> 2026-09-25 08:00 UTC, the hour at which the venue delivers, int ns; None if it is no date."""
    try:
        day = datetime.strptime(tail, "%y%m%d").replace(hour=8, tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * 1_000_000_000
