"""A journal that is being written, a delivery that follows it into the sink, and the truth to compare the tables with."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from tests.pipeline.numbered import KEYS, trade, update
from tests.sinks.questdb import reading
from tests.sinks.questdb.server import Server
from tests.waiting import LIMIT, wait_until
from xtrader.clock import SystemClock
from xtrader.model.market import Record
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.delivery import Delivery, Order, Orders, Status, follow
from xtrader.pipeline.journal import Journal, open_journal
from xtrader.pipeline.rotation import Rotation
from xtrader.sinks.questdb.conf import target
from xtrader.sinks.questdb.sink import COMMIT_BYTES, QuestdbSink


class Rig:
    """Everything of a recorder but the feeds. The sink proves every second instead of every minute."""

    def __init__(self, directory: Path, server: Server, prefix: str, variables: Mapping[str, str] | None = None) -> None:
        self.truth: list[Record] = []
        self.status = Status(0, 0)
        self.errors: list[str] = []
        self.journal: Journal = open_journal(directory / "journal", "c1", SystemClock(), {})
        self._server = server
        self._prefix = prefix
        options = server.variables() | {"QUESTDB_TABLE_PREFIX": prefix} | (dict(variables) if variables else {})
        self.refused = directory / "refused.jsonl"
        self.sink = QuestdbSink(target(options), directory / "state", self.refused, proof_seconds=1.0, watch_seconds=0.2)
        self._delivery = Delivery(directory / "journal", self.sink, Rotation(0.5, COMMIT_BYTES, free=True), self._report)
        self._orders = Orders()
        self._thread = threading.Thread(target=follow, args=(self._delivery, self._orders), daemon=True)
        self._batcher = Batcher()

    def __enter__(self) -> Rig:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._orders.give(Order(0, finish=True))
        self._thread.join(60)
        self.journal.close()

    def put(self, count: int) -> None:
        """Record the next messages: book messages and trades by turns, over four instruments."""
        start = len(self.truth)
        self.give([(update if number % 2 else trade)(number, KEYS[number % 4]) for number in range(start, start + count)])

    def give(self, rows: list[Record]) -> None:
        """Record these."""
        for row in rows:
            self._batcher.add(row)
        self.truth += rows
        self.journal.append(self._batcher.flush())
        self._orders.give(Order(self.journal.commit()))

    def load(self, seconds: float, rate: int = 2000) -> None:
        """Record at a rate for a while."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.put(rate // 20)
            time.sleep(0.05)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait, recording on a little, until something holds."""

        def held() -> bool:
            if condition():
                return True
            self.put(2)
            return False

        wait_until(held, self._seen, pause=0.1)

    def until_shown(self) -> None:
        """Wait until a recent row is in its table."""
        start = len(self.truth)
        table = f"{self._prefix}trades"
        self.until(lambda: self._server.rows(table) > start // 2)

    def finish(self) -> None:
        """End the recording and wait until the delivery has carried everything."""
        self.journal.append([codec.text_entry(codec.MARK, {})])
        self._orders.give(Order(self.journal.commit(), finish=True))
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), self._seen()
        self._delivery.close()

    def check(self) -> None:
        """After `finish`: the tables hold the truth, row for row, each row once; the cursor is at the end."""
        self.check_rows()
        assert self.status.cursor == self.journal.end

    def check_rows(self) -> None:
        """The same without the cursor. Over TCP the server reads what was sent in its own time, so it is waited for."""
        truth = Counter(map(repr, self.truth))
        missing = further = Counter[str]()

        def is_the_truth() -> bool:
            nonlocal missing, further
            self._server.settle()
            found = Counter(map(repr, [*reading.trades(self._server, self._prefix), *reading.updates(self._server, self._prefix)]))
            missing, further = truth - found, found - truth
            return not missing and not further

        wait_until(is_the_truth, lambda: f"{missing.total()} missing, {list(missing)[:2]}; further {list(further)[:2]}", pause=1.0)

    def _seen(self) -> str:
        return f"{self.status} {self.errors[-3:]}"

    def _report(self, status: Status) -> None:
        self.status = status
        if status.error and (not self.errors or self.errors[-1] != status.error):
            self.errors.append(status.error)
