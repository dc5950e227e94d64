"""The log of a run: what was written comes back, and the digest is of what was decided alone."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.trading.market import buy
from xtrader.errors import DamagedFile
from xtrader.trading.log.run_log import RunLog, decided, digest_of, read_log

ROWS = [
    ("decision", {"intent": buy(), "values": [Decimal("1.50"), None, True]}),
    ("log", {"b": 1, "a": 2}),
    ("fill", {"price": Decimal("0.1")}),
]


def written(directory: Path, rows: list[tuple[str, object]], *, is_live: bool = False) -> str:
    log = RunLog(directory, is_live=is_live)
    for kind, row in rows:
        log.write(kind, row)
    log.close()
    return log.digest


@pytest.mark.parametrize("is_live", [True, False])
def test_rows_come_back_in_order_with_decimals_as_text(tmp_path: Path, is_live: bool) -> None:
    digest = written(tmp_path / "log", ROWS, is_live=is_live)
    found = list(read_log(tmp_path / "log"))
    assert [kind for kind, _ in found] == ["decision", "log", "fill"]
    assert found[0][1]["values"] == ["1.50", None, True]
    assert found[0][1]["intent"]["price"] == "99.0"
    assert digest_of(tmp_path / "log") == digest
    assert len(list(decided(tmp_path / "log"))) == 2


def test_the_digest_is_of_decisions_orders_and_fills(tmp_path: Path) -> None:
    first = written(tmp_path / "a", ROWS)
    assert written(tmp_path / "b", [*ROWS, ("log", {"more": 1})]) == first
    assert written(tmp_path / "c", ROWS[::-1]) != first
    assert written(tmp_path / "d", [ROWS[0], ("fill", {"price": Decimal("0.10")})]) != first


def test_a_log_that_was_cut_off_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    written(tmp_path / "log", ROWS)
    (path,) = (tmp_path / "log").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    assert [kind for kind, _ in read_log(tmp_path / "log")] == ["decision", "log"]


def test_damage_in_the_middle_is_said(tmp_path: Path) -> None:
    written(tmp_path / "log", ROWS)
    (path,) = (tmp_path / "log").iterdir()
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="is damaged at byte 0"):
        list(read_log(tmp_path / "log"))
