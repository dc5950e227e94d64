"""The ceiling: the same socket and the same typed decode of the same frames, and nothing else.

Run by whole_path.py as a process of its own: `python -m bench.bare BASE_URL EXCHANGE ROUTE=FRAMES...`.
"""

from __future__ import annotations

import asyncio
import json
import sys

import msgspec
import uvloop

from xtrader.feed import link
from xtrader.venues.binance.wire import decode_envelope
from xtrader.venues.okx.wire import Frame


async def drain(base: str, route: str, frames: int, decode: object, hello: str) -> None:
    """Connect, subscribe, decode `frames` messages."""
    seen = 0
    done = asyncio.Event()

    def take(payload: memoryview, ts_recv: int) -> None:
        nonlocal seen
        seen += 1
        decode(payload)  # type: ignore[operator]
        if seen > frames:
            done.set()

    connection = await link.connect(base + route, take)
    await link.send(connection, hello)
    await done.wait()


async def main(base: str, exchange: str, routes: list[str]) -> None:
    """Drain all routes at once."""
    if exchange.startswith("OKX"):
        decode = msgspec.json.Decoder(Frame, strict=False).decode
        hello = json.dumps({"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT-SWAP"}]})
    else:
        decode = decode_envelope
        hello = json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1})

    def tolerant(payload: memoryview) -> None:
        # The acknowledgement is of another shape than the data.
        try:
            decode(payload)
        except ValueError:
            assert len(payload) < 200

    await asyncio.gather(
        *(drain(base, route, int(frames), tolerant, hello) for route, frames in (r.rsplit("=", 1) for r in routes))
    )


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
