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
        replay = _Replay(self.snapshot)
        while replay.books < depths:
            if replay.books:
                replay.back_to(self.snapshot)
            for event in self.events:
                if replay.books == depths:
                    break
                if event["e"] == "depthUpdate":
                    replay.depth(event)
                else:
                    replay.trade(event)
        return Traffic(
            name="Binance recorded",
            exchange="BINANCE_FUTURES",
            subscriptions="L2:BINANCE_FUTURES@BTCUSDT,TRADES:BINANCE_FUTURES@BTCUSDT",
            frames=replay.frames,
            answers={"/fapi/v1/depth": json.dumps(self.snapshot).encode(), **listings.BINANCE},
            books=replay.books + 1,
            trades=replay.trades,
            levels=replay.levels,
            bids=replay.sides["b"],
            asks=replay.sides["a"],
            snapshot_path="/fapi/v1/depth",
        )


class _Replay:
    """Renumbered events as frames, and the book that they make."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.frames: list[tuple[str, bytes]] = []
        self.sides = {"b": _sizes(snapshot["bids"]), "a": _sizes(snapshot["asks"])}
        self.levels = sum(map(len, self.sides.values()))
        self.last = int(snapshot["lastUpdateId"])
        self.books = self.trades = 0
        self.latest: dict[str, Any] = {}

    def depth(self, event: dict[str, Any]) -> None:
        """One depth message, in the chain."""
        first, self.last = self.last, self.last + max(int(event["u"]) - int(event["U"]), 0) + 1
        self.latest = event | {"U": first + (self.books > 0), "u": self.last, "pu": first}
        self.frames.append((BOOK, _frame("depth@100ms", self.latest)))
        self.books += 1
        for side, book in self.sides.items():
            self.levels += len(event[side])
            for price, size in _sizes(event[side], zeros=True).items():
                if size:
                    book[price] = size
                else:
                    book.pop(price, None)

    def back_to(self, snapshot: dict[str, Any]) -> None:
        """One depth message that sets the book back to where the session began, so that it never crosses."""
        changes = {}
        for side, name in (("b", "bids"), ("a", "asks")):
            gone = self.sides[side].keys() - _sizes(snapshot[name]).keys()
            changes[side] = [[f"{price:.2f}", "0.000"] for price in sorted(gone)] + snapshot[name]
        self.depth(self.latest | changes)

    def trade(self, event: dict[str, Any]) -> None:
        """One trade as an aggregate of one."""
        self.trades += 1
        number = {"e": "aggTrade", "a": self.trades, "f": self.trades, "l": self.trades}
        data = {key: value for key, value in event.items() if key in ("E", "s", "p", "q", "T", "m")}
        self.frames.append((TRADES, _frame("aggTrade", number | data)))


def _sizes(levels: list[list[str]], *, zeros: bool = False) -> dict[float, float]:
    return {float(price): float(size) for price, size in levels if zeros or float(size)}


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
