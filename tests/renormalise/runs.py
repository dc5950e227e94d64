"""Runs of the renormaliser, and the recordings that its tests make."""

import json
from pathlib import Path

from tests.captures import captures
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.recordings.raw import RawWriter
from xtrader.renormalise.renormaliser import Converted, Renormaliser

START = 1_700_000_000_000_000_000
MS = 1_000_000
WS = "wss://stream.binance.com:9443/stream"
REST = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000"


def run(*files: Path, exchange: str | None = None) -> tuple[list[Record], dict[str, Converted], Renormaliser]:
    renormaliser = Renormaliser(files, exchange)
    records = list(renormaliser.records())
    return records, {str(line.subscription): line for line in renormaliser.summary()}, renormaliser


def total(lines: dict[str, Converted], stream: str, field: str) -> int:
    return sum(getattr(line, field) for line in lines.values() if line.subscription.stream == stream)


def rows(records: list[Record], state: str) -> list[Coverage]:
    return [record for record in records if isinstance(record, Coverage) and record.state == state]


def recorded_1(name: str) -> list[Path]:
    return sorted((captures() / "recorded-1").glob(f"{name}.*"))


def delta(n: int) -> bytes:
    data = {"e": "depthUpdate", "E": n, "s": "BTCUSDT", "U": n, "u": n, "b": [["100", str(n)]], "a": [["101", str(n)]]}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode()


def trade(n: int) -> bytes:
    data = {"e": "trade", "E": n, "s": "BTCUSDT", "t": n, "p": "100", "q": str(n), "T": n, "m": True, "M": True}
    return json.dumps({"stream": "btcusdt@trade", "data": data}).encode()


def connection(directory: Path, first: int, last: int, snapshot: int, *, is_closed: bool = True) -> None:
    """A raw file of one connection that carried updates and trades `first` to `last`, one a millisecond each."""
    writer = RawWriter(directory, "BINANCE_SPOT", "BINANCE_SPOT/0", WS, START + first * MS)
    for n in range(first, last + 1):
        writer.received(delta(n), START + n * MS + 1)
        writer.received(trade(n), START + n * MS + 2)
        if n == snapshot:
            body = json.dumps({"lastUpdateId": n, "bids": [["100", "1"]], "asks": [["101", "1"]]}).encode()
            writer.answered(REST, 200, body, {}, START + n * MS + 3)
    if is_closed:
        writer.close()
    else:
        writer.flush()


def numbers(records: list[Record]) -> tuple[list[int | None], list[int | None]]:
    """(trade numbers, book numbers without snapshots)."""
    trades = [record.sequence for record in records if isinstance(record, Trade)]
    return trades, [record.sequence for record in records if isinstance(record, BookUpdate) and not record.is_snapshot]


def collected(path: Path, *payloads: str) -> Path:
    path.write_text("".join(f"{START + n} {payload}\n" for n, payload in enumerate(payloads)))
    return path
