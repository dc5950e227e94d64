"""A real server that is killed, stopped, filled up and tampered with while rows come: the tables hold the truth afterwards.

XTRADER_QUESTDB_KILLS sets how many kills (default 2), XTRADER_QUESTDB_OUTAGE how many seconds it stays down (default 3).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import small_file_system
from tests.pipeline.journaling import BEYOND
from tests.pipeline.numbered import DAY_START, KEYS, trade
from tests.sinks.questdb.rig import Rig
from tests.sinks.questdb.server import Server
from xtrader.model.market import Trade
from xtrader.pipeline import codec

KILLS = int(os.environ.get("XTRADER_QUESTDB_KILLS", "2"))
OUTAGE = float(os.environ.get("XTRADER_QUESTDB_OUTAGE", "3"))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The delivery looks twice a second whether the server is there again, not twice a minute."""
    monkeypatch.setattr("xtrader.pipeline.delivery.LONGEST_PAUSE", 0.5)


@pytest.fixture
def rig(tmp_path: Path, server: Server, prefix: str) -> Iterator[Rig]:
    with Rig(tmp_path, server, prefix) as made:
        yield made


@pytest.mark.timeout(120 + 30 * KILLS)
def test_a_server_killed_under_load_again_and_again_has_every_row_once(rig: Rig, server: Server) -> None:
    for _ in range(KILLS):
        rig.load(1.0)
        server.kill()
        rig.load(0.3)
        server.start()
        rig.until_shown()
    rig.finish()
    rig.check()


@pytest.mark.timeout(240 + OUTAGE)
def test_a_server_that_was_stopped_for_a_while_gets_what_it_missed(rig: Rig, server: Server) -> None:
    rig.load(0.5)
    server.stop()
    rig.load(OUTAGE)
    assert "does not answer" in rig.status.error
    server.start()
    rig.until(lambda: not rig.status.error)
    rig.finish()
    rig.check()


def test_a_table_that_was_dropped_is_made_and_filled_again(rig: Rig, server: Server, prefix: str) -> None:
    rig.load(0.5)
    rig.until_shown()
    server.sql(f"DROP TABLE '{prefix}book_updates'")
    rig.load(0.5)
    # The sink either sees that the table is gone, or asks it something and hears that.
    rig.until(lambda: rig.errors and not rig.status.error and server.exists(f"{prefix}book_updates"))
    server.sql(f"DROP TABLE '{prefix}trades'")
    rig.until_shown()
    rig.finish()
    rig.check()


def test_a_suspended_table_is_told_and_waited_for_while_the_others_go_on(rig: Rig, server: Server, prefix: str) -> None:
    rig.load(0.5)
    rig.until_shown()
    server.sql(f"ALTER TABLE '{prefix}trades' SUSPEND WAL")
    rig.until(lambda: f"table {prefix}trades is suspended" in rig.status.error)
    books, trades = server.rows(f"{prefix}book_updates"), server.rows(f"{prefix}trades")
    rig.load(1.0)
    rig.until(lambda: server.rows(f"{prefix}book_updates") >= books + 1000)
    cursor = rig.status.cursor
    # Long enough for proofs of the others: the journal is kept for the table that waits.
    rig.load(4.0)
    assert (server.rows(f"{prefix}trades"), rig.status.cursor) == (trades, cursor)
    assert f"table {prefix}trades is suspended" in rig.status.error
    server.sql(f"ALTER TABLE '{prefix}trades' RESUME WAL")
    rig.until(lambda: not rig.status.error)
    rig.finish()
    rig.check()


def test_tables_that_are_suspended_one_after_the_other_get_what_each_of_them_lacks(rig: Rig, server: Server, prefix: str) -> None:
    rig.load(0.5)
    rig.until_shown()
    for table in ("trades", "book_updates"):
        server.sql(f"ALTER TABLE '{prefix}{table}' SUSPEND WAL")
        rig.until(lambda table=table: f"table {prefix}{table} is suspended" in rig.status.error)  # type: ignore[misc]
        rig.load(2.5)
    for table in ("trades", "book_updates"):
        server.sql(f"ALTER TABLE '{prefix}{table}' RESUME WAL")
        rig.until(lambda table=table: f"table {prefix}{table} is" not in rig.status.error)  # type: ignore[misc]
        rig.load(1.5)
    rig.until(lambda: not rig.status.error)
    rig.finish()
    rig.check()


def test_a_table_that_the_server_suspended_for_a_fault_of_its_own_is_resumed(rig: Rig, server: Server, prefix: str) -> None:
    rig.load(0.5)
    rig.until_shown()
    server.sql(f"ALTER TABLE '{prefix}trades' SUSPEND WAL WITH 28, 'no space'")
    rig.until(lambda: any("is suspended (" in error for error in rig.errors))
    rig.until(lambda: not rig.status.error)
    rig.finish()
    rig.check()


