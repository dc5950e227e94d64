"""DeribitMarket: where Deribit is, what it lists, and how its connections are cut up. One rule: testnet unless told otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from xtrader.errors import ConfigError, ProtocolError
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Limits, Link, Listed
from xtrader.venues.deribit.login import Login
from xtrader.venues.deribit.session import DeribitSession
from xtrader.venues.machine.options import flag_option, url_option
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD, listed, ns, number

HOSTS = {"production": "www.deribit.com", "testnet": "test.deribit.com"}
WS_PATH = "/ws/api/v2"
INSTRUMENTS = "/api/v2/public/get_instruments"
CHANNELS_PER_LINK = 400
"""The venue names no limit; this keeps one connection's loss small."""
SEND_LIMITS = ((3, 1.0),)
"""A subscribe request costs 3,000 of 30,000 credits, of which 10,000 come back each second."""

NEVER = 32_503_708_800_000_000_000
"""The expiry, int ns, of what does not expire: it does not fit 64 bits."""

PERPETUAL = re.compile(r"([A-Z0-9]+?)(?:_([A-Z0-9]+))?-PERPETUAL")
DATED = re.compile(r"([A-Z0-9]+?)(?:_([A-Z0-9]+))?-\d{1,2}[A-Z]{3}\d{2}")
OPTION = re.compile(r"([A-Z0-9]+?)(?:_([A-Z0-9]+))?-\d{1,2}[A-Z]{3}\d{2}-[0-9D]+-([CP])")
COMBO = re.compile(r"([A-Z0-9]+?)(?:_([A-Z0-9]+))?-[A-Z][A-Z0-9]*-\d{1,2}[A-Z]{3}\d{2}(?:[-_][A-Z0-9]+)*")
SPOT = re.compile(r"([A-Z0-9]+)_([A-Z0-9]+)")
ALIAS = re.compile(r"([A-Z0-9]{2,})(USDC|USD)")
DECIMAL = re.compile(r"(?<=\d)D(?=\d)")
"""The decimal point of a strike, the one letter that the venue writes small: `0d625`."""
SHAPES = {"perpetual": PERPETUAL, "future": DATED, "option": OPTION, "combo": COMBO, "spot": SPOT}


class DeribitInstrument(msgspec.Struct):
    """One instrument in the venue's words."""

    instrument_name: str
    kind: str = ""
    base_currency: str = ""
    quote_currency: str = ""
    counter_currency: str = ""
    settlement_currency: str = ""
    settlement_period: str = ""
    instrument_type: str = ""
    future_type: str = ""
    tick_size: msgspec.Raw = msgspec.Raw()
    min_trade_amount: msgspec.Raw = msgspec.Raw()
    expiration_timestamp: msgspec.Raw = msgspec.Raw()
    strike: msgspec.Raw = msgspec.Raw()
    option_type: str = ""
    is_active: bool = True
    state: str = ""


class DeribitCatalogue(msgspec.Struct):
    result: list[msgspec.Raw]


