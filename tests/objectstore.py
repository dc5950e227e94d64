"""A real S3 over HTTP for tests: moto's server in a process of its own, and a road to it that can be cut."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.needs import missing
from tests.waiting import wait_until
from xtrader.sinks.manifest import lines_in_force
from xtrader.sinks.object_sink import ObjectSink

KEYS = {"AWS_ACCESS_KEY_ID": "reader-and-writer", "AWS_SECRET_ACCESS_KEY": "very-secret-words", "AWS_REGION": "us-east-1"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Store:
    """The server, and what a bystander sees of it."""

    def __init__(self, port: int) -> None:
        import boto3

        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client: Any = boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id="bystander", aws_secret_access_key="secret", region_name="us-east-1"
        )

    def make_bucket(self, name: str) -> str:
        """A bucket that keeps every version of every object, so that an overwriting shows."""
        self.client.create_bucket(Bucket=name)
        self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def versions(self, bucket: str) -> Counter[str]:
        """Key -> how often it was written or deleted."""
        found: Counter[str] = Counter()
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found.update(one["Key"] for kind in ("Versions", "DeleteMarkers") for one in page.get(kind, ()))
        return found

    def fetch(self, bucket: str, prefix: str, directory: Path) -> Path:
        """All objects below a prefix as files in `directory`; the manifests' pieces joined in the order of their names, as the
        documentation says."""
        for key in sorted(self.versions(bucket)):
            path = directory / key.removeprefix(prefix).lstrip("/")
            content = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
            if path.parent.parent.name == "_manifest":
                path = path.parent.with_name(f"{path.parent.name}.jsonl")
                content = (path.read_bytes() if path.exists() else b"") + content
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return directory


def upload(directory: Path, url: str, collector: str = "c1") -> None:
    """Bring a directory's parts into a store, as the recorder that made them does."""
    sink = ObjectSink(directory, collector, url, keep_local=True)
    last = max(line.last_offset for line in lines_in_force(directory))
    try:
        sink.open(last)
        wait_until(lambda: sink.settle(last, final=False) == last)
    finally:
        sink.close()


class Road:
    """A port on loopback that leads to the store, or does not. `delay` seconds pass before each piece of an answer."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.delay = 0.0
        self.answers_to_lose = 0
        """How many requests reach the store while their answers are lost."""
        self.requests = 0
        self._to = port
        self._listening: socket.socket | None = None
        self._links: set[socket.socket] = set()
        self.open()

    def open(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port))
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and cut those that are there."""
        if self._listening is not None:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None
        for link in list(self._links):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._links |= {near, far}
                for source, sink, answers in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._carry, args=(source, sink, answers), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if answers:
                    self.requests += 1
                    time.sleep(self.delay)
                    if self.answers_to_lose:
                        self.answers_to_lose -= 1
                        break
                sink.sendall(piece)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._links.discard(one)


class Refusal(ThreadingHTTPServer):
    """A store that refuses everything, and counts what it was asked; requests of the method `but` find nothing instead."""

    daemon_threads = True

    def __init__(self, but: str = "") -> None:
        self.requests = 0
        self.but = but
        super().__init__(("127.0.0.1", 0), _Refused)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Refused(BaseHTTPRequestHandler):
    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        assert isinstance(self.server, Refusal)
        self.server.requests += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.send_response(404 if self.command == self.server.but else 403)
        self.send_header("Content-Length", str(0 if self.command == "HEAD" else len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


def server() -> Iterator[Store]:
    """Run the server; skips where it is not installed, fails when CI=true."""
    try:
        import boto3  # noqa: F401
        import moto.server  # noqa: F401
    except ImportError:
        missing("moto[server] is not installed: no S3 to test with")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            assert process.poll() is None, "moto's server died"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        wait_until(answers)
        yield Store(port)
    finally:
        process.kill()
        process.wait()
