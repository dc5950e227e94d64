"""One connected client of an emulated venue. Its one rule: nobody waits for it; who does not read is cut."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from struct import pack
from urllib.parse import urlencode

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Event, State

BODY = "body"
"""The name under which a venue's `answer` finds the body of a POST."""


def text_frame(payload: bytes) -> bytes:
    """One whole, unmasked text frame: what a server sends. The same bytes serve all clients."""
    length = len(payload)
    if length < 126:
        return pack("!BB", 0x81, length) + payload
    if length < 65_536:
        return pack("!BBH", 0x81, 126, length) + payload
    return pack("!BBQ", 0x81, 127, length) + payload


class Socket(ServerConnection):
    """A server connection that tells `watch` of every text, ping and pong frame that comes in. A `mute` one keeps what websockets
    itself would send to itself: "pongs", "all", or nothing ("")."""

    watch: Callable[[], None] | None = None
    mute = ""
    _posted = b""
    """A POST of which the rest is still to come."""

    def data_received(self, data: bytes) -> None:
        """websockets reads requests without a body only: a POST becomes the GET with that body as its query."""
        if not self._posted and not data.startswith(b"POST "):
            super().data_received(data)
            return
        self._posted += data
        head, end, body = self._posted.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        if not end or (length is not None and len(body) < int(length[1])):
            return
        self._posted = b""
        path = head.split(b" ", 2)[1].decode()
        super().data_received(f"GET {path}?{urlencode({BODY: body.decode()})} HTTP/1.1\r\nHost: emulator\r\n\r\n".encode())

    def send_data(self) -> None:
        if not self.mute:
            super().send_data()
            return
        for data in self.protocol.data_to_send():
            if data and self.mute == "pongs" and data[0] & 0x0F != Opcode.PONG:
                self.transport.write(data)

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and self.watch is not None and event.opcode in (Opcode.TEXT, Opcode.PING, Opcode.PONG):
            self.watch()
        super().process_event(event)


class Client:
    """A client's socket with an outbox. Frames wait there until the next `flush`, at most a few milliseconds; a client whose
    unread bytes pass `limit` is disconnected, as the venues do. `number` counts the venue's connections."""

    def __init__(self, socket: Socket, limit: int, number: int) -> None:
        request = socket.request
        assert isinstance(request, Request)
        self.socket = socket
        self.number = number
        self.path = request.path
        self.outbox: list[bytes] = []
        self.closing: asyncio.Task[None] | None = None
        self.state = "open"
        """open | frozen (nothing is read or written for the time being) | dead (nothing is written ever again, the socket stays)"""
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self.last_sent = self.last_received = self._loop.time()

    def send(self, text: str | bytes) -> None:
        """Queue one text message."""
        self.outbox.append(text_frame(text.encode() if isinstance(text, str) else text))

    def flush(self) -> None:
        """Write what is queued, without waiting."""
        if self.state == "frozen":
            return
        frames, self.outbox = self.outbox, []
        if self.state == "dead":
            return
        socket = self.socket
        if self.closing is not None or socket.state is not State.OPEN:
            return
        if socket.transport.get_write_buffer_size() > self._limit:
            socket.transport.abort()
            return
        socket.transport.write(b"".join(frames))
        self.last_sent = self._loop.time()

    def freeze(self, state: str) -> None:
        """Become "frozen" (neither read nor write) or "dead" (what is read is forgotten, nothing is written): not even a pong."""
        if self.state == "dead":
            return
        self.flush()
        was_frozen, self.state = self.state == "frozen", state
        self.socket.mute = "all"
        if self.socket.state is State.OPEN:
            if state == "frozen":
                self.socket.transport.pause_reading()
            elif was_frozen:
                # Who does not read never sees that the other side hung up.
                self.socket.transport.resume_reading()

    def thaw(self) -> None:
        """Go on after a freeze; what was queued goes out now."""
        if self.state == "frozen":
            self.state = "open"
            self.socket.mute = ""
            if self.socket.state is State.OPEN:
                self.socket.transport.resume_reading()
            self.flush()

    def cut(self) -> None:
        """Write what is queued, then end the connection without a word."""
        self.flush()
        self.socket.transport.abort()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then the closing handshake, in the background; the connection's handler waits for it."""
        if self.closing is None:
            self.flush()
            self.closing = self._loop.create_task(self.socket.close(code, reason))
