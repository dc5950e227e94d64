"""OkxMarket: where OKX is, what it lists, and how its connections are cut up. One rule: a name tells what it is
only where no row of the catalogue does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import nan

import msgspec

from xtrader.errors import ProtocolError
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Limits, Link, Listed
from xtrader.venues.machine.options import url_option
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.machine.wire import BAD, listed, ns, number
from xtrader.venues.okx.session import BOOK_DEPTH, OkxSession

WS_URL = "wss://ws.okx.com"
WS_PATH = "/ws/v5/public"
REST_URL = "https://www.okx.com"
INSTRUMENTS = "/api/v5/public/instruments"
BOOKS_PER_LINK = 28
"""The venue recommends fewer than 30."""
TRADES_PER_LINK = 100
SEND_LIMITS = ((60, 1.0), (480, 3600.0))
"""Three requests of 20 channels a second; the venue's 480 requests an hour, counted as if each channel were one."""
ALWAYS_LISTED = ("BTC-USD", "ETH-USD")
"""The option families that are asked for whatever is wanted, so that near matches can be offered."""

TYPES = {"OKX_SPOT": "SPOT", "OKX_SWAP": "SWAP", "OKX_FUTURES": "FUTURES", "OKX_OPTION": "OPTION"}
KINDS = {"OKX_SPOT": "spot", "OKX_SWAP": "perpetual", "OKX_FUTURES": "future", "OKX_OPTION": "option"}
SHAPES = {
    "OKX_SPOT": re.compile(r"([A-Z0-9]+)-([A-Z0-9]+)()"),
    "OKX_SWAP": re.compile(r"([A-Z0-9]+)-([A-Z0-9_]+)-(SWAP)"),
    "OKX_FUTURES": re.compile(r"([A-Z0-9]+)-([A-Z0-9_]+)-(\d{6})"),
    "OKX_OPTION": re.compile(r"([A-Z0-9]+)-([A-Z0-9_]+)-(\d{6}-[0-9.]+-[CP])"),
}
ALIASES = {
    "OKX_SPOT": re.compile(r"([A-Z0-9]+)()"),
    "OKX_SWAP": re.compile(r"([A-Z0-9_]+)()"),
    "OKX_FUTURES": re.compile(r"([A-Z0-9_]+?)(\d{6})"),
    "OKX_OPTION": re.compile(r"([A-Z0-9_]+?)(\d{6}[0-9.]+[CP])"),
}
QUOTES = ("USD_UM", "USDT", "USDC", "USDG", "USD", "EUR", "BTC", "ETH", "OKB")
"""What an alias may end in; longer names first, so that BTCUSDT is not taken for BTCUSD and a T."""


def exchange_of(symbol: str) -> str:
    """The exchange token of an OKX instrument id, by its shape; empty if it has none of them."""
    for exchange, shape in SHAPES.items():
        if shape.fullmatch(symbol):
            return exchange
    return ""


class OkxInstrument(msgspec.Struct):
    """One instrument in the venue's words; everything is text, empty where it does not apply."""

    instId: str
    instType: str = ""
    uly: str = ""
    baseCcy: str = ""
    quoteCcy: str = ""
    settleCcy: str = ""
    tickSz: msgspec.Raw = msgspec.Raw()
    lotSz: msgspec.Raw = msgspec.Raw()
    minSz: msgspec.Raw = msgspec.Raw()
    ctVal: msgspec.Raw = msgspec.Raw()
    ctMult: msgspec.Raw = msgspec.Raw()
    ctValCcy: str = ""
    ctType: str = ""
    expTime: msgspec.Raw = msgspec.Raw()
    stk: msgspec.Raw = msgspec.Raw()
    optType: str = ""
    state: str = ""


class OkxCatalogue(msgspec.Struct):
    code: str
    data: list[msgspec.Raw] = []
    msg: str = ""


