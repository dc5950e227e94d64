"""How long the room lasts, and how much of the time was recorded, by what lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pipeline.journaling import Ticks, opened, write
from tests.pipeline.numbered import DAY_START
from xtrader.clock import DAY, SECOND
from xtrader.doctor import recorded_time
from xtrader.model.market import Coverage

KEY = "OKX_SWAP@BTC-USDT-SWAP"
MINUTE = 60 * SECOND


@pytest.mark.parametrize(("days", "level"), [(1.0, "wrong"), (7.0, "warning"), (100.0, "ok")])
def test_a_disk_that_will_be_full_soon_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, level: str) -> None:
    disk = os.statvfs(tmp_path)
    a_day = int(disk.f_bavail * disk.f_frsize / days)
    monkeypatch.setattr(recorded_time, "has_files", lambda root: True)
    monkeypatch.setattr(recorded_time, "bytes_by_date", lambda root: {"2023-11-13": a_day, "2023-11-12": a_day, "2023-10-01": 1})
    (found,) = recorded_time.growth(tmp_path, tmp_path, 1_700_000_000 * SECOND, 2 * 86_400, 14 * 86_400)
    assert found.level == level
    assert f"full in {days:.0f}" in found.words or f"full in {days - 0.1:.1f}" in found.words or "full in 1" in found.words


def test_a_first_day_is_taken_as_going_on_like_this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_time, "has_files", lambda root: True)
    monkeypatch.setattr(recorded_time, "bytes_by_date", lambda root: {"2023-11-14": 24 << 20})
    noon = 1_699_920_000 * SECOND + DAY // 2
    (found,) = recorded_time.growth(tmp_path, tmp_path, noon, 0, 0)
    assert "48 MiB a day" in found.words


def row(state: str, begun: int, ended: int | None, cause: str = "start") -> Coverage:
    return Coverage(KEY, "TRADES", state, cause, begun, ended)


@pytest.mark.parametrize(
    ("rows", "level", "words"),
    [
        ([row("live", 0, None)], "ok", "live 100.00%"),
        (
            [row("live", 0, 30 * MINUTE), row("gap", 30 * MINUTE, 31 * MINUTE, "disconnect"), row("live", 31 * MINUTE, None)],
            "wrong",
            "98.33%",
        ),
        (
            [
                row("live", 0, 30 * MINUTE),
                row("gap", 30 * MINUTE, 30 * MINUTE + 1, "venue_gap"),
                row("live", 30 * MINUTE + 1, None),
            ],
            "warning",
            "1 venue_gap",
        ),
        (
            [
                row("live", 0, 30 * MINUTE),
                row("gap", 30 * MINUTE, 30 * MINUTE + 1, "disconnect"),
                row("live", 30 * MINUTE + 1, None),
            ],
            "ok",
            "",
        ),
    ],
)
def test_the_share_of_the_time_is_judged(tmp_path: Path, rows: list[Coverage], level: str, words: str) -> None:
    journal = tmp_path / ".journal"
    begun = opened(journal, Ticks(DAY_START))
    write(begun, *(one_at(one) for one in rows))
    begun.commit()
    found = list(recorded_time.judge(tmp_path, journal, DAY_START, DAY_START + 60 * MINUTE, is_running=True))
    begun.close()
    own = [one for one in found if one.about == f"coverage TRADES:{KEY}"]
    assert [one.level for one in own] == ([] if level == "ok" else [level])
    assert all(words in one.words for one in own)
    assert found[-1].level == ("wrong" if level == "wrong" else "ok")


def one_at(one: Coverage) -> Coverage:
    ended = None if one.ts_to is None else one.ts_to + DAY_START
    return Coverage(one.instrument, one.stream, one.state, one.cause, one.ts_from + DAY_START, ended)


def test_what_is_open_counts_only_as_far_as_anybody_wrote(tmp_path: Path) -> None:
    journal = tmp_path / ".journal"
    begun = opened(journal, Ticks(DAY_START))
    write(begun, one_at(row("live", 0, None)))
    begun.commit()
    begun.close()
    for path in journal.glob("*.journal"):
        os.utime(path, ns=(DAY_START + 30 * MINUTE, DAY_START + 30 * MINUTE))
    found = list(recorded_time.judge(tmp_path, journal, DAY_START, DAY_START + 60 * MINUTE, is_running=False))
    assert "live 50.00% of the time" in found[0].words
