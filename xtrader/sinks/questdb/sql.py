"""SQL over the server's HTTP port: questions, statements, and what their failures mean.

The rule: whatever goes wrong is a SinkRetry that says in one sentence what to look at; no secret is in it.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from xtrader.errors import SinkRetry
from xtrader.sinks.questdb.conf import QuestdbServer

TIMEOUT: Final = 30.0
PROBE_SECONDS: Final = 3.0


class LoginRefused(SinkRetry):
    """The server knows us not, or lets us not do this."""


class StatementRefused(SinkRetry):
    """The server answered a statement with an error."""


class Server:
    """One connection per question: questions are few."""

    def __init__(self, target: QuestdbServer) -> None:
        self._target = target
        self._headers = _login(target)

    def rows(self, query: str) -> list[list[Any]]:
        """The rows of a query, none for a statement. Raises SinkRetry."""
        return list(self._ask("/exec?" + urlencode({"query": query, "nm": "true"}), TIMEOUT).get("dataset", []))

    def answers(self) -> bool:
        """True if something that speaks HTTP is there."""
        try:
            self._ask("/exec?" + urlencode({"query": "select 1"}), PROBE_SECONDS)
        except (LoginRefused, StatementRefused):
            return True
        except SinkRetry:
            return False
        return True

    def _ask(self, path: str, timeout: float) -> dict[str, Any]:
        where = f"{self._target.host}:{self._target.http_port}"
        connection = self._connection(timeout)
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise SinkRetry(f"QuestDB at {where} does not answer: {error}") from None
        finally:
            connection.close()
        if answer.status in (401, 403):
            raise LoginRefused(f"QuestDB at {where} refuses the login ({answer.status}): check QUESTDB_USERNAME and its secret")
        try:
            found = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            raise StatementRefused(f"QuestDB at {where} answers {answer.status} {answer.reason}") from None
        if answer.status != 200 or "error" in found:
            raise StatementRefused(f"QuestDB: {found.get('error', answer.reason)}")
        return found

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._target.host, self._target.http_port
        if not self._target.tls:
            return http.client.HTTPConnection(host, port, timeout=timeout)
        context = ssl.create_default_context(cafile=self._target.tls_roots or None)
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


def tcp_answers(target: QuestdbServer) -> bool:
    """True if something listens on the ILP port."""
    try:
        socket.create_connection((target.host, target.ilp_port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def _login(target: QuestdbServer) -> dict[str, str]:
    if target.password:
        return {"Authorization": "Basic " + base64.b64encode(f"{target.username}:{target.password}".encode()).decode()}
    return {"Authorization": f"Bearer {target.token}"} if target.token and not target.token_x else {}
