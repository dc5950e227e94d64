"""The QuestDB sink: batches of the journal as rows, delivered within a second, proven a minute later.

The rule: the cursor moves only over what was proven to be visible; whatever is in doubt is sent again, after the tables were
checked, and becomes the same rows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from xtrader.errors import SinkRetry
from xtrader.records.batches import Batch, Session
from xtrader.sinks.questdb import sink_state, table_rows
from xtrader.sinks.questdb.best_levels import Packed, PackedBooks
from xtrader.sinks.questdb.conf import QuestdbServer
from xtrader.sinks.questdb.ledger import Ledger
from xtrader.sinks.questdb.sending import QuestdbSender
from xtrader.sinks.questdb.sql import Server, tcp_answers
from xtrader.sinks.questdb.table_definitions import compare
from xtrader.sinks.questdb.table_states import lagging, standing

COMMIT_SECONDS: Final = 0.5
COMMIT_BYTES: Final = 8 << 20
"""How often the delivery should commit, in the journal's time and bytes."""
PROOF_SECONDS: Final = 60.0
PROOF_ROWS: Final = 1_000_000
WATCH_SECONDS: Final = 5.0
WAIT_SECONDS: Final = 2.0
"""How long a proof waits for what was acknowledged to become visible, before it is put off to the next commit."""
LAST_WAIT_SECONDS: Final = 10.0


