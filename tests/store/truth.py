"""Books of the recorded sessions at any time, from the recorded text alone, with nothing of xtrader."""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Side = dict[float, float]
Levels = Iterable[tuple[float, float]]


@dataclass
class Events:
    """What was done to the book of one instrument, in order, and when each was known."""

    known: list[int] = field(default_factory=list)
    done: list[tuple[bool, list[tuple[float, float]], list[tuple[float, float]]]] = field(default_factory=list)

    def add(self, ts: int, is_snapshot: bool, bids: Levels, asks: Levels) -> None:
        self.known.append(max(ts, self.known[-1]) if self.known else ts)
        self.done.append((is_snapshot, list(bids), list(asks)))

    def books(self, times: Iterable[int]) -> Iterator[tuple[int, Side, Side]]:
        """(time, bids, asks) at each of the sorted times."""
        sides: tuple[Side, Side] = ({}, {})
        position = 0
        for ts in times:
            end = bisect_right(self.known, ts)
            for is_snapshot, *both in self.done[position:end]:
                for side, levels in zip(sides, both, strict=True):
                    if is_snapshot:
                        side.clear()
                    for price, size in levels:
                        side[price] = size
                        if not size:
                            del side[price]
            position = end
            yield ts, *sides


def numbers(levels: Any) -> list[tuple[float, float]]:
    return [(float(level[0]), float(level[1])) for level in levels]


def lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)


def stamped(path: Path) -> Iterator[tuple[int, Any]]:
    """Received messages of a recording of the first format."""
    for line in lines(path):
        stamp, separator, payload = line.partition(": ")
        if separator and stamp[:1].isdigit():
            yield int(Decimal(stamp) * 10**9), json.loads(payload)


def okx(folder: Path) -> dict[str, Events]:
    found: dict[str, Events] = {}
    for ts, message in stamped(folder / "OKX.ws.1.0.gz"):
        if message.get("arg", {}).get("channel") == "books" and "data" in message:
            for data in message["data"]:
                events = found.setdefault(message["arg"]["instId"], Events())
                events.add(ts, message["action"] == "snapshot", numbers(data["bids"]), numbers(data["asks"]))
    return found


def deribit(folder: Path) -> dict[str, Events]:
    found: dict[str, Events] = {}
    for ts, message in stamped(folder / "DERIBIT.ws.1.0.gz"):
        params = message.get("params", {})
        if params.get("channel", "").startswith("book."):
            data = params["data"]
            bids, asks = ([(float(level[1]), float(level[2])) for level in data[side]] for side in ("bids", "asks"))
            found.setdefault(data["instrument_name"], Events()).add(ts, data["type"] == "snapshot", bids, asks)
    return found


def binance(messages: Iterable[tuple[int, Any]], snapshots: dict[str, tuple[int, Any]]) -> dict[str, Events]:
    """The books from diffs and one snapshot each; diffs that came before it are known with it."""
    found = {}
    for symbol, (ts, snapshot) in snapshots.items():
        found[symbol] = Events()
        found[symbol].add(ts, True, numbers(snapshot["bids"]), numbers(snapshot["asks"]))
    for ts, message in messages:
        data = message.get("data", message)
        if data.get("e") == "depthUpdate":
            last = snapshots[data["s"]][1]["lastUpdateId"]
            if data["u"] >= last + ("pu" not in data):
                found[data["s"]].add(ts, False, numbers(data["b"]), numbers(data["a"]))
    return found


def binance_futures(folder: Path) -> dict[str, Events]:
    snapshots = {}
    for line in lines(folder / "BINANCE_FUTURES.http.0.0.gz"):
        if line.startswith("https://"):
            url, _, rest = line.partition(" -> ")
            stamp, _, payload = rest.partition(": ")
            snapshots[parse_qs(urlsplit(url).query)["symbol"][0]] = (
                int(Decimal(stamp) * 10**9),
                json.loads(payload.split(" header: ")[0]),
            )
    return binance(stamped(folder / "BINANCE_FUTURES.ws.1.0.gz"), snapshots)


def hftbacktest(path: Path) -> dict[str, Events]:
    """A recording of the second format."""
    messages = [(int(line[:19]), json.loads(line[20:])) for line in lines(path)]
    ((ts, snapshot),) = [(ts, message) for ts, message in messages if "lastUpdateId" in message]
    return binance([one for one in messages if one[1] is not snapshot], {"BTCUSDT": (ts, snapshot)})