def test_a_column_that_was_dropped_is_added_and_filled_again(rig: Rig, server: Server, prefix: str) -> None:
    rig.load(0.5)
    rig.until_shown()
    server.sql(f"ALTER TABLE '{prefix}trades' DROP COLUMN price")
    rig.until(lambda: any("others changed the tables trades" in error for error in rig.errors))
    rig.until(lambda: not rig.status.error)
    rig.finish()
    rig.check()


def test_a_column_of_another_type_is_named_and_a_person_s_repair_is_enough(rig: Rig, server: Server, prefix: str) -> None:
    rig.load(0.5)
    rig.until_shown()
    server.sql(f"ALTER TABLE '{prefix}trades' ALTER COLUMN side TYPE VARCHAR")
    rig.until(lambda: f"table {prefix}trades: the column side is VARCHAR, it must be SYMBOL" in rig.status.error)
    books = server.rows(f"{prefix}book_updates")
    rig.until(lambda: server.rows(f"{prefix}book_updates") > books)
    server.sql(f"ALTER TABLE '{prefix}trades' ALTER COLUMN side TYPE SYMBOL")
    rig.until(lambda: not rig.status.error)
    rig.finish()
    rig.check()


def test_deduplication_switched_off_is_switched_on_before_anything_is_sent_again(rig: Rig, server: Server, prefix: str) -> None:
    rig.load(0.5)
    rig.until_shown()
    server.sql(f"ALTER TABLE '{prefix}trades' DEDUP DISABLE")
    server.kill()
    rig.load(0.3)
    server.start()
    # A server that has just started lists its tables a little later.
    query = f"SELECT dedup FROM tables() WHERE table_name = '{prefix}trades'"
    rig.until(lambda: not rig.status.error and server.sql(query) == [[True]])
    rig.finish()
    rig.check()


def test_rows_that_somebody_deleted_are_found_missing_and_sent_again(rig: Rig, server: Server, prefix: str) -> None:
    rig.load(0.5)
    rig.until_shown()
    server.settle()
    server.sql(f"TRUNCATE TABLE '{prefix}trades'")
    rig.until(lambda: any("lacks" in error for error in rig.errors))
    rig.finish()
    rig.check()


def test_a_row_that_the_server_refuses_is_set_aside_and_the_others_are_there(rig: Rig, server: Server, prefix: str) -> None:
    bad = trade(0, KEYS[0])
    impossible = Trade(bad.instrument, "impossible", "buy", 1.0, 1.0, 2**63 - 1, DAY_START)
    rig.load(0.3)
    rig.give([impossible])
    rig.truth.remove(impossible)
    rig.load(0.3)
    rig.finish()
    rig.check()
    (line,) = [json.loads(line) for line in rig.refused.read_text().splitlines()]
    assert (line["table"], line["trade_id"], rig.status.refused) == (f"{prefix}trades", "impossible", 1)
    assert line["reason"]


def test_a_record_that_is_no_row_is_set_aside_and_the_others_are_there(rig: Rig) -> None:
    rig.load(0.3)
    rig.journal.append([codec.text_entry(codec.INSTRUMENTS, [BEYOND])])
    rig.load(0.3)
    rig.finish()
    rig.check()
    (line,) = [json.loads(line) for line in (rig.journal.directory / "questdb-refused.jsonl").read_text().splitlines()]
    assert (line["record"]["symbol"], rig.status.refused) == (BEYOND.symbol, 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB."""
    with small_file_system(tmp_path / "disk", "96m") as place:
        yield place


def test_a_disk_that_is_full_is_waited_for(tmp_path: Path, small_disk: Path) -> None:
    server = Server(small_disk / "root")
    server.start()
    try:
        with Rig(tmp_path, server, "") as rig:
            rig.load(0.5)
            rig.until_shown()
            with (small_disk / "ballast").open("wb") as ballast:
                ballast.write(bytes(max(0, shutil.disk_usage(small_disk).free - (1 << 20))))
            rig.until(lambda: (rig.put(500), rig.status.error)[1])
            rig.load(1.0)
            (small_disk / "ballast").unlink()
            if not server.alive():
                # Where it meets the end of the disk in a mapped page it dies of it; whoever watches over it starts it again.
                server.stop(signal.SIGKILL)
                server.start()
            rig.until(lambda: not rig.status.error)
            rig.finish()
            rig.check()
    finally:
        server.stop(signal.SIGKILL)
