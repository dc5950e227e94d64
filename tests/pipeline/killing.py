"""A recorder in a process of its own that is killed, and what must then be in its files."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.pipeline.parts import manifest, part_paths, read_coverages, read_trades, read_updates
from tests.pipeline.recorder import KEYS, RUN, trade, update
from tests.processes import kept_track_of
from tests.waiting import LIMIT, wait_until
from xtrader.model.market import BookUpdate, Trade
from xtrader.pipeline import codec
from xtrader.pipeline.frames import JournalFrame, read_frames, segments
from xtrader.sinks.memory import records

REPOSITORY = Path(__file__).resolve().parents[2]


def start(directory: Path, run: int) -> subprocess.Popen[bytes]:
    return kept_track_of(
        subprocess.Popen([sys.executable, "-m", "tests.pipeline.recorder", str(directory), str(run)], cwd=REPOSITORY)
    )


def newest(directory: Path) -> int:
    """Where the newest segment begins."""
    found = segments(directory / "journal") if (directory / "journal").is_dir() else []
    return found[-1].base if found else 0


def wait_for_a_new_run(directory: Path, recorder: subprocess.Popen[bytes], before: int) -> None:
    def begun() -> bool:
        assert recorder.poll() is None
        return newest(directory) != before

    wait_until(begun)


def stop(recorder: subprocess.Popen[bytes]) -> None:
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait(LIMIT) == 0


def last_numbers(directory: Path) -> dict[int, int]:
    """Run and parity (run * 2 + parity) -> the largest number that is in the journal."""
    found: dict[int, int] = {}
    for item in read_frames(directory / "journal", 0):
        assert isinstance(item, JournalFrame)
        batch = codec.read_batch(codec.read_payload(item.payload))
        for record in records(batch) if batch is not None else ():
            if isinstance(record, (BookUpdate, Trade)):
                number = record.sequence if isinstance(record, BookUpdate) else int(record.trade_id)
                found[number // RUN * 2 + number % 2] = number
    return found


def published(directory: Path) -> dict[str, tuple[int, int]]:
    """Parts that are there: name -> what would change if they were written again."""
    return {
        str(path.relative_to(directory)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for stream in ("L2", "TRADES", "COVERAGE")
        for path in part_paths(directory / "data", stream)
    }


def check(directory: Path, journaled: dict[int, int], seen: dict[str, tuple[int, int]], killed: int) -> None:
    data = directory / "data"
    rows = [*read_updates(data), *read_trades(data)]
    numbers = sorted(row.sequence if isinstance(row, BookUpdate) else int(row.trade_id) for row in rows)
    assert not [number for number, count in Counter(numbers).items() if count > 1]
    by_stream: dict[int, list[int]] = {}
    for number in numbers:
        by_stream.setdefault(number // RUN * 2 + number % 2, []).append(number)
    for place, last in journaled.items():
        held = by_stream[place]
        assert held == list(range(place // 2 * RUN + place % 2, held[-1] + 1, 2))
        assert held[-1] >= last
    for row in rows:
        if isinstance(row, BookUpdate):
            assert row == update(row.sequence, KEYS[row.sequence % len(KEYS)], row.ts_recv)
        else:
            assert row == trade(int(row.trade_id), KEYS[int(row.trade_id) % len(KEYS)], row.ts_recv)
    now = published(directory)
    assert {name: now[name] for name in seen} == seen
    assert sorted(line["path"] for line in manifest(data)) == sorted(name.removeprefix("data/") for name in now)
    assert not [path for path in data.rglob(".*") if path.name.endswith((".tmp", ".open"))]
    coverages = read_coverages(data)
    ended = sorted((row.instrument, row.ts_to) for row in coverages if row.state == "live" and row.ts_to is not None)
    stopped = sorted((row.instrument, row.ts_from) for row in coverages if row.state == "gap" and row.ts_to is not None)
    assert ended == stopped
    assert len(ended) >= killed * len(KEYS)
