"""The fast way in and websockets' own way hand on the same messages, whatever the bytes look like on the wire."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect as plain_connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import CloseCode, Frame, Opcode

from tests.waiting import within
from xtrader.feed import link

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def run(loop: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


@asynccontextmanager
async def raw_server(chunks: list[bytes]) -> AsyncIterator[str]:
    """A server that upgrades and then writes exactly these bytes, each chunk in a write of its own."""
    import base64
    import hashlib

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        # The first chunk shares a segment with the end of the handshake, as a busy venue's does.
        writer.write(response + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + (chunks[0] if chunks else b""))
        for chunk in chunks[1:]:
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(chunk)
        await writer.drain()
        # A client that has seen the close frame answers it (first byte 0x88) and waits for the server to hang up.
        said = b""
        while b"\x88" not in said and (more := await reader.read(65536)):
            said += more
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def by_fast_way(url: str) -> tuple[list[bytes], int | None]:
    got: list[bytes] = []
    connection = await link.connect(url, lambda payload, ts: got.append(bytes(payload)))
    await within(link.closed(connection))
    return got, connection.close_code


async def by_websockets(url: str) -> tuple[list[bytes], int | None]:
    got: list[bytes] = []
    async with plain_connect(url, compression=None, max_size=link.MAX_MESSAGE) as connection:
        try:
            while True:
                got.append(await connection.recv(decode=False))
        except Exception:
            return got, connection.close_code


messages = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.integers(0, 200)),
        st.tuples(st.just("text"), st.sampled_from([125, 126, 127, 65535, 65536, 300_000])),
        st.tuples(st.just("binary"), st.integers(0, 300)),
        st.tuples(st.just("fragments"), st.integers(1, 400)),
        st.tuples(st.just("ping"), st.integers(0, 125)),
        st.tuples(st.just("pong"), st.integers(0, 125)),
    ),
    max_size=12,
)


def stream_of(kinds: list[tuple[str, int]], noise: random.Random) -> bytes:
    out = b""
    for kind, size in kinds:
        data = bytes(noise.choices(b"abcdefgh{}[]\"'", k=size))
        match kind:
            case "text":
                out += frame(Opcode.TEXT, data)
            case "binary":
                out += frame(Opcode.BINARY, data)
            case "fragments":
                cut = noise.randrange(size + 1)
                out += frame(Opcode.TEXT, data[:cut], fin=False)
                out += frame(Opcode.PING, b"between")
                out += frame(Opcode.CONT, b"", fin=False)
                out += frame(Opcode.CONT, data[cut:])
            case "ping":
                out += frame(Opcode.PING, data)
            case "pong":
                out += frame(Opcode.PONG, data)
    return out + frame(Opcode.CLOSE, CloseCode.GOING_AWAY.to_bytes(2, "big"))


@settings(max_examples=60, deadline=None)
@given(kinds=messages, seed=st.integers(0, 2**32), pieces=st.integers(1, 40), loop=st.sampled_from(LOOPS))
def test_both_ways_hand_on_the_same_messages_however_the_stream_is_cut(
    kinds: list[tuple[str, int]], seed: int, pieces: int, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    noise = random.Random(seed)
    stream = stream_of(kinds, noise)
    cuts = sorted(noise.randrange(len(stream) + 1) for _ in range(pieces))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    async def both() -> None:
        async with raw_server(chunks) as url:
            assert await by_fast_way(url) == await by_websockets(url)

    run(loop, both())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(frame(Opcode.TEXT, b"a", fin=False) + frame(Opcode.TEXT, b"b"), id="text inside a fragmented message"),
        pytest.param(frame(Opcode.CONT, b"a"), id="continuation of nothing"),
        pytest.param(Frame(Opcode.TEXT, b"masked").serialize(mask=True), id="masked by the server"),
        pytest.param(b"\xc1\x01a", id="compressed without agreement"),
        pytest.param(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), id="announces a terabyte"),
        pytest.param(b"\x83\x00", id="unknown opcode"),
    ],
)
def test_what_breaks_the_protocol_ends_the_connection_as_websockets_ends_it(
    loop: Callable[[], asyncio.AbstractEventLoop], broken: bytes
) -> None:
    async def main() -> None:
        async with raw_server([frame(Opcode.TEXT, b"good"), broken]) as url:
            got, code = await by_fast_way(url)
            assert got == [b"good"]
            assert code == 1006

    run(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_cut_in_the_middle_of_a_frame_ends_with_1006(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async def handle(connection: ServerConnection) -> None:
            await connection.send("whole")
            connection.transport.write(frame(Opcode.TEXT, b"half of it")[:6])
            await asyncio.sleep(0.05)
            connection.transport.abort()

        async with serve(handle, "127.0.0.1", 0) as server:
            got, code = await by_fast_way(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert (got, code) == ([b"whole"], 1006)

    run(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_pings_are_answered_and_messages_pass_over_tls_with_and_without_compression(
    loop: Callable[[], asyncio.AbstractEventLoop], compression: str | None
) -> None:
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    sent = ["x" * size for size in (0, 1, 125, 126, 70_000, 2_000_000)]

    async def main() -> None:
        async def handle(connection: ServerConnection) -> None:
            for message in sent:
                await connection.send(message)
                await within(await connection.ping())
            assert await connection.recv() == "hello"

        got: list[str] = []
        async with serve(handle, "localhost", 0, ssl=server_context, compression=compression) as server:
            url = f"wss://localhost:{server.sockets[0].getsockname()[1]}"
            before = time.time_ns()
            stamps: list[int] = []

            def take(payload: memoryview, ts_recv: int) -> None:
                got.append(bytes(payload).decode())
                stamps.append(ts_recv)

            connection = await link.connect(url, take, ssl=client_context, compression=compression)
            await link.send(connection, "hello")
            failed = await within(link.closed(connection))
        assert got == sent
        times = [before, *stamps, time.time_ns()]
        assert times == sorted(times)
        assert "1000" in str(failed)

    run(loop, main())


def test_an_untrusted_certificate_is_refused() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def main() -> None:
        async def handle(connection: ServerConnection) -> None:
            await connection.wait_closed()

        async with serve(handle, "localhost", 0, ssl=context) as server:
            with pytest.raises(link.LinkFailed, match="certificate verify failed"):
                await link.connect(f"wss://localhost:{server.sockets[0].getsockname()[1]}", lambda payload, ts: None)

    asyncio.run(main())


def test_a_refused_handshake_and_a_refused_connection_are_link_failures() -> None:
    async def main() -> None:
        async def handle(connection: ServerConnection) -> None:
            await connection.wait_closed()

        async with serve(handle, "127.0.0.1", 0, process_request=lambda c, r: c.respond(429, "slow down\n")) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(link.LinkFailed, match="HTTP status 429"):
                await link.connect(f"ws://127.0.0.1:{port}", lambda payload, ts: None)
        with pytest.raises(link.LinkFailed, match="no connection"):
            await link.connect(f"ws://127.0.0.1:{port}", lambda payload, ts: None)

    asyncio.run(main())
