"""Over TLS: connections that end in the middle of a record, of a handshake, or without a goodbye are losses like any other."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme

from tests.faults.cases import SYMBOLS
from tests.faults.oracle import judge, teeth
from tests.faults.world import VENUES, Plan, record
from xtrader.emulator.faults import Fault, parse
from xtrader.emulator.server import Emulator

ABORTS = 5
"""Handshakes of a venue that end with an alert."""
FAULTS = ("close_1006:L2:{target}:after=5", "abort_connect:{exchange}:times=2", "truncated:TRADES:{target}:after=20")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a server that everything in this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    # aiohttp reads what it trusts when it is imported.
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("exchange", VENUES)
def test_aborts_within_tls_are_declared_and_recovered_from(exchange: str, server: ssl.SSLContext) -> None:
    aborted: list[str] = []

    def abort(handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        if len(aborted) == ABORTS:
            return None
        aborted.append(exchange)
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR

    def arm(emulator: Emulator) -> Sequence[Fault]:
        server.sni_callback = abort
        target = f"{exchange}@{SYMBOLS[exchange]}"
        return [parse(fault.format(exchange=exchange, target=target)) for fault in FAULTS]

    outcome = record(Plan(venues=[exchange], draw=arm, tls=server))
    assert judge(outcome) == []
    assert outcome.pending == []
    assert len(aborted) == ABORTS
    assert teeth([fault for _, fault in outcome.faults]) == {"close_1006": 1, "abort_connect": 2, "truncated": 1}
    assert outcome.reconnects >= 4
