"""The REST half of emulated Binance: depth, trades, catalogue, weights. Its one rule: every answer states the weight used."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from xtrader.emulator.agents import Fill, Print
from xtrader.emulator.listed_instruments import ListedInstrument
from xtrader.emulator.truth import SnapshotEvent
from xtrader.emulator.venue import Board, HttpAnswer, Stage

PREFIXES = {"BINANCE_SPOT": "/api/v3/", "BINANCE_FUTURES": "/fapi/v1/", "BINANCE_COINM": "/dapi/v1/"}
WEIGHT_LIMITS = {"BINANCE_SPOT": 6000, "BINANCE_FUTURES": 2400, "BINANCE_COINM": 2400}
MINUTE = 60_000
"""Milliseconds in which that much may be spent."""
SPOT_DEPTHS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
FUTURES_DEPTHS = ((50, 2), (100, 5), (500, 10), (1000, 20))
FUTURES_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
BANNED_AT = 1.5
"""A client that asks on after 429 is banned (418) for the rest of the minute once it has used so many times the limit."""
RESTING = 600
"""Orders a side that usually rest in a book."""


class RequestRefused(Exception):
    """An error answer: HTTP status, the venue's code and words."""

    def __init__(self, status: int, code: int, words: str) -> None:
        super().__init__(status, code, words)
        self.status, self.code, self.words = status, code, words


class BinanceBoard(Board):
    """One symbol: its stream names, the ids of the coming depth event, and its last thousand trades."""

    def __init__(self, exchange: str, listing: ListedInstrument, stage: Stage) -> None:
        super().__init__(exchange, listing, stage, RESTING)
        self.stream = listing.symbol.lower()
        self.depth_streams = tuple(f"{self.stream}@{name}" for name in ("depth@100ms", "depth", "depth@500ms", "depth@0ms"))
        self.pair = listing.symbol.partition("_")[0]
        self.contract_type = 2 if listing.is_inverse else 1
        self.first_id = 0
        self.id_step = 1
        self.aggregate = 3_000_000
        self.voids = 0
        """Ids that went to no print so far."""
        self.fills: deque[tuple[Fill, int]] = deque(maxlen=1000)
        self.aggregates: deque[tuple[int, Print, int]] = deque(maxlen=1000)

    def id_after(self, touches: int) -> int:
        """The update id after so many changes of the coming event."""
        return self.first_id + (touches - 1) * self.id_step if touches else self.sequence


