"""A recorded session as traffic: hftbacktest's collector text of one USD-M symbol, `<local ns> <combined-stream JSON>`, gzip.

The rule: levels and trades are the recording's own. Only what chains messages is renumbered, so that the session can be repeated
until it is long enough; each recorded trade is served as an aggregate of one, which is what every contender can subscribe to.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import listings
from bench.frames import BOOK, TRADES, Traffic


@dataclass(frozen=True)
class Recording:
    """The depth snapshot, and the events that follow it."""

    snapshot: dict[str, Any]
    events: list[dict[str, Any]]

    def traffic(self, depths: int) -> Traffic:
        """As many depth messages with the trades between them, the session from its beginning as often as needed."""
        bids, asks = ({float(p): float(s) for p, s in self.snapshot[side]} for side in ("bids", "asks"))
        levels = len(bids) + len(asks)
        last = int(self.snapshot["lastUpdateId"])
        frames: list[tuple[str, bytes]] = []
        books = trades = 0
        while books < depths:
            for event in self.events:
                if books == depths:
                    break
                if event["e"] == "depthUpdate":
                    first, last = last, last + int(event["u"]) - int(event["U"]) + 1
                    data = event | {"U": first if not books else first + 1, "u": last, "pu": first}
                    frames.append((BOOK, _frame("depth@100ms", data)))
                    books += 1
                    levels += len(event["b"]) + len(event["a"])
                    for rows, book in ((event["b"], bids), (event["a"], asks)):
                        for price, size in rows:
                            if float(size):
                                book[float(price)] = float(size)
                            else:
                                book.pop(float(price), None)
                else:
                    trades += 1
                    number = {"e": "aggTrade", "a": trades, "f": trades, "l": trades}
                    data = {key: value for key, value in event.items() if key in ("E", "s", "p", "q", "T", "m")}
                    frames.append((TRADES, _frame("aggTrade", number | data)))
        return Traffic(
            name="Binance recorded",
            exchange="BINANCE_FUTURES",
            subscriptions="L2:BINANCE_FUTURES@BTCUSDT,TRADES:BINANCE_FUTURES@BTCUSDT",
            frames=frames,
            answers={"/fapi/v1/depth": json.dumps(self.snapshot).encode(), **listings.BINANCE},
            books=books + 1,
            trades=trades,
            levels=levels,
            bids=bids,
            asks=asks,
            snapshot_path="/fapi/v1/depth",
        )


def load(path: Path) -> Recording:
    """Read a recording: depth and market trades from its first snapshot on."""
    snapshot: dict[str, Any] | None = None
    events = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            said = json.loads(line.split(" ", 1)[1])
            if "lastUpdateId" in said:
                snapshot = snapshot or said
                continue
            data = said.get("data", said)
            if snapshot is None or data.get("s") != "BTCUSDT":
                continue
            if (data.get("e") == "depthUpdate" and data["u"] >= snapshot["lastUpdateId"]) or data.get("e") == "trade":
                events.append(data)
    if snapshot is None or not events:
        raise SystemExit(f"{path} holds no depth snapshot of a book with updates after it")
    return Recording(snapshot, events)


def _frame(kind: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"stream": f"btcusdt@{kind}", "data": data}, separators=(",", ":")).encode()
