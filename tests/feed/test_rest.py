"""How long a venue may send us away, what it says was used, by its headers, and to where it may send us on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from xtrader.clock import SystemClock
from xtrader.feed import link
from xtrader.feed.rest import LONGEST_BAN, REDIRECTS, Rest, RestFailed, _retry_after
from xtrader.venues import market
from xtrader.venues.base import Fetch


@asynccontextmanager
async def web_server(location: str) -> AsyncIterator[tuple[int, list[str]]]:
    """Answers `/end` with 200 and everything else with a redirect to `location` (PORT is its own); its port, and what was asked."""
    asked: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        asked.append(path)
        own = writer.get_extra_info("sockname")[1]
        said = f"302 Found\r\nLocation: {location.replace('PORT', str(own))}" if path != "/end" else "200 OK"
        writer.write(f"HTTP/1.1 {said}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def ask(port: int) -> tuple[int, bytes]:
    asked = market("OKX_SWAP", {"XTRADER_OKX_SWAP_REST_URL": f"http://127.0.0.1:{port}"})
    async with Rest(SystemClock()) as rest:
        return await rest.get(asked, Fetch(key="k", purpose="probe", path="/begin", params=(("a", "b"),), weight=1))


def test_a_redirect_within_the_address_is_followed_and_an_endless_one_is_a_failure() -> None:
    async def main() -> None:
        async with web_server("/end") as (port, asked):
            assert await ask(port) == (200, b"{}")
            assert asked == ["/begin?a=b", "/end"]
        async with web_server("/begin") as (port, asked):
            with pytest.raises(RestFailed, match=f"more than {REDIRECTS} redirects"):
                await ask(port)
            assert len(asked) == REDIRECTS + 1

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["http", "ws"])
@pytest.mark.parametrize("elsewhere", ["://127.0.0.1:{other}/end", "://localhost:PORT/end", "s://127.0.0.1:PORT/end"])
def test_a_redirect_to_another_port_host_or_scheme_is_not_followed(scheme: str, elsewhere: str) -> None:
    async def main() -> None:
        async with (
            web_server("/end") as (other, asked_there),
            web_server(scheme + elsewhere.format(other=other)) as (port, asked),
        ):
            going = ask(port) if scheme == "http" else link.connect(f"ws://127.0.0.1:{port}/begin", lambda payload, ts: None)
            with pytest.raises((RestFailed, link.LinkFailed), match="which is not followed"):
                await going
            assert (asked_there, len(asked)) == ([], 1)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30), ("0", 1), ("", 10), ("soon", 10), ("-5", 10), ("9999999999", LONGEST_BAN), ("9" * 5000, 10), ("\u00b2", 10)],
)
def test_a_retry_after_header_is_believed_up_to_the_longest_known_ban(header: str, seconds: float) -> None:
    assert _retry_after(header, 10.0) == seconds


def test_an_epoch_in_milliseconds_is_the_time_until_then() -> None:
    assert 50 < _retry_after(str(int((time.time() + 60) * 1000)), 10.0) <= 60


@pytest.mark.parametrize(("header", "left"), [("7", 1913), ("\u00b2", 1920), ("9" * 5000, 1920), ("-3", 1920), ("", 1920)])
def test_a_used_weight_that_is_no_number_says_nothing(header: str, left: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-MBX-USED-WEIGHT-1M: {header}\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    async def main() -> int:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        venue = market("BINANCE_FUTURES", {"XTRADER_BINANCE_FUTURES_REST_URL": f"http://127.0.0.1:{port}"})
        async with server, Rest(SystemClock()) as rest:
            assert await rest.get(venue, Fetch("", "probe", "/x", weight=0)) == (200, b"{}")
            return rest.budget(venue).left()

    assert asyncio.run(main()) == left
