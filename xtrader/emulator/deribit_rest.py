"""Emulated Deribit's public methods that are the same over HTTP and websocket. Its one rule: numbers are JSON numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Raw

from xtrader.emulator.listed_instruments import EXPIRY, Coin, ListedInstrument, Scale, Texts, coins
from xtrader.emulator.venue import Board, Stage

RESTING = 400
"""Orders a side that usually rest in a book."""
NEVER = 32_503_708_800_000
DEPTHS = (1, 5, 10, 20, 50, 100, 1000, 10_000)
KINDS = {"spot": "spot", "option": "option", "future": "future", "perpetual": "future"}


class Failed(Exception):
    """A JSON-RPC error: code, message, and what is said about it."""

    def __init__(self, code: int, message: str, **data: str) -> None:
        super().__init__(code, message)
        self.code, self.message, self.data = code, message, data


def listings(count: int) -> list[ListedInstrument]:
    """The first `count` instruments: perpetuals, options, spot, a future, then linear perpetuals."""
    day = f"{EXPIRY.day}{EXPIRY:%b%y}".upper()
    dollars = Scale(10, 0)
    first = [
        ListedInstrument("BTC-PERPETUAL", "perpetual", "BTC", "USD", "BTC", Scale(5, 1), dollars, 123_675, 300, "10", True),
        ListedInstrument("ETH-PERPETUAL", "perpetual", "ETH", "USD", "ETH", Scale(5, 2), Scale(1, 0), 53_676, 3000, "1", True),
        ListedInstrument(
            "BTC_USDC-PERPETUAL", "perpetual", "BTC", "USDC", "USDC", Scale(5, 1), Scale(1, 4), 123_672, 900, "0.0001"
        ),
        _option(f"BTC-{day}-60000-C", 60_000, "call", 140),
        _option(f"BTC-{day}-60000-P", 60_000, "put", 110),
        ListedInstrument("BTC_USDC", "spot", "BTC", "USDC", "USDC", Scale(1, 0), Scale(1, 4), 61_837, 900),
        ListedInstrument(f"BTC-{day}", "future", "BTC", "USD", "BTC", Scale(25, 1), dollars, 25_310, 300, "10", True),
    ]
    others = [_linear(coin) for coin in coins(count + 1)[1:]]
    return [*first, *others][:count]


def _linear(coin: Coin) -> ListedInstrument:
    tick, lot = Scale(1, coin.decimals), Scale(1, coin.size_decimals)
    symbol = f"{coin.name}_USDC-PERPETUAL"
    return ListedInstrument(symbol, "perpetual", coin.name, "USDC", "USDC", tick, lot, coin.price, 50, lot.text(1))


def _option(symbol: str, strike: int, option_type: str, price: int) -> ListedInstrument:
    return ListedInstrument(
        symbol, "option", "BTC", "BTC", "BTC", Scale(5, 4), Scale(1, 1), price, 80, "1", True, strike, option_type
    )


class DeribitBoard(Board):
    """One instrument: its last thousand trades as JSON, and what its contracts are."""

    def __init__(self, exchange: str, listing: ListedInstrument, stage: Stage) -> None:
        super().__init__(exchange, listing, stage, RESTING)
        self.contracts = Texts(_per_contract(listing))
        self.trades: deque[tuple[int, str]] = deque(maxlen=1000)
        """(trade_seq, JSON), oldest first."""
        self.traded = 0
        """The last price in ticks, 0 before the first trade."""
        self.direction = 1
        """tick_direction of the last trade."""
        self.shown: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """The levels that subscribers know, bids and asks: lots by price."""


def _per_contract(listing: ListedInstrument) -> Scale:
    """How many contracts a lot is."""
    lots_per_contract = float(listing.contract or 1) / float(listing.lot.text(1))
    return Scale(1, 0) if lots_per_contract <= 1 else Scale(1, len(str(round(lots_per_contract))) - 1)


class Methods:
    """The public methods by name; each takes the parameters and returns the result or raises Failed."""

    def __init__(self, boards: Mapping[str, DeribitBoard], stage: Stage) -> None:
        self._boards = boards
        self._stage = stage
        self.table: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "public/test": lambda params: {"version": "1.2.26"},
            "public/hello": lambda params: {"version": "1.2.26"},
            "public/get_time": lambda params: stage.ms(),
            "public/status": lambda params: {"locked": "false", "locked_indices": []},
            "public/get_instruments": self._instruments,
            "public/get_order_book": self._order_book,
            "public/get_last_trades_by_instrument": self._last_trades,
        }

    def _board(self, params: Mapping[str, Any]) -> DeribitBoard:
        name = params.get("instrument_name")
        board = self._boards.get(name) if isinstance(name, str) else None
        if board is None:
            raise Failed(-32602, "Invalid params", param="instrument_name", reason="wrong format")
        return board

    def _instruments(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        currency, kind = params.get("currency", "any"), params.get("kind", "any")
        if str(params.get("expired", "false")).lower() == "true":
            return []
        return [
            _row(board)
            for board in self._boards.values()
            if currency in ("any", board.listing.settle) and kind in ("any", KINDS[board.listing.kind])
        ]

    def _order_book(self, params: Mapping[str, Any]) -> dict[str, Any]:
        board = self._board(params)
        depth = _whole(params, "depth", 5)
        if depth not in DEPTHS:
            raise Failed(-32602, "Invalid params", param="depth", reason="invalid value")
        book = board.market.book
        bids, asks = (_numbers(board.texts(side.top(depth))) for side in (book.bids, book.asks))
        fair = fair_price(board)
        best_bid, best_ask = (bids or [[0.0, 0.0]])[0], (asks or [[0.0, 0.0]])[0]
        return {
            "timestamp": self._stage.ms(),
            "stats": {"volume_usd": 0.0, "volume": 0.0, "price_change": None, "low": None, "high": None},
            "state": "open",
            "settlement_price": fair,
            "open_interest": 0.0,
            "min_price": 0.0,
            "max_price": fair * 2,
            "mark_price": fair,
            "last_price": float(board.prices[board.traded]) if board.traded else None,
            "instrument_name": board.symbol,
            "index_price": fair,
            "estimated_delivery_price": fair,
            "change_id": board.sequence,
            "bids": bids,
            "best_bid_price": best_bid[0],
            "best_bid_amount": best_bid[1],
            "best_ask_price": best_ask[0],
            "best_ask_amount": best_ask[1],
            "asks": asks,
        }

    def _last_trades(self, params: Mapping[str, Any]) -> dict[str, Any]:
        board = self._board(params)
        count = _whole(params, "count", 10)
        if not 0 < count <= 1000:
            raise Failed(-32602, "Invalid params", param="count", reason="must be 1 to 1000")
        first, last = _whole(params, "start_seq", 0), _whole(params, "end_seq", 2**62)
        known = [text for number, text in board.trades if first <= number <= last]
        ascending = params.get("sorting", "asc" if "start_seq" in params else "desc") == "asc"
        chosen = known[:count] if ascending else known[: -1 - count : -1]
        return {"trades": [Raw(text.encode()) for text in chosen], "has_more": len(known) > count}


def fair_price(board: DeribitBoard) -> float:
    """A mark price: the fair price, written like a price."""
    return float(board.listing.tick.text(int(board.market.fair)))


def _numbers(levels: list[tuple[str, str]]) -> list[list[float]]:
    return [[float(price), float(size)] for price, size in levels]


def _whole(params: Mapping[str, Any], name: str, usual: int) -> int:
    try:
        return int(params.get(name, usual))
    except (TypeError, ValueError):
        raise Failed(-32602, "Invalid params", param=name, reason="must be an integer") from None


def state(board: DeribitBoard) -> str:
    """The state of an instrument."""
    return "halted" if board.is_halted else "open"


def _row(board: DeribitBoard) -> dict[str, Any]:
    listing, expiry = board.listing, board.expiry
    lot, tick = float(listing.lot.text(1)), float(listing.tick.text(1))
    row: dict[str, Any] = {
        "tick_size": tick,
        "tick_size_steps": [],
        "taker_commission": 0.0005,
        "settlement_currency": listing.settle,
        "quote_currency": listing.quote,
        "price_index": f"{listing.base}_{'usd' if listing.is_inverse else listing.quote}".lower(),
        "min_trade_amount": lot,
        "maker_commission": 0.0,
        "kind": KINDS[listing.kind],
        "is_active": True,
        "state": state(board),
        "instrument_type": "reversed" if listing.is_inverse else "linear",
        "instrument_name": listing.symbol,
        "instrument_id": sum(listing.symbol.encode()),
        "expiration_timestamp": NEVER if expiry is None else int(expiry.timestamp()) * 1000,
        "creation_timestamp": 1_534_242_287_000,
        "counter_currency": "USD" if listing.is_inverse else listing.quote,
        "contract_size": float(listing.contract or 1),
        "block_trade_commission": 0.0001,
        "base_currency": listing.base,
    }
    if listing.kind != "spot":
        row["settlement_period"] = "perpetual" if listing.kind == "perpetual" else "month"
    if listing.kind == "perpetual":
        row |= {"max_liquidation_commission": 0.005, "max_leverage": 100}
    if listing.kind == "option":
        row |= {"strike": float(listing.strike), "option_type": listing.option_type}
    return row
