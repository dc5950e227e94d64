"""The memory of the Parquet sink is bounded, whatever the number of instruments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import sys
from pathlib import Path
import psutil
from tests.sinks.contract import SESSION, batches
from xtrader.model.market import BookUpdate
from xtrader.sinks.parquet.sink import ParquetSink

instruments = int(sys.argv[2])
sink = ParquetSink(Path(sys.argv[1]), "c1", buffer_bytes=4 << 20)
sink.open(8)
sink.write(SESSION)
levels = [(60_000.0 + place, place / 7) for place in range(50)]
sizes = []
for step in range(80):
    rows = [
        BookUpdate(f"X@S{number % instruments}", False, levels, levels, number, number - 1, None, 10**18 + number)
        for number in range(step * 400, step * 400 + 400)
    ]
    for batch in batches(rows):
        sink.write(batch)
    if step % 20 == 19:
        sink.commit(step, step + 1)
        sizes.append(psutil.Process().memory_info().rss)
sink.close()
print(*sizes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("instruments", [1, 300])
def test_memory_stays_flat_over_millions_of_levels(tmp_path: Path, instruments: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path), str(instruments)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    sizes = [int(size) for size in run.stdout.split()]
    assert len(sizes) == 4
    assert max(sizes) < 1.25 * sizes[0]
    assert max(sizes) < 500 << 20
