"""A nasty network: an HTTP proxy in front of a real server that spoils what it is told to spoil."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from tests.sinks.questdb.server import Server

LARGEST = 4096


class Proxy:
    """`plan` says what happens to the next writes, one word each: lost (committed, but the answer never comes), half (half of
    the answer comes), hang (nothing happens), slow (the answer comes a byte at a time), refused (503). After it, and where
    the word is empty, all goes well. `small`: requests above 4 KiB get 413 and `words`. `login`: the Authorization header
    that is asked of writes and of questions. `again` counts requests that came with the bytes of an earlier one."""

    def __init__(self, server: Server, tls: ssl.SSLContext | None = None) -> None:
        self.login = ""
        self.plan: Iterator[str] = iter(())
        self.small = False
        self.words = b""
        self.spoilt: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.closing = threading.Event()
        proxy = self

        class Handler(_Handler):
            owner = proxy
            upstream = server.http

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def again(self) -> int:
        return sum(self.seen.values()) - len(self.seen)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ClassVar[Proxy]
    upstream: ClassVar[int]

    def do_GET(self) -> None:
        if self._known():
            self._answer(*self._forward(b""))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._known():
            return
        if self.owner.small and len(body) > LARGEST:
            self.owner.spoilt["413"] += 1
            self._answer(413, self.owner.words)
            return
        self.owner.seen[hashlib.sha256(body).hexdigest()] += 1
        fault = next(self.owner.plan, "")
        self.owner.spoilt[fault] += 1
        if fault == "hang":
            self.owner.closing.wait(20)
            self.close_connection = True
            return
        if fault == "refused":
            self._answer(503, b"busy")
            return
        status, answer = self._forward(body)
        if fault == "lost":
            self.close_connection = True
        elif fault == "half":
            self.wfile.write(b"HTTP/1.1 204 No Con")
            self.close_connection = True
        elif fault == "slow":
            for byte in b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n":
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)
        else:
            self._answer(status, answer)

    def _known(self) -> bool:
        known = not self.owner.login or self.headers["Authorization"] == self.owner.login
        if not known:
            self._answer(401, b"Unauthorized")
        return known

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        try:
            connection.request(self.command, self.path, body or None, dict(self.headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
