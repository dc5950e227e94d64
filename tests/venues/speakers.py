"""Venues that say on demand what tests want to hear, in their own wire text, millions of times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from xtrader.venues.base import Fetch, Output, Send

Level = tuple[int, int]


class Speaker(Protocol):
    """A venue's wire text. `delta` leads from the state `previous` to the state `number`; levels are (price, size)."""

    exchange: str
    symbol: str
    counts: bool
    """One print may stand for several numbers."""

    def hello(self) -> list[bytes]: ...
    def delta(self, previous: int, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes: ...
    def snapshot(self, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes: ...
    def trade(self, first: int, last: int, ms: int) -> bytes: ...
    def asks_for_book(self, output: Output) -> bool: ...


class Binance:
    symbol = "BTCUSDT"
    counts = False

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self._futures = exchange != "BINANCE_SPOT"

    def hello(self) -> list[bytes]:
        return [b'{"result":null,"id":1}']

    def delta(self, previous: int, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes:
        more = f',"T":{ms},"pu":{previous}' if self._futures else ""
        ids = f'"E":{ms},"s":"BTCUSDT","U":{previous + 1},"u":{number}{more}'
        data = f'"e":"depthUpdate",{ids},{_texts("b", bids)},{_texts("a", asks)}'
        return f'{{"stream":"btcusdt@depth@100ms","data":{{{data}}}}}'.encode()

    def snapshot(self, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes:
        return f'{{"lastUpdateId":{number},{_texts("bids", bids)},{_texts("asks", asks)}}}'.encode()

    def trade(self, first: int, last: int, ms: int) -> bytes:
        if self._futures:
            data = f'"e":"aggTrade","E":{ms},"s":"BTCUSDT","a":{last},"p":"10","q":"1","f":{last},"l":{last},"T":{ms},"m":true'
            return f'{{"stream":"btcusdt@aggTrade","data":{{{data}}}}}'.encode()
        data = f'"e":"trade","E":{ms},"s":"BTCUSDT","t":{last},"p":"10","q":"1","T":{ms},"m":true'
        return f'{{"stream":"btcusdt@trade","data":{{{data}}}}}'.encode()

    def asks_for_book(self, output: Output) -> bool:
        return isinstance(output, Fetch)


class Okx:
    exchange = "OKX_SWAP"
    symbol = "BTC-USDT-SWAP"
    counts = True

    def hello(self) -> list[bytes]:
        return [
            f'{{"event":"subscribe","arg":{{"channel":"{channel}","instId":"{self.symbol}"}}}}'.encode()
            for channel in ("books", "trades")
        ]

    def delta(self, previous: int, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes:
        return self._book("update", previous, number, bids, asks, ms)

    def snapshot(self, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes:
        return self._book("snapshot", -1, number, bids, asks, ms)

    def _book(self, action: str, previous: int, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes:
        data = f'{_texts("bids", bids)},{_texts("asks", asks)},"ts":"{ms}","prevSeqId":{previous},"seqId":{number}'
        return f'{{"arg":{{"channel":"books","instId":"{self.symbol}"}},"action":"{action}","data":[{{{data}}}]}}'.encode()

    def trade(self, first: int, last: int, ms: int) -> bytes:
        data = f'"tradeId":"{last}","px":"10","sz":"1","side":"buy","ts":"{ms}","count":"{last - first + 1}"'
        return f'{{"arg":{{"channel":"trades","instId":"{self.symbol}"}},"data":[{{{data}}}]}}'.encode()

    def asks_for_book(self, output: Output) -> bool:
        return isinstance(output, Send) and '"op":"subscribe"' in output.payload and '"books"' in output.payload


class Deribit:
    exchange = "DERIBIT"
    symbol = "BTC-PERPETUAL"
    counts = False

    def hello(self) -> list[bytes]:
        return [f'{{"id":"subscribe-2","result":["book.{self.symbol}.100ms","trades.{self.symbol}.100ms"]}}'.encode()]

    def delta(self, previous: int, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes:
        return self._book(f'"type":"change","prev_change_id":{previous}', number, bids, asks, ms)

    def snapshot(self, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes:
        return self._book('"type":"snapshot"', number, bids, asks, ms)

    def _book(self, kind: str, number: int, bids: Iterable[Level], asks: Iterable[Level], ms: int) -> bytes:
        sides = [",".join(f'["{"change" if s else "delete"}",{p},{s}]' for p, s in side) for side in (bids, asks)]
        data = f'{{"timestamp":{ms},"change_id":{number},{kind},"bids":[{sides[0]}],"asks":[{sides[1]}]}}'
        return self._said("book", data)

    def trade(self, first: int, last: int, ms: int) -> bytes:
        data = f'"trade_seq":{last},"trade_id":"{last}","timestamp":{ms},"price":10,"amount":1,"direction":"buy"'
        return self._said("trades", f"[{{{data}}}]")

    def _said(self, kind: str, data: str) -> bytes:
        channel = f"{kind}.{self.symbol}.100ms"
        return f'{{"method":"subscription","params":{{"channel":"{channel}","data":{data}}}}}'.encode()

    def asks_for_book(self, output: Output) -> bool:
        return isinstance(output, Send) and '"public/subscribe"' in output.payload and '"book.' in output.payload


def _texts(name: str, levels: Iterable[Level]) -> str:
    return f'"{name}":[{",".join(f"""["{price}","{size}"]""" for price, size in levels)}]'


SPEAKERS: dict[str, Speaker] = {
    "BINANCE_SPOT": Binance("BINANCE_SPOT"),
    "BINANCE_FUTURES": Binance("BINANCE_FUTURES"),
    "OKX_SWAP": Okx(),
    "DERIBIT": Deribit(),
}