class OkxMarket:
    """One OKX exchange token. See venues/base.py (Market) for what the methods return."""

    limits = Limits(rest_weight=20, rest_seconds=2.0, connects=3, connect_seconds=1.0)
    depth_window = (
        f"snapshot of up to {BOOK_DEPTH} levels a side, then every change; levels that leave the best 400 are removed by the venue"
    )

    def __init__(self, exchange: str, options: Mapping[str, str]) -> None:
        ws = url_option(options, f"XTRADER_{exchange}_WS_URL", ("ws", "wss"))
        rest = url_option(options, f"XTRADER_{exchange}_REST_URL", ("http", "https"))
        self.exchange = exchange
        self.environment = "override" if ws or rest else "production"
        self.ws_url = (ws or WS_URL) + WS_PATH
        self.rest_url = rest or REST_URL

    def catalogue(self, wanted: Sequence[str]) -> list[Fetch]:
        """One request; for options one per family that `wanted` names, and the main ones."""
        kind = ("instType", TYPES[self.exchange])
        if self.exchange != "OKX_OPTION":
            return [Fetch("catalogue", "catalogue", INSTRUMENTS, (kind,))]
        families = set(ALWAYS_LISTED)
        for text in wanted:
            known = self.guess(text)
            if known is not None:
                families.add(f"{known.base}-{known.quote}")
        return [Fetch("catalogue", "catalogue", INSTRUMENTS, (kind, ("instFamily", family))) for family in sorted(families)]

    def instruments(self, bodies: Sequence[bytes], now: int) -> Listed:
        """The instruments in the bodies, each once. Rows that are none, or whose name has another shape, are said."""
        rows: list[msgspec.Raw] = []
        for body in bodies:
            try:
                listing = msgspec.json.decode(body, type=OkxCatalogue)
            except BAD as error:
                raise ProtocolError(self.exchange, f"the instrument catalogue cannot be read: {error}") from error
            if listing.code != "0":
                raise ProtocolError(self.exchange, f"the instrument catalogue was refused: {listing.code} {listing.msg[:200]}")
            rows += listing.data
        return listed(rows, lambda row: self._instrument(msgspec.json.decode(row, type=OkxInstrument), now), "instId")

    def guess(self, text: str) -> Instrument | None:
        """By name alone: `BTC-USDT-SWAP` as it stands, `BTCUSDT` by the quotes that are known."""
        symbol = text.strip().upper()
        if "-" not in symbol:
            symbol = self._symbol_of_alias(symbol)
        shape = SHAPES[self.exchange].fullmatch(symbol)
        if shape is None:
            return None
        base, quote, _ = shape.groups()
        kind = KINDS[self.exchange]
        return Instrument(
            exchange=self.exchange, symbol=symbol, alias=self._alias(symbol), kind=kind, base=base, quote=quote, source="rule"
        )

    def links(self, subscriptions: Sequence[Subscription]) -> list[Link]:
        """Books and trades spread evenly over as few connections as the limits allow."""
        wanted = list(dict.fromkeys(subscriptions))
        books = [subscription for subscription in wanted if subscription.stream == "L2"]
        trades = [subscription for subscription in wanted if subscription.stream != "L2"]
        count = max(-(-len(books) // BOOKS_PER_LINK), -(-len(trades) // TRADES_PER_LINK))
        return [
            Link(
                self.exchange,
                f"{self.exchange}/{n}",
                self.ws_url,
                (*books[n::count], *trades[n::count]),
                SEND_LIMITS,
                notices=n == 0,
            )
            for n in range(count)
        ]

    def session(self, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> OkxSession:
        """A fresh conversation."""
        return OkxSession(link, cause, resume)

    def _alias(self, symbol: str) -> str:
        return symbol.removesuffix("-SWAP").replace("-", "")

    def _symbol_of_alias(self, alias: str) -> str:
        shape = ALIASES[self.exchange].fullmatch(alias)
        if shape is None:
            return ""
        pair, rest = shape.groups()
        quote = next((quote for quote in QUOTES if pair.endswith(quote) and len(pair) > len(quote)), "")
        if not quote:
            return ""
        symbol = f"{pair.removesuffix(quote)}-{quote}"
        if self.exchange == "OKX_SWAP":
            return f"{symbol}-SWAP"
        if self.exchange == "OKX_FUTURES":
            return f"{symbol}-{rest}"
        if self.exchange == "OKX_OPTION":
            return f"{symbol}-{rest[:6]}-{rest[6:-1]}-{rest[-1]}"
        return symbol

    def _instrument(self, row: OkxInstrument, now: int) -> Instrument | None:
        if row.instType not in ("", TYPES[self.exchange]):
            return None
        base, quote = self._currencies(row)
        spot = self.exchange == "OKX_SPOT"
        return Instrument(
            exchange=self.exchange,
            symbol=row.instId,
            alias=self._alias(row.instId),
            kind=KINDS[self.exchange],
            base=base,
            quote=quote,
            settle=row.settleCcy,
            tick_size=number(row.tickSz),
            lot_size=number(row.lotSz),
            min_size=number(row.minSz),
            contract_size=1.0 if spot else _product(number(row.ctVal), number(row.ctMult)),
            contract_unit=base if spot else row.ctValCcy,
            is_inverse=row.ctType == "inverse",
            expiry=ns(row.expTime),
            strike=number(row.stk),
            option_type={"C": "call", "P": "put"}.get(row.optType, ""),
            status=row.state,
            ts=now,
        )

    def _currencies(self, row: OkxInstrument) -> tuple[str, str]:
        """Base and quote. Spot says them; of the others the index (`BTC-USDT`) or what they are counted and settled in tells them,
        and the name where an old row says none of it."""
        index = row.uly.split("-")
        if row.baseCcy and row.quoteCcy:
            return row.baseCcy, row.quoteCcy
        if len(index) == 2:
            return index[0], index[1]
        if row.ctType and row.ctValCcy and row.settleCcy:
            return (row.settleCcy, row.ctValCcy) if row.ctType == "inverse" else (row.ctValCcy, row.settleCcy)
        shape = SHAPES[self.exchange].fullmatch(row.instId)
        return ("", "") if shape is None else (shape[1], shape[2])


def _product(value: float | None, multiplier: float | None) -> float | None:
    """Contract value times multiplier, multiplied as decimals; None where the venue gives none, NaN where it cannot be told."""
    if value is None:
        return None
    try:
        return float(Decimal(repr(value)) * Decimal(repr(1.0 if multiplier is None else multiplier)))
    except ArithmeticError:
        return nan