class QuestdbSink:
    """Delivers the rows of one collector. `memory` is the file that it keeps over restarts, `set_aside` the one of rows that
    the server refused."""

    name = "questdb"

    def __init__(
        self,
        target: QuestdbServer,
        memory: Path,
        set_aside: Path,
        *,
        proof_seconds: float = PROOF_SECONDS,
        watch_seconds: float = WATCH_SECONDS,
    ) -> None:
        self.rows = 0
        self.trouble = ""
        self.refused = 0
        self._target = target
        self._memory = memory
        self._proof_seconds = proof_seconds
        self._watch_seconds = watch_seconds
        self._server = Server(target)
        self._delivery = QuestdbSender(target, set_aside, self._require_tables)
        self._state = sink_state.Progressed()
        self._collector = ""
        self._committed_rows = 0
        self._held: dict[str, str] = {}
        self._filled: set[str] = set()
        self._pending: dict[tuple[str, str], list[Batch]] = {}
        self._depth = PackedBooks({})
        self._ledger = Ledger()
        self._watched = 0.0
        self._proven = 0.0
        self._before: tuple[int, Packed] | None = None
        self._sent: list[tuple[float, int, Packed]] = []

    @property
    def dropped(self) -> Mapping[str, int]:
        """See Sink: rows older than their table's TTL."""
        return self._ledger.dropped

    def open(self, first: int) -> int:
        """See Sink. Makes and mends the tables; those that lack rows are filled again from the oldest journal there is. Those
        that can take nothing are left out until they can."""
        self._state = found = sink_state.load(self._memory)
        if found.offset < first:
            found.offset, found.books = first, {}
        self._delivery.open(self._transport())
        self._held = {}
        if self._delivery.transport == "http" or self._server.answers():
            self._held = standing(self._server, self._target.prefix).suspended
            # What tables() says of a table is what was applied: a change that waits in the log, as after a restart, shows later.
            if not self._visible(patient=True):
                raise SinkRetry(self.trouble)
            self._mend()
        self.trouble = "; ".join(self._held.values())
        self._filled = set(found.again) - set(self._held)
        self._depth = PackedBooks(found.again_books if self._filled else found.books)
        self._watched = self._proven = time.monotonic()
        return found.again_from if self._filled else found.offset

    def check(self, batch: Batch) -> None:
        """See Sink: makes the rows of the batch; what the server refuses of them is found when they are sent."""
        if not isinstance(batch, Session):
            table_rows.block([batch], self._collector, PackedBooks({}))

    def write(self, batch: Batch) -> None:
        """See Sink. Holds the rows until the commit."""
        if isinstance(batch, Session):
            self._collector = batch.collector
            return
        self._pending.setdefault((table_rows.table(batch), self._collector), []).append(batch)
        self.rows += len(batch)

    def commit(self, first: int, last: int) -> int:
        """See Sink: one request a table. Below the offset that was proven before, only tables that are filled again get any."""
        filling = bool(self._filled) and last <= self._state.offset
        requests = 0
        for (table, collector), batches in self._pending.items():
            # All book messages come by here, also those that are not to be sent.
            block = table_rows.block(batches, collector, self._depth)
            if table in self._held or (filling and table not in self._filled):
                continue
            made, refused = self._delivery.send(self._target.prefix + table, block)
            requests += made
            held = block.held()
            self._ledger.add(table, held[~np.isin(held[:, 1], list(refused))] if refused else held)
        self.refused = self._delivery.refused
        self._pending = {}
        self._committed_rows = self.rows
        if filling and last == self._state.offset:
            self._depth = PackedBooks(self._state.books | self._depth.packed())
        return requests

    def settle(self, last: int, final: bool) -> int:
        """See Sink. Over HTTP: what was seen at two proofs, a minute apart, because a server that loses its power forgets the
        last half minute of what it showed; over TCP: what was sent longer than the replay window ago."""
        now = time.monotonic()
        if self._delivery.transport == "tcp":
            self._settle_by_time(last, now)
            return self._state.offset
        if now - self._watched >= self._watch_seconds:
            self._require_tables()
            self._watched = now
        many = self._ledger.rows >= PROOF_ROWS
        if (final or many or now - self._proven >= self._proof_seconds) and self._visible(final or many):
            self._ledger.prove(self._server, self._target.prefix)
            self._proven = time.monotonic()
            if final:
                self._settled(last, self._depth.packed())
            elif self._before is not None:
                self._settled(*self._before)
            self._before = last, self._depth.packed()
        return self._state.again_from if self._state.again else self._state.offset

    def abandon(self) -> None:
        """See Sink."""
        self._pending = {}
        self.rows = self._committed_rows
        self._ledger.clear()
        self._before = None
        self._sent = []
        self.trouble = ""
        self._delivery.close()

    def close(self) -> None:
        """See Sink."""
        self.abandon()

    def _transport(self) -> str:
        """http or tcp. Once HTTP was seen it is not given up for TCP because of an outage. Raises SinkRetry."""
        if self._target.transport != "auto":
            return self._target.transport
        if not self._state.http_seen and not self._server.answers():
            if not tcp_answers(self._target):
                raise SinkRetry(f"QuestDB answers neither over HTTP nor over TCP at {self._target.host}")
            if not self._target.tables_exist:
                raise SinkRetry("QuestDB answers over TCP only, where tables cannot be checked: see QUESTDB_TABLES_EXIST")
            return "tcp"
        self._state.http_seen = True
        return "http"

    def _mend(self) -> None:
        """Make the tables ours, as far as they can be. Which ones lack rows is durable before the first statement."""
        findings, conflicts = compare(self._server, self._target.prefix)
        self._held |= {table: str(error) for table, error in conflicts.items() if table not in self._held}
        findings = [finding for finding in findings if finding.table not in self._held]
        found = self._state
        renewed = {finding.table for finding in findings if finding.renewed}
        if not found.again:
            found.again_from, found.again_books = found.offset, found.books
        if renewed:
            found.again_from, found.again_books = 0, {}
        lacking = sorted(renewed | set(found.again) | set(self._held))
        if renewed or lacking != found.again:
            found.again = lacking
            sink_state.save(self._memory, found)
        for finding in findings:
            self._server.rows(finding.statement)

    def _require_tables(self) -> None:
        """Raises SinkRetry if a table is not as it must be, or not as it was when the sink was opened."""
        if self._delivery.transport != "http":
            return
        findings, conflicts = compare(self._server, self._target.prefix)
        now = {table: str(error) for table, error in conflicts.items()} | standing(self._server, self._target.prefix).suspended
        if unlike := sorted(now.keys() ^ self._held.keys()):
            said = now | {
                table: f"table {table} takes rows again, what it lacks is sent" for table in self._held if table not in now
            }
            raise SinkRetry("; ".join(said[table] for table in unlike))
        if changed := sorted({finding.table for finding in findings if finding.table not in self._held}):
            raise SinkRetry(f"others changed the tables {', '.join(changed)}: they are mended before anything is sent again")

    def _visible(self, patient: bool) -> bool:
        """Give the server a moment to show what it has acknowledged; False, and trouble, if that takes longer. Raises SinkRetry
        if a table was suspended meanwhile."""
        before = now = self._shown()
        deadline = time.monotonic() + (LAST_WAIT_SECONDS if patient else WAIT_SECONDS)
        while (late := lagging(before, now)) and time.monotonic() < deadline:
            time.sleep(0.05)
            now = self._shown()
        self.trouble = "; ".join(filter(None, (late, *self._held.values())))
        return not late

    def _shown(self) -> dict[str, tuple[int, int]]:
        found = standing(self._server, self._target.prefix)
        if new := found.suspended.keys() - self._held.keys():
            raise SinkRetry("; ".join(found.suspended[table] for table in sorted(new)))
        return {table: numbers for table, numbers in found.shown.items() if table not in self._held}

    def _settled(self, last: int, books: Packed) -> None:
        """Everything below `last` is proven, of the tables that can take rows."""
        found = self._state
        if self._filled and last < found.offset:
            if not self._held:
                found.again_from, found.again_books = last, books
        else:
            self._filled = set()
            found.again = sorted(self._held)
            found.offset, found.books = max(last, found.offset), books
        if not found.again:
            found.again_books = {}
        sink_state.save(self._memory, found)

    def _settle_by_time(self, last: int, now: float) -> None:
        """Everything that was sent longer than the window ago; marks are a second apart."""
        if not self._sent or now - self._sent[-1][0] >= 1.0:
            self._sent.append((now, last, self._depth.packed()))
        old = [mark for mark in self._sent if now - mark[0] >= self._target.replay_window]
        if old:
            self._sent = self._sent[len(old) :]
            self._settled(*old[-1][1:])


def require_usable(target: QuestdbServer) -> None:
    """Refuse, before anything is recorded, tables that cannot be made ours. A server that does not answer is waited for later.
    Raises ConfigError that names the table and the column."""
    if target.transport == "tcp" and target.tables_exist:
        return
    with contextlib.suppress(SinkRetry):
        for error in compare(Server(target), target.prefix)[1].values():
            raise error
