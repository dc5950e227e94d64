"""Ways that lead nowhere are found: names, ports, certificates, proxies."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from tests.objectstore import free_port
from xtrader.doctor.network import encrypted, examine_host, host_and_port, proxy_for


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_a_port_where_nobody_listens_is_wrong() -> None:
    found = asyncio.run(examine_host(f"ws://127.0.0.1:{free_port()}/path"))
    assert [one.level for one in found] == ["ok", "wrong"]
    assert "connection refused" in found[1].words


def test_an_open_port_is_ok() -> None:
    async def main() -> None:
        async with serving() as port:
            assert [one.level for one in await examine_host(f"http://127.0.0.1:{port}")] == ["ok", "ok"]

    asyncio.run(main())


def test_a_name_without_an_address_is_wrong() -> None:
    (found,) = asyncio.run(examine_host("https://nowhere.invalid/a"))
    assert found.level == "wrong"
    assert "getent hosts nowhere.invalid" in found.remedy


@pytest.mark.parametrize("days", [300, 5])
def test_a_certificate_is_judged_by_who_signed_it_and_until_when(tmp_path: Path, days: int) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days, hours=1)
    authority.issue_cert("127.0.0.1", not_after=ends).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def main() -> None:
        async with serving(context) as port:
            found = await examine_host(f"wss://127.0.0.1:{port}")
            assert [one.level for one in found] == ["ok", "wrong"]
            assert "its certificate is not to be trusted: unable to get local issuer" in found[1].words
            trusted = await encrypted("here", "127.0.0.1", port, str(tmp_path / "ca.pem"))
            assert trusted.level == ("ok" if days > 14 else "warning")
            assert f"good for {days} days" in trusted.words
            other = await encrypted("here", "localhost", port, str(tmp_path / "ca.pem"))
            assert other.level == "wrong"
            assert "mismatch" in other.words

    asyncio.run(main())


def test_what_does_not_speak_tls_is_wrong() -> None:
    async def main() -> None:
        async with serving() as port:
            writing = asyncio.create_task(examine_host(f"https://127.0.0.1:{port}"))
            assert (await writing)[1].level == "wrong"

    asyncio.run(main())


def test_where_a_proxy_is_named_the_proxy_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("https_proxy", f"http://user:hidden-word@127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    (found,) = asyncio.run(examine_host("wss://venue.invalid:8443/ws"))
    assert found.level == "wrong"
    assert f"by way of the proxy 127.0.0.1:{port}" in found.words
    assert "hidden-word" not in str(found)
    monkeypatch.setenv("no_proxy", "venue.invalid")
    assert proxy_for("wss://venue.invalid:8443/ws") is None


def test_a_firewall_that_drops_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full takes no further connection, and does not refuse it either."""
    monkeypatch.setattr("xtrader.doctor.network.PATIENCE", 0.3)
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        found = asyncio.run(examine_host(f"ws://127.0.0.1:{full.getsockname()[1]}"))
    assert found[1].level == "wrong"
    assert "a firewall" in found[1].remedy


@pytest.mark.parametrize(
    ("url", "place"), [("wss://a.b/c", ("a.b", 443)), ("ws://a.b", ("a.b", 80)), ("https://a.b:8/", ("a.b", 8))]
)
def test_a_url_leads_to_a_host_and_a_port(url: str, place: tuple[str, int]) -> None:
    assert host_and_port(url) == place
