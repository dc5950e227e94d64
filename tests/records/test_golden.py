"""What is written of the streams that there were before the table of streams is the same, byte for byte."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest

from xtrader.model.instrument import Instrument
from xtrader.model.market import BookUpdate, Coverage, Record, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.write_records import write_records
from xtrader.sinks.parquet.sink import ParquetSink

NOW = 1_764_806_400_000_000_000
KEYS = ("OKX_SWAP@BTC-USDT-SWAP", "DERIBIT@ETH-PERPETUAL", "OKX_SPOT@Ä-USDT")
FRAMES = {
    codec.INSTRUMENTS: "a86fd59e52b4f5113938608d42ffadf803e8a6d05e12481831ff5994608d7778",
    codec.COVERAGE: "2739ef579b23751540774651d63ea90abb0a34f562829a9c7cd4de2f14b8e1d4",
    codec.L2: "52979feed393fe2174eeb8c481feaf46baf99cb0399dfdaef156b05f5662ead7",
    codec.TRADES: "7d76f9001931a66767bd12f1e8924e5911eff8d54b3f39524d137dc2bb0cd748",
}
"""SHA-256 of a whole payload, head and names included, by its kind."""
PYARROW = "26.0.1"
"""Parquet files name the library that wrote them, and how it packs pages is its own: these digests hold for this version."""
PARTS = {
    "COVERAGE": "64dfcdb9f8fae2674b637645df2efe409738b16b2864aa0ea6fb96f8e58f4749",
    "INSTRUMENTS": "e51b9410f118c156cd8d8491b939fc7b5035d69ecec86dc26603dd21701de564",
    "L2": "2b8ca301600943e52ad8ecf4e4bf0e7655b2495f85d94f3d870bb27ff9a6f665",
    "TRADES": "37b24d92837324576af602084d23982f814323a2c57424c8d099a001d4657735",
}
"""Stream -> SHA-256 of its parts, in the order of their paths."""


def records() -> list[Record]:
    """Some of everything: what is None, empty, of several instruments and days."""
    found: list[Record] = []
    for number, key in enumerate(KEYS):
        exchange, _, symbol = key.partition("@")
        found += [
            Instrument(
                exchange=exchange,
                symbol=symbol,
                alias=symbol.replace("-", ""),
                kind=("perpetual", "perpetual", "spot")[number],
                tick_size=0.1 * number or None,
                expiry=NOW if number else None,
                ts=NOW + number,
            ),
            Coverage(key, "L2", "syncing", "start", NOW, None),
            Coverage(key, "TRADES", "gap", "venue_gap", NOW, NOW + 5, "missing ids 7 to 9 (3)", 7, 9),
            Coverage(key, "L2", "live", "start", NOW + 1, None, depth=400),
        ]
    for row in range(500):
        key, ts = KEYS[row % 3], NOW + row * 300_000_000_000
        event = None if row % 7 == 0 else ts - 1_000_000
        levels = [(100.0 + level, level / 3) for level in range(row % 5)]
        number = None if row % 11 == 0 else row
        found.append(BookUpdate(key, row < 3, levels, levels[::-1], number, None if row < 3 else row - 1, event, ts))
        side = ("buy", "sell", "unknown")[row % 3]
        found.append(Trade(key, f"{row}é" if row % 50 == 0 else f"{row}", side, 100.5 + row, row / 7, event, ts + 1, row))
    return found


def digest(parts: list[bytes]) -> str:
    return sha256(b"".join(parts)).hexdigest()


def test_a_frame_of_the_journal_is_what_it_was() -> None:
    batcher = Batcher()
    for record in records():
        batcher.add(record)
    found = {entry.kind: digest([codec.head(entry, codec.WHOLE, NOW), *map(bytes, entry.parts)]) for entry in batcher.flush()}
    assert found == FRAMES


@pytest.mark.skipif(
    pa.__version__ != PYARROW, reason=f"pyarrow {pa.__version__} writes files in its own way, not as {PYARROW} does"
)
def test_a_part_is_what_it_was(tmp_path: Path) -> None:
    write_records(records(), ParquetSink(tmp_path, "c1"), "c1", {"OKX_SWAP": {"environment": "production"}})
    found: dict[str, list[bytes]] = {}
    for path in sorted(tmp_path.rglob("*.parquet")):
        found.setdefault(path.relative_to(tmp_path).parts[0].removeprefix("stream="), []).append(path.read_bytes())
    assert {stream: digest(parts) for stream, parts in found.items()} == PARTS
