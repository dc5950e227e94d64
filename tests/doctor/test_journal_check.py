"""How a journal is, is seen by looking at it: whose, how full, whole, finished."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.needs import missing
from tests.pipeline.journaling import opened, write
from tests.pipeline.numbered import update
from xtrader.diagnosis import Diagnosis
from xtrader.doctor.journal_check import examine_journal
from xtrader.pipeline.cursors import write_cursor
from xtrader.pipeline.frames import segments
from xtrader.settings.load import load


def examined(directory: Path, *, is_running: bool = False, **variables: str) -> list[Diagnosis]:
    settings = load({}, {"XTRADER_JOURNAL_DIRECTORY": str(directory), **variables}, None)
    return list(examine_journal(settings, is_running))


def journaled(directory: Path) -> int:
    """A journal of some rows, let go; its end."""
    journal = opened(directory)
    write(journal, *(update(number) for number in range(200)))
    end = journal.commit()
    journal.close()
    return max(end, segments(directory)[-1].end)


def ill(found: list[Diagnosis]) -> list[str]:
    return [f"{one.level}: {one.words}" for one in found if one.level != "ok"]


def test_one_that_is_not_there_yet_is_ok(tmp_path: Path) -> None:
    assert [one.level for one in examined(tmp_path / "none")] == ["ok"]
    (tmp_path / "empty").mkdir()
    assert [one.words for one in examined(tmp_path / "empty")] == ["is empty"]


def test_a_finished_one_is_ok(tmp_path: Path) -> None:
    write_cursor(tmp_path, "parquet", journaled(tmp_path))
    found = examined(tmp_path)
    assert ill(found) == []
    assert found[-1].words == "finished: the sink parquet has all of it"


@pytest.mark.parametrize("cursor", [None, -4096])
def test_one_that_a_sink_has_not_finished_is_worth_a_word(tmp_path: Path, cursor: int | None) -> None:
    end = journaled(tmp_path)
    if cursor is not None:
        write_cursor(tmp_path, "parquet", end + cursor)
    (words,) = ill(examined(tmp_path))
    assert "nothing of it is in the sink parquet yet" in words if cursor is None else "4 KiB of it are not in the sink" in words
    assert ill(examined(tmp_path, is_running=True)) == []


def test_damage_is_found(tmp_path: Path) -> None:
    journaled(tmp_path)
    path = segments(tmp_path)[-1].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert any("1 stretches are damaged" in words for words in ill(examined(tmp_path, is_running=True)))


def test_a_full_one_is_wrong_and_a_nearly_full_one_worth_a_word(tmp_path: Path) -> None:
    journaled(tmp_path)
    (tmp_path / "00000000000000000000.journal").write_bytes(bytes(1 << 20))
    assert any(words.startswith("wrong: is full") for words in ill(examined(tmp_path, XTRADER_JOURNAL_MAX_BYTES="1MiB")))
    (tmp_path / "00000000000000000000.journal").write_bytes(bytes(900 << 10))
    assert any(words.startswith("warning: is nearly full") for words in ill(examined(tmp_path, XTRADER_JOURNAL_MAX_BYTES="1MiB")))


def test_one_of_another_collector_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "collector").write_text("other")
    (words,) = ill(examined(tmp_path, XTRADER_COLLECTOR_ID="mine"))
    assert words == "wrong: belongs to the collector 'other', and XTRADER_COLLECTOR_ID is 'mine'"


def test_the_journals_of_all_workers_are_looked_at(tmp_path: Path) -> None:
    for number in (0, 1):
        journaled(tmp_path / f"worker-{number}")
    assert len(ill(examined(tmp_path))) == 2


def test_one_of_another_user_is_wrong_and_one_that_all_can_write_to_worth_a_word() -> None:
    if os.geteuid() != 0:
        missing("only root can become somebody else")
    with tempfile.TemporaryDirectory() as text:
        os.chmod(text, 0o757)
        os.seteuid(65534)
        try:
            found = examined(Path(text))
        finally:
            os.seteuid(0)
    assert [one.split(":")[0] for one in ill(found)] == ["wrong", "warning"]
    assert found[0].words == "belongs to uid 0, this process is uid 65534"
