"""How long a venue may send us away, and what it says was used, by its headers."""

from __future__ import annotations

import asyncio
import time

import pytest

from xtrader.clock import SystemClock
from xtrader.feed.rest import LONGEST_BAN, Rest, _retry_after
from xtrader.venues import market
from xtrader.venues.base import Fetch


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
