"""Rows to the server: one table a request, the whole of it or nothing, and what the server will never take set aside.

The rule: only a row that the server refuses by itself, in a table that is as it must be, is set aside; everything else is
the server's bad time, and is waited out by sending the same bytes again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from questdb import QuestDBError, QuestDBErrorCode, Sender

from xtrader.errors import SinkRetry
from xtrader.sinks.questdb.conf import QuestdbServer
from xtrader.sinks.questdb.sql import LoginRefused
from xtrader.sinks.questdb.table_rows import Block
from xtrader.sinks.refused import RefusedFile

REQUEST_ROWS: Final = 20_000
_TOO_LARGE: Final = ("413", "too large", "Too Large")
_NOT_THE_ROW: Final = (
    "No space left",
    "suspended",
    "read only",
    "read-only",
    "table does not exist",
    "out of memory",
    "permission",
)


class QuestdbSender:
    """A connection that is made when it is needed. `check` is called before a row is given up: it raises SinkRetry if the
    table is not as it must be. `set_aside` is the file of rows that were given up, a JSON object a line."""

    def __init__(self, target: QuestdbServer, set_aside: Path, check: Callable[[], None]) -> None:
        self.transport = ""
        self._target = target
        self._set_aside = RefusedFile(set_aside, ("digest",))
        self._check = check
        self._sender: Sender | None = None

    def open(self, transport: str) -> None:
        """Speak `http` or `tcp` from now on. Raises OSError."""
        self.transport = transport
        self._set_aside.load()

    @property
    def refused(self) -> int:
        """Rows set aside."""
        return self._set_aside.count

    def send(self, table: str, block: Block) -> tuple[int, set[int]]:
        """Deliver rows into a table; returns how many requests that took and the digests of rows that were set aside. Raises
        SinkRetry, OSError (the file of refused rows)."""
        requests = 0
        refused: set[int] = set()
        for first in range(0, len(block), REQUEST_ROWS):
            requests += self._send(table, block, first, min(first + REQUEST_ROWS, len(block)), refused)
        return requests, refused

    def close(self) -> None:
        """Drop the connection; what was not flushed is gone."""
        if self._sender is not None:
            with contextlib.suppress(QuestDBError):
                self._sender.close(flush=False)
            self._sender = None

    def _send(self, table: str, block: Block, first: int, last: int, refused: set[int]) -> int:
        sender = self._connected()
        buffer = sender.new_buffer()
        several = last - first > 1
        try:
            buffer.dataframe(block.frame.iloc[first:last], table_name=table, symbols=block.symbols, at="ts")
        except (QuestDBError, ValueError, OverflowError) as error:
            is_early = bool((block.ts[first:last] < 0).any())
            if isinstance(error, QuestDBError) and error.code == QuestDBErrorCode.BadDataFrame and not is_early:
                # No row's fault, but that of the client's or of pandas' version. Only of times before 1970 it says the same.
                raise SinkRetry(f"{table}: the client: {error}") from None
            if several:
                return self._halves(table, block, first, last, refused)
            self._give_up(table, block, first, f"the client: {error}", refused)
            return 0
        try:
            sender.flush(buffer, clear=False, transactional=self.transport == "http")
        except QuestDBError as error:
            self.close()
            text = self._explained(error)
            # What stands between often refuses a large request without a word.
            if several and (text.endswith(":") or any(word in text for word in _TOO_LARGE)):
                return self._halves(table, block, first, last, refused)
            if "error in line" not in text or any(word in text for word in _NOT_THE_ROW):
                raise SinkRetry(f"{table}: {text}") from None
            self._check()
            if several:
                return self._halves(table, block, first, last, refused)
            self._give_up(table, block, first, text, refused)
        return 1

    def _halves(self, table: str, block: Block, first: int, last: int, refused: set[int]) -> int:
        middle = (first + last) // 2
        return 1 + self._send(table, block, first, middle, refused) + self._send(table, block, middle, last, refused)

    def _connected(self) -> Sender:
        if self._sender is None:
            sender: Any = Sender.from_conf(self._target.conf(self.transport))
            try:
                sender.establish()
            except QuestDBError as error:
                raise SinkRetry(self._explained(error)) from None
            self._sender = sender
        return self._sender

    def _explained(self, error: QuestDBError) -> str:
        """What the error says, in one line and without secrets."""
        text = " ".join(str(error).replace("\\n", " ").split())
        for secret in filter(None, (self._target.password, self._target.token)):
            text = text.replace(secret, "***")
        if error.code == QuestDBErrorCode.AuthError:
            raise LoginRefused(f"QuestDB refuses the login: {text}") from None
        return text

    def _give_up(self, table: str, block: Block, index: int, reason: str, refused: set[int]) -> None:
        refused.add(int(block.digest[index]))
        self._set_aside.add({"table": table, "reason": reason, **block.row(index)})