class DeribitMarket:
    """See venues/base.py (Market) for what the methods return."""

    exchange = "DERIBIT"
    limits = Limits(rest_weight=10, rest_seconds=1.0, connects=4, connect_seconds=1.0)
    depth_window = "snapshot of all levels, then every change"

    def __init__(self, exchange: str, options: Mapping[str, str]) -> None:
        ws = url_option(options, f"XTRADER_{exchange}_WS_URL", ("ws", "wss"))
        rest = url_option(options, f"XTRADER_{exchange}_REST_URL", ("http", "https"))
        network = "testnet" if flag_option(options, "DERIBIT_USE_TESTNET", True) else "production"
        self.environment = "override" if ws or rest else network
        self.ws_url = (ws or f"wss://{HOSTS[network]}") + WS_PATH
        self.rest_url = rest or f"https://{HOSTS[network]}"
        self._login = _login(options, self.environment)

    def catalogue(self, wanted: Sequence[str]) -> list[Fetch]:
        """One request for everything that is listed now."""
        return [Fetch("catalogue", "catalogue", INSTRUMENTS, (("currency", "any"), ("expired", "false")), weight=5)]

    def instruments(self, bodies: Sequence[bytes], now: int) -> Listed:
        """The instruments in the bodies, each once, and what is said of the rows that are none."""
        rows: list[msgspec.Raw] = []
        for body in bodies:
            try:
                rows += msgspec.json.decode(body, type=DeribitCatalogue).result
            except BAD as error:
                raise ProtocolError(self.exchange, f"the instrument catalogue cannot be read: {error}") from error
        return listed(rows, lambda row: _instrument(msgspec.json.decode(row, type=DeribitInstrument), now), "instrument_name")

    def guess(self, text: str) -> Instrument | None:
        """By name alone, in any case: `BTC-PERPETUAL` as it stands, `BTCUSD` and `BTCUSDC` as the perpetuals they mean."""
        name = text.strip().upper()
        alias = ALIAS.fullmatch(name)
        if alias is not None:
            base, quote = alias.groups()
            name = f"{base}-PERPETUAL" if quote == "USD" else f"{base}_{quote}-PERPETUAL"
        for kind, shape in SHAPES.items():
            match = shape.fullmatch(name)
            if match is not None:
                base, quote = match[1], match[2] or (match[1] if kind == "option" else "USD")
                head, dash, tail = name.partition("-")
                symbol = head + dash + DECIMAL.sub("d", tail)
                called = f"{base}{quote}" if kind == "perpetual" else symbol
                return Instrument(
                    exchange=self.exchange, symbol=symbol, alias=called, kind=kind, base=base, quote=quote, source="rule"
                )
        return None

    def links(self, subscriptions: Sequence[Subscription]) -> list[Link]:
        """The subscriptions in their order, so many on a connection."""
        wanted = list(dict.fromkeys(subscriptions))
        return [
            Link(
                self.exchange,
                f"{self.exchange}/{n}",
                self.ws_url,
                tuple(wanted[n * CHANNELS_PER_LINK : (n + 1) * CHANNELS_PER_LINK]),
                SEND_LIMITS,
                notices=n == 0,
            )
            for n in range(-(-len(wanted) // CHANNELS_PER_LINK))
        ]

    def session(self, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> DeribitSession:
        """A fresh conversation."""
        return DeribitSession(link, cause, resume, self._login)


def _login(options: Mapping[str, str], environment: str) -> Login | None:
    client_id = options.get("DERIBIT_CLIENT_ID", "").strip()
    secret = options.get("DERIBIT_CLIENT_SECRET", "").strip()
    if client_id and not secret:
        raise ConfigError("DERIBIT_CLIENT_ID is set, but DERIBIT_CLIENT_SECRET is not")
    if secret and not client_id:
        raise ConfigError("DERIBIT_CLIENT_SECRET is set, but DERIBIT_CLIENT_ID is not")
    return Login(client_id, secret, environment) if client_id else None


def _instrument(row: DeribitInstrument, now: int) -> Instrument:
    """Sizes are `amount`s: USD for inverse futures, else the base coin, so one unit is worth 1 of that (not `contract_size`)."""
    kind = _kind(row)
    is_inverse = _is_inverse(row, kind)
    quote = row.quote_currency or row.counter_currency
    expiry = ns(row.expiration_timestamp)
    lot = number(row.min_trade_amount)
    return Instrument(
        exchange="DERIBIT",
        symbol=row.instrument_name,
        alias=f"{row.base_currency}{quote}" if kind == "perpetual" else row.instrument_name,
        kind=kind,
        base=row.base_currency,
        quote=quote,
        settle=row.settlement_currency,
        tick_size=number(row.tick_size),
        lot_size=lot,
        min_size=lot,
        contract_size=1.0,
        contract_unit="USD" if is_inverse and row.kind.startswith("future") else row.base_currency,
        is_inverse=is_inverse,
        expiry=None if expiry == NEVER else expiry,
        strike=number(row.strike),
        option_type=row.option_type,
        status=row.state or ("open" if row.is_active else "inactive"),
        ts=now,
    )


def _is_inverse(row: DeribitInstrument, kind: str) -> bool:
    """True for what is settled in its base coin; older catalogues do not say so, but their quotes do."""
    stated = row.instrument_type or row.future_type
    if stated:
        return stated == "reversed"
    if kind == "option":
        return row.quote_currency == row.base_currency
    return kind in ("perpetual", "future", "combo") and row.quote_currency == "USD"


def _kind(row: DeribitInstrument) -> str:
    if row.kind == "future":
        never = not row.settlement_period and ns(row.expiration_timestamp) == NEVER
        return "perpetual" if never or row.settlement_period == "perpetual" else "future"
    if row.kind in ("option", "spot"):
        return row.kind
    return "combo" if row.kind.endswith("_combo") else "unknown"
