"""What a contender is told and what it answers. Imported by every contender, in its own environment: the standard library only."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Task:
    """One run of one contender: its first argument, as JSON."""

    exchange: str
    """BINANCE_FUTURES, OKX_SWAP or DERIBIT."""
    subscriptions: str
    mode: str
    """What to do with the data; each contender's file says which modes it knows."""
    ws: str
    rest: str
    """Base addresses, without a path."""
    directory: str
    """Where files go; it exists and is empty."""
    books: int
    trades: int
    """Messages after which everything has come, so that the contender ends by itself."""
    frame_bytes: int
    """Bytes of all frames on the sockets."""
    questdb_port: int = 0


@dataclass
class Answer:
    """What a contender found: its last line on standard output, as JSON. None where it is read from its files instead."""

    books: int | None = None
    trades: int | None = None
    levels: int | None = None
    bids: list[tuple[float, float]] | None = None
    asks: list[tuple[float, float]] | None = None
    extra: dict[str, object] = field(default_factory=dict)


def read() -> Task:
    """The task of this process."""
    return Task(**json.loads(sys.argv[1]))


def say(answer: Answer) -> None:
    """Give the answer."""
    print(json.dumps(asdict(answer)), flush=True)
