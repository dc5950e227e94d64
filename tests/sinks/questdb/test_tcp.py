"""ILP over TCP in front of a real server: logins by key, and encryption, which something in front of the server must add."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sinks.contract import by_kind, feed, sample
from tests.sinks.questdb import reading
from tests.sinks.questdb.server import Server
from tests.waiting import wait_until
from xtrader.errors import SinkRetry
from xtrader.records.batches import Session
from xtrader.sinks.questdb.conf import target
from xtrader.sinks.questdb.sink import QuestdbSink

TCP = {"QUESTDB_TRANSPORT": "tcp", "QUESTDB_TABLES_EXIST": "true"}


def text(number: int) -> str:
    """32 bytes as they are written in QuestDB's file of keys and in the client's configuration."""
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def key() -> dict[str, str]:
    """A new key as xtrader's variables."""
    made = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    public = made.public_numbers
    return {
        "QUESTDB_USERNAME": "writer",
        "QUESTDB_TOKEN": text(made.private_value),
        "QUESTDB_TOKEN_X": text(public.x),
        "QUESTDB_TOKEN_Y": text(public.y),
    }


def make_tables(server: Server, directory: Path, prefix: str) -> None:
    made = QuestdbSink(target(server.variables() | {"QUESTDB_TABLE_PREFIX": prefix}), directory / "made", directory / "refused")
    made.open(8)
    made.close()


def deliver(variables: dict[str, str], directory: Path, first: int, last: int, times: int = 1) -> None:
    made = QuestdbSink(target(variables), directory / "state", directory / "refused")
    made.open(8)
    made.write(Session(1, "c1", {}, []))
    for _ in range(times):
        feed(made, sample(first, last))
        made.commit(8, 16)
    made.close()


def until_there(server: Server, prefix: str, count: int) -> None:
    wait_until(lambda: len(reading.everything(server, prefix)) >= count)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server that takes rows over TCP only from whoever has the key; the key."""
    root = tmp_path_factory.mktemp("guarded")
    allowed = key()
    (root / "conf").mkdir()
    line = f"writer ec-p-256-sha256 {allowed['QUESTDB_TOKEN_X']} {allowed['QUESTDB_TOKEN_Y']}\n"
    (root / "conf" / "keys").write_text(line)
    server = Server(root, **{"line.tcp.auth.db.path": "conf/keys"})
    server.start()
    yield server, allowed
    server.stop()


def test_a_key_logs_in_over_tcp(guarded: tuple[Server, dict[str, str]], prefix: str, tmp_path: Path) -> None:
    server, allowed = guarded
    make_tables(server, tmp_path, prefix)
    deliver(server.variables() | TCP | allowed | {"QUESTDB_TABLE_PREFIX": prefix}, tmp_path, 0, 50)
    until_there(server, prefix, 100)
    assert by_kind(reading.everything(server, prefix)) == by_kind(sample(0, 50))


def test_a_key_that_the_server_does_not_know_brings_nothing_into_the_tables(
    guarded: tuple[Server, dict[str, str]], prefix: str, tmp_path: Path
) -> None:
    server, allowed = guarded
    make_tables(server, tmp_path, prefix)
    variables = server.variables() | TCP | {"QUESTDB_TABLE_PREFIX": prefix}
    # TCP answers nothing: the server hangs up, which is seen when more is sent.
    with pytest.raises(SinkRetry):
        deliver(variables | key(), tmp_path, 0, 500, times=50)
    deliver(variables | allowed, tmp_path, 500, 510)
    until_there(server, prefix, 20)
    assert by_kind(reading.everything(server, prefix)) == by_kind(sample(500, 510))


@pytest.fixture
def tunnel(server: Server, tmp_path: Path) -> Iterator[tuple[int, str]]:
    """What stands before the server's ILP port and speaks TLS: its port, and the file of its authority."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    listening = socket.create_server(("127.0.0.1", 0))

    def carry(plain: socket.socket) -> None:
        try:
            with context.wrap_socket(plain, server_side=True) as secure:
                with socket.create_connection(("127.0.0.1", server.ilp)) as behind:
                    while data := secure.recv(1 << 16):
                        behind.sendall(data)
        except OSError:
            plain.close()

    def accept() -> None:
        while True:
            try:
                threading.Thread(target=carry, args=(listening.accept()[0],), daemon=True).start()
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1], str(tmp_path / "roots.pem")
    listening.close()


def test_rows_go_over_encrypted_tcp(server: Server, prefix: str, tmp_path: Path, tunnel: tuple[int, str]) -> None:
    port, roots = tunnel
    make_tables(server, tmp_path, prefix)
    variables = server.variables() | TCP | {"QUESTDB_TABLE_PREFIX": prefix, "QUESTDB_ILP_PORT": str(port)}
    deliver(variables | {"QUESTDB_TLS_ROOTS": roots}, tmp_path, 0, 50)
    until_there(server, prefix, 100)
    assert by_kind(reading.everything(server, prefix)) == by_kind(sample(0, 50))


def test_over_tcp_a_certificate_of_nobody_known_is_not_accepted(
    server: Server, prefix: str, tmp_path: Path, tunnel: tuple[int, str]
) -> None:
    port, _ = tunnel
    variables = server.variables() | TCP | {"QUESTDB_TABLE_PREFIX": prefix, "QUESTDB_ILP_PORT": str(port)}
    with pytest.raises(SinkRetry, match=r"(?i)certificate"):
        deliver(variables | {"QUESTDB_TLS": "true"}, tmp_path, 0, 50)
