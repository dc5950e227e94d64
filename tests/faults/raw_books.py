"""Books from the raw frames of a recording by the venues' documentation alone, in the fewest lines that do it.

It claims a state only where the numbers link it to a snapshot; where they do not, it waits for the next snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from xtrader.recordings import raw
from xtrader.recordings.events import Answered, Opened, Received

Side = dict[float, float]
Message = tuple[bool, int, int, Any, Any]
"""Whether it is a snapshot, the numbers before and after it, bids and asks as (price, size)."""


def states(directory: Path, exchange: str) -> Iterator[tuple[int, tuple[Side, Side]]]:
    """(number, (bids, asks)) after each message that links, connection by connection."""
    for path in sorted(directory.rglob(f"*{raw.SUFFIX}")):
        events = list(raw.events(path, []))
        if any(isinstance(event, Opened) and event.exchange == exchange for event in events):
            yield from rebuild(message for event in events for message in READ[exchange](event))


def rebuild(messages: Iterable[Message]) -> Iterator[tuple[int, tuple[Side, Side]]]:
    sides: tuple[Side, Side] = ({}, {})
    last: int | None = None
    earlier: list[Message] = []
    """Changes of this connection: a snapshot by REST is older than the newest of them."""
    for message in messages:
        is_snapshot, _, number, *both = message
        if is_snapshot:
            sides = ({}, {})
            change(sides, both)
            last = number
            yield number, sides
            due = [one for one in earlier if one[2] > number]
        else:
            earlier.append(message)
            due = [message]
        for _, previous, number, *both in due:
            if last is None or number == last:
                continue
            if not previous <= last < number and previous != last:
                last = None
                continue
            change(sides, both)
            last = number
            yield number, sides


def change(sides: tuple[Side, Side], both: list[Any]) -> None:
    for side, levels in zip(sides, both, strict=True):
        for price, size in levels:
            side[float(price)] = float(size)
            if not float(size):
                del side[float(price)]


def _json(event: object) -> Any:
    try:
        return json.loads(event.payload) if isinstance(event, Received) else {}
    except ValueError:
        return {}


def binance(event: object) -> Iterator[Message]:
    if isinstance(event, Answered):
        if event.status == 200 and "/depth?" in event.url:
            try:
                book = json.loads(event.body)
            except ValueError:
                return
            yield True, 0, book["lastUpdateId"], book["bids"], book["asks"]
        return
    said = _json(event)
    if "@depth" in said.get("stream", ""):
        data = said["data"]
        if data.get("e") == "depthUpdate":
            yield False, data.get("pu", data["U"] - 1), data["u"], data["b"], data["a"]


def okx(event: object) -> Iterator[Message]:
    said = _json(event)
    if said.get("action") in ("snapshot", "update"):
        for data in said["data"]:
            levels = ([level[:2] for level in data[side]] for side in ("bids", "asks"))
            yield said["action"] == "snapshot", data["prevSeqId"], data["seqId"], *levels


def deribit(event: object) -> Iterator[Message]:
    params = _json(event).get("params", {})
    if isinstance(params, dict) and params.get("channel", "").startswith("book."):
        data = params["data"]
        levels = ([level[1:] for level in data[side]] for side in ("bids", "asks"))
        yield data["type"] == "snapshot", data.get("prev_change_id", 0), data["change_id"], *levels


def bybit(event: object) -> Iterator[Message]:
    said = _json(event)
    if said.get("topic", "").startswith("orderbook.") and said["data"]:
        data = said["data"]
        yield said["type"] == "snapshot", data["u"] - 1, data["u"], data["b"], data["a"]


READ = {"BINANCE_SPOT": binance, "BINANCE_FUTURES": binance, "OKX_SWAP": okx, "DERIBIT": deribit, "BYBIT_LINEAR": bybit}