class BinanceRest:
    """Answers GETs for one Binance market."""

    def __init__(self, exchange: str, boards: Mapping[str, BinanceBoard], stage: Stage) -> None:
        self._exchange = exchange
        self._spot = exchange == "BINANCE_SPOT"
        self._boards = boards
        self._stage = stage
        self._used: Counter[int] = Counter()
        self._prefix = PREFIXES[exchange]
        self._routes: dict[str, Callable[[Mapping[str, str]], tuple[int, Any]]] = {
            "ping": lambda query: (1, {}),
            "time": lambda query: (1, {"serverTime": stage.ms()}),
            "exchangeInfo": self._catalogue,
            "depth": self._depth,
            "trades": self._trades,
            "aggTrades": self._aggregates,
        }

    def answer(self, path: str, query: Mapping[str, str]) -> HttpAnswer:
        """The answer to one GET; 429 with Retry-After once the minute's weight is used up."""
        route = self._routes.get(path.removeprefix(self._prefix)) if path.startswith(self._prefix) else None
        if route is None:
            return HttpAnswer(b"<html><body>404 Not found</body></html>", 404)
        try:
            weight, result = route(query)
        except RequestRefused as refused:
            return self._spend(1, HttpAnswer(_error(refused.code, refused.words), refused.status))
        return self._spend(weight, HttpAnswer(msgspec.json.encode(result)))

    def _spend(self, weight: int, answer: HttpAnswer) -> HttpAnswer:
        minute, rest = divmod(self._stage.ms(), MINUTE)
        if minute not in self._used:
            self._used.clear()
        self._used[minute] += weight
        headers: tuple[tuple[str, str], ...] = (("X-MBX-USED-WEIGHT-1M", str(self._used[minute])),)
        limit = WEIGHT_LIMITS[self._exchange]
        if self._used[minute] <= limit:
            return HttpAnswer(answer.body, answer.status, headers)
        if self._used[minute] > BANNED_AT * limit:
            words = "Way too many requests; IP banned until then. Please use the websocket for live updates to avoid bans."
            return HttpAnswer(_error(-1003, words), 418, (*headers, ("Retry-After", "120")))
        words = f"Too many requests; current limit of IP is {limit} requests per minute."
        return HttpAnswer(_error(-1003, words), 429, (*headers, ("Retry-After", str(-(-(MINUTE - rest) // 1000)))))

    def _board(self, query: Mapping[str, str]) -> BinanceBoard:
        symbol = query.get("symbol")
        if not symbol:
            raise RequestRefused(400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol not in self._boards:
            raise RequestRefused(400, -1121, "Invalid symbol.")
        return self._boards[symbol]

    def _depth(self, query: Mapping[str, str]) -> tuple[int, Any]:
        """The book between two depth events, so that its id lies inside the coming event's range."""
        board = self._board(query)
        limit = _count(query, 100 if self._spot else 500, 5000 if self._spot else 1000)
        if not self._spot and limit not in FUTURES_LIMITS:
            raise RequestRefused(400, -4021, f"{limit} is not valid depth limit.")
        weight = next(weight for most, weight in (SPOT_DEPTHS if self._spot else FUTURES_DEPTHS) if limit <= most)
        if self._stage.interval:
            board.market.begin()
        book = board.market.book
        number = board.id_after(book.touches)
        levels = {"bids": board.texts(book.bids.top(limit)), "asks": board.texts(book.asks.top(limit))}
        ts = self._stage.ms()
        if self._stage.truth is not None:
            self._stage.truth.add(SnapshotEvent(self._exchange, board.symbol, number, ts, **levels))
        if self._spot:
            return weight, {"lastUpdateId": number, **levels}
        times = {"E": ts, "T": ts - 1}
        if self._exchange == "BINANCE_COINM":
            return weight, {"lastUpdateId": number, **times, "symbol": board.symbol, "pair": board.pair, **levels}
        return weight, {"lastUpdateId": number, **times, **levels}

    def _trades(self, query: Mapping[str, str]) -> tuple[int, Any]:
        board = self._board(query)
        limit = _count(query, 500, 1000)
        rows = []
        for fill, at in list(board.fills)[-limit:]:
            price, size = board.prices[fill.price], board.sizes[fill.lots]
            quote = f"{float(price) * float(size):.8f}" if self._spot else f"{float(price) * float(size):.2f}"
            row = {"id": fill.number, "price": price, "qty": size, "quoteQty": quote, "time": at, "isBuyerMaker": not fill.is_buy}
            rows.append({**row, "isBestMatch": True} if self._spot else {**row, "isRPITrade": False})
        return (25 if self._spot else 5), rows

    def _aggregates(self, query: Mapping[str, str]) -> tuple[int, Any]:
        board = self._board(query)
        limit = _count(query, 500, 1000)
        known = list(board.aggregates)
        if "fromId" in query:
            known = [row for row in known if row[0] >= int(query["fromId"])][:limit]
        rows = []
        for number, row, at in known[-limit:]:
            price, size = board.prices[row.price], board.sizes[row.lots]
            data = {"a": number, "p": price, "q": size, "f": row.first, "l": row.last, "T": at, "m": not row.is_buy}
            rows.append({**data, "M": True} if self._spot else {**data, "nq": size})
        return (4 if self._spot else 20), rows

    def _catalogue(self, query: Mapping[str, str]) -> tuple[int, Any]:
        boards = [self._board(query)] if "symbol" in query else self._boards.values()
        row = _spot_row if self._spot else _futures_row
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_LIMITS[self._exchange]},
        ]
        own = {"futuresType": "U_MARGINED", "assets": []} if self._exchange == "BINANCE_FUTURES" else {}
        return (20 if self._spot else 1), {
            "timezone": "UTC",
            "serverTime": self._stage.ms(),
            **own,
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [row(board) for board in boards],
        }


def _error(code: int, words: str) -> bytes:
    return msgspec.json.encode({"code": code, "msg": words})


def _count(query: Mapping[str, str], usual: int, most: int) -> int:
    text = query.get("limit", str(usual))
    if not text.isdecimal() or int(text) == 0:
        raise RequestRefused(400, -1100, "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.")
    return min(int(text), most)


def _filters(board: BinanceBoard) -> list[dict[str, Any]]:
    step, tick = board.sizes[1], board.listing.tick.text(1)
    size = {"stepSize": step, "maxQty": board.sizes[10**7], "minQty": step}
    return [
        {"minPrice": tick, "maxPrice": board.prices[10**8], "filterType": "PRICE_FILTER", "tickSize": tick},
        {"filterType": "LOT_SIZE", **size},
        {"filterType": "MARKET_LOT_SIZE", **size},
    ]


def contract_status(board: BinanceBoard) -> str:
    """The status of a contract."""
    return "SETTLING" if board.is_halted else "TRADING"


def delivery(board: BinanceBoard) -> int:
    """When a contract is delivered, milliseconds UTC; the year 2100 stands for never."""
    return 4_133_404_800_000 if board.expiry is None else int(board.expiry.timestamp()) * 1000


def _spot_row(board: BinanceBoard) -> dict[str, Any]:
    listing = board.listing
    return {
        "symbol": listing.symbol,
        "status": "BREAK" if board.is_halted else "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [*_filters(board), {"filterType": "NOTIONAL", "minNotional": "5.00000000"}],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _futures_row(board: BinanceBoard) -> dict[str, Any]:
    """A USD-M or COIN-M row: COIN-M says `contractStatus` instead of `status`, and has a `contractSize`."""
    listing = board.listing
    status = contract_status(board)
    own: dict[str, Any] = {"status": status}
    if listing.is_inverse:
        own = {"contractStatus": status, "contractSize": int(listing.contract), "equalQtyPrecision": 4}
    return {
        "symbol": listing.symbol,
        "pair": board.pair,
        "contractType": "PERPETUAL",
        "deliveryDate": delivery(board),
        "onboardDate": 1_569_398_400_000,
        **own,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.settle,
        "pricePrecision": listing.tick.places,
        "quantityPrecision": listing.lot.decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012000",
        "marketTakeBound": "0.30",
        "filters": [
            *_filters(board),
            {"limit": 200, "filterType": "MAX_NUM_ORDERS"},
            {"limit": 10, "filterType": "MAX_NUM_ALGO_ORDERS"},
            {"notional": "5", "filterType": "MIN_NOTIONAL"},
            {"multiplierDown": "0.8500", "multiplierUp": "1.1500", "multiplierDecimal": "4", "filterType": "PERCENT_PRICE"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
