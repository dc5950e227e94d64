"""What the emulated venues really published, kept apart from any recorder. Its one rule: texts as they went over the wire."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

Levels = list[tuple[str, str]]


class BookEvent(msgspec.Struct, frozen=True, tag="book", tag_field="kind"):
    """One book message: absolute sizes by price, a zero size removes. `previous` is None for the book as it was at the start."""

    exchange: str
    symbol: str
    sequence: int
    previous: int | None
    ts: int
    """Venue time, milliseconds UTC."""
    bids: Levels
    asks: Levels


class SnapshotEvent(msgspec.Struct, frozen=True, tag="snapshot", tag_field="kind"):
    """A whole book that was answered between two messages: it has the first of the changes that the second one tells, and its
    number lies between theirs."""

    exchange: str
    symbol: str
    sequence: int
    ts: int
    """Venue time, milliseconds UTC."""
    bids: Levels
    asks: Levels


class TradeEvent(msgspec.Struct, frozen=True, tag="trade", tag_field="kind"):
    """One trade as the venue's main trade stream shows it. `side` is the aggressor's: buy or sell."""

    exchange: str
    symbol: str
    id: str
    side: str
    price: str
    size: str
    ts: int
    """Venue time, milliseconds UTC."""


class FaultEvent(msgspec.Struct, frozen=True, tag="fault", tag_field="kind"):
    """A fault that was carried out. Of the message that it met: the book's numbers or the trades' ids; `removed` says that
    whoever was subscribed did not get it. Of a request `path` is what was asked for; `seconds` is the fault's own."""

    fault: str
    exchange: str
    ts: int
    """Venue time, milliseconds UTC."""
    stream: str = ""
    symbol: str = ""
    previous: int | None = None
    number: int | None = None
    ids: tuple[str, ...] = ()
    removed: bool = False
    seconds: float = 0.0
    path: str = ""


Event = BookEvent | SnapshotEvent | TradeEvent | FaultEvent
_decoder = msgspec.json.Decoder(Event)


class Truth:
    """Events by instrument, in memory if `keep`, and as JSON lines in `directory`/truth.jsonl if one is given."""

    def __init__(self, directory: Path | None = None, *, keep: bool = True) -> None:
        self._keep = keep
        self._books: dict[tuple[str, str], list[BookEvent]] = {}
        self._snapshots: dict[tuple[str, str], list[SnapshotEvent]] = {}
        self._trades: dict[tuple[str, str], list[TradeEvent]] = {}
        self.faults: list[FaultEvent] = []
        """The faults that were carried out, in order."""
        self._encoder = msgspec.json.Encoder()
        self._file = None
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = (directory / "truth.jsonl").open("wb")

    @classmethod
    def load(cls, directory: Path) -> Truth:
        """Read back what an emulator wrote to `directory`."""
        truth = cls()
        with (directory / "truth.jsonl").open("rb") as lines:
            for line in lines:
                truth.add(_decoder.decode(line))
        return truth

    def add(self, event: Event) -> None:
        """Take one event."""
        if self._keep:
            if isinstance(event, BookEvent):
                self._books.setdefault((event.exchange, event.symbol), []).append(event)
            elif isinstance(event, FaultEvent):
                self.faults.append(event)
            elif isinstance(event, SnapshotEvent):
                self._snapshots.setdefault((event.exchange, event.symbol), []).append(event)
            else:
                self._trades.setdefault((event.exchange, event.symbol), []).append(event)
        if self._file is not None:
            self._file.write(self._encoder.encode(event) + b"\n")

    def flush(self) -> None:
        """Hand buffered lines to the operating system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def trades(self, exchange: str, symbol: str) -> list[TradeEvent]:
        """All trades of an instrument, in order."""
        return self._trades.get((exchange, symbol), [])

    def books(self, exchange: str, symbol: str) -> list[BookEvent]:
        """All book messages of an instrument, in order; the first one is the whole book at the start."""
        return self._books.get((exchange, symbol), [])

    def snapshots(self, exchange: str, symbol: str) -> list[SnapshotEvent]:
        """All books of an instrument that were answered between two messages, in order."""
        return self._snapshots.get((exchange, symbol), [])

    def book(self, exchange: str, symbol: str, sequence: int) -> tuple[dict[str, str], dict[str, str]]:
        """(bids, asks) as size text by price text after the message `sequence`. Raises KeyError if there was no such message."""
        bids: dict[str, str] = {}
        asks: dict[str, str] = {}
        for event in self.books(exchange, symbol):
            _apply(bids, event.bids)
            _apply(asks, event.asks)
            if event.sequence == sequence:
                return bids, asks
        raise KeyError(sequence)


def _apply(side: dict[str, str], levels: Iterable[tuple[str, str]]) -> None:
    for price, size in levels:
        if float(size):
            side[price] = size
        else:
            side.pop(price, None)
