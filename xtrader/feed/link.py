"""One websocket: websockets' own client with a fast way in for whole data frames. No other file of the feed imports websockets.

Whole, unmasked, unfragmented, uncompressed data frames go straight from the socket's buffer to a callback. Everything else
(handshake, fragments, compressed frames, ping, pong, close, what breaks the protocol) goes, a whole frame at a time, through
websockets itself, so that its parser is never left in the middle of a frame and both ways see the frames in order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from ssl import SSLContext
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import Event, State
from websockets.uri import parse_uri

from xtrader.errors import VenueError

OnMessage: TypeAlias = Callable[[memoryview, int], None]
"""Takes one whole message and the wall time (ns) at which its last bytes left the socket. The payload is valid only during
the call. Must not raise."""

MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes of one message; the largest real ones (a full Deribit catalogue by websocket) are 4 MB."""
_BUFFER = 256 * 1024
_HEAD_END = b"\r\n\r\n"


class LinkFailed(VenueError):
    """The connection could not be made or came to its end."""


class Connection(ClientConnection):
    """A client connection whose messages go to `on_message` instead of `recv()`."""

    def __init__(self, on_message: OnMessage, now: Callable[[], int], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_message = on_message
        self.now = now
        self.ts_recv = 0
        self._fragments: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_protocol(_FrameReader(self))

    def process_event(self, event: Event) -> None:
        """Messages that came the slow way: put fragments together, hand on whole messages."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        if event.fin and not self._fragments:
            self.on_message(memoryview(bytes(event.data)), self.ts_recv)
            return
        self._fragments.append(bytes(event.data))
        if event.fin:
            whole = b"".join(self._fragments)
            self._fragments.clear()
            self.on_message(memoryview(whole), self.ts_recv)


class _Connect(websockets_connect):
    """Follows a redirect only within the address that was configured."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        found = super().process_redirect(exc)
        if not isinstance(found, str):
            return found
        old, new = self.ws_uri, parse_uri(found)
        if (old.secure, old.host, old.port) == (new.secure, new.host, new.port):
            return found
        return InvalidHandshake(f"redirected to {new.host}:{new.port}, which is not followed")


class _FrameReader(asyncio.BufferedProtocol):
    """What the transport reads into: cuts the byte stream into frames and decides which way each one goes."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.protocol = connection.protocol
        self._now = connection.now
        self.buffer = bytearray(_BUFFER)
        self.view = memoryview(self.buffer)
        self.end = 0
        self.is_open = False
        # connection_made was called on the connection before this reader took its place in the transport.
        self.connection_lost = connection.connection_lost  # type: ignore[method-assign]
        self.pause_writing = connection.pause_writing  # type: ignore[method-assign]
        self.resume_writing = connection.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        if self.end == len(self.buffer):
            self._grow(2 * len(self.buffer))
        return self.view[self.end :]

    def buffer_updated(self, nbytes: int) -> None:
        ts_recv = self._now()
        end = self.end + nbytes
        self.connection.ts_recv = ts_recv
        position = 0
        if not self.is_open:
            position = self._handshake(end)
        if self.is_open:
            position = self._frames(position, end, ts_recv)
        rest = end - position
        if rest and position:
            self.view[:rest] = bytes(self.view[position:end])
        self.end = rest
        if not rest and len(self.buffer) > _BUFFER:
            self._grow(_BUFFER)

    def eof_received(self) -> bool | None:
        if self.end:
            # What is left is half a frame or half a handshake: websockets knows what to say about it.
            self.connection.data_received(bytes(self.view[: self.end]))
            self.end = 0
        self.connection.eof_received()
        return None

    def _handshake(self, end: int) -> int:
        """Pass the HTTP response on, and not a byte of the first frame with it; the position that was reached."""
        found = self.buffer.find(_HEAD_END, 0, end)
        if found < 0 and end < 64 * 1024:
            return 0
        position = end if found < 0 else found + len(_HEAD_END)
        self.connection.data_received(bytes(self.view[:position]))
        self.is_open = self.protocol.state is State.OPEN
        if self.is_open or position == end:
            return position
        self.connection.data_received(bytes(self.view[position:end]))
        return end

    def _frames(self, position: int, end: int, ts_recv: int) -> int:
        """Hand on every whole frame in the buffer; the position of the first byte that was not used."""
        buffer = self.buffer
        view = self.view
        on_message = self.connection.on_message
        between = self._between_messages()
        while end - position >= 2:
            length = buffer[position + 1]
            start = position + 2
            if length == 126:
                start += 2
                if start > end:
                    return position
                length = buffer[start - 2] << 8 | buffer[start - 1]
            elif length == 127:
                start += 8
                if start > end:
                    return position
                length = int.from_bytes(view[start - 8 : start], "big")
            elif length > 127:
                # A server must not mask: websockets ends the connection for it.
                self.connection.data_received(bytes(view[position:end]))
                return end
            stop = start + length
            if stop > end:
                if length > MAX_MESSAGE:
                    # Refused by its length: websockets ends the connection when it sees the header.
                    self.connection.data_received(bytes(view[position:end]))
                    return end
                return position
            first = buffer[position]
            if between and (first == 0x81 or first == 0x82):
                on_message(view[start:stop], ts_recv)
            else:
                self.connection.data_received(bytes(view[position:stop]))
                between = self._between_messages()
            position = stop
        return position

    def _between_messages(self) -> bool:
        """The next frame begins a message of an open connection."""
        return self.protocol.current_size is None and self.protocol.state is State.OPEN

    def _grow(self, size: int) -> None:
        kept = bytes(self.view[: self.end])
        self.buffer = bytearray(size)
        self.view = memoryview(self.buffer)
        self.view[: len(kept)] = kept


async def connect(
    url: str,
    on_message: OnMessage,
    *,
    ssl: SSLContext | None = None,
    compression: str | None = None,
    open_timeout: float = 10.0,
    ping_interval: float | None = 20.0,
    ping_timeout: float | None = 20.0,
    now: Callable[[], int] = time.time_ns,
) -> Connection:
    """Open `url` (certificates verified, proxies by the usual variables; a redirect to another host or port is not followed).
    `now` gives the wall time in ns. Raises LinkFailed.

    permessage-deflate costs 4-5 us a frame, so it is not asked for unless told.
    """

    def create(*args: Any, **kwargs: Any) -> Connection:
        return Connection(on_message, now, *args, **kwargs)

    options: dict[str, Any] = {"ssl": ssl} if ssl is not None else {}
    try:
        made = await _Connect(
            url,
            create_connection=create,  # type: ignore[arg-type]
            compression=compression,
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=3.0,
            max_size=MAX_MESSAGE,
            user_agent_header="xtrader",
            **options,
        )
    except InvalidStatus as error:
        raise LinkFailed(without_login(url), f"HTTP status {error.response.status_code} instead of a websocket") from error
    except (InvalidHandshake, InvalidURI, OSError, EOFError, ConnectionClosed) as error:
        raise LinkFailed(without_login(url), f"no connection: {describe(error)}") from error
    assert isinstance(made, Connection)
    return made


async def closed(connection: Connection) -> LinkFailed:
    """Wait for the end of the connection and say how it came."""
    await connection.wait_closed()
    code = connection.close_code
    reason = connection.close_reason
    cause = connection.protocol.close_exc
    said = f"closed with code {code}" + (f" ({reason})" if reason else "")
    if cause.__cause__ is not None:
        said += f": {describe(cause.__cause__)}"
    return LinkFailed(connection.protocol.uri.host, said)


async def send(connection: Connection, payload: str) -> None:
    """Send a text message. Raises LinkFailed if the connection is gone."""
    try:
        await connection.send(payload)
    except ConnectionClosed as error:
        raise LinkFailed(connection.protocol.uri.host, f"closed while sending: {describe(error)}") from error


def without_login(url: str) -> str:
    """A URL as it may be shown, and stored in a coverage row."""
    scheme, separator, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return scheme + separator + place.rpartition("@")[2] + slash + path


def describe(error: BaseException) -> str:
    """An error in a few words; many of them have no text of their own."""
    return str(error) or type(error).__name__
