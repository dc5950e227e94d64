"""Alerts that fire are told, as an HTTP server says them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.objectstore import free_port
from xtrader.doctor.firing_alerts import firing
from xtrader.errors import ConfigError


@contextmanager
def prometheus(body: bytes, status: int = 200) -> Iterator[str]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/v1/alerts" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def alert(name: str, state: str, severity: str) -> dict[str, object]:
    return {
        "state": state,
        "labels": {"alertname": name, "severity": severity},
        "annotations": {"summary": f"{name} it is"},
        "value": "1",
    }


def test_alerts_that_fire_are_told_by_their_severity() -> None:
    found = [alert("A", "firing", "critical"), alert("B", "firing", "warning"), alert("C", "pending", "critical")]
    with prometheus(json.dumps({"status": "success", "data": {"alerts": found}}).encode()) as url:
        told = list(firing(url))
    assert [(one.level, one.about, one.words) for one in told] == [
        ("wrong", "alert A", "A it is"),
        ("warning", "alert B", "B it is"),
    ]


def test_where_none_fires_that_is_said() -> None:
    with prometheus(b'{"status":"success","data":{"alerts":[]}}') as url:
        (told,) = firing(url + "/")
    assert (told.level, told.words) == ("ok", "none fires")


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 200), (b"{}", 200), (b"no", 503)])
def test_one_that_does_not_answer_as_it_should_is_wrong(body: bytes, status: int) -> None:
    with prometheus(body, status) as url:
        (told,) = firing(url)
    assert told.level == "wrong"


def test_one_that_is_not_there_is_wrong_and_no_url_an_error() -> None:
    (told,) = firing(f"http://127.0.0.1:{free_port()}")
    assert told.level == "wrong"
    with pytest.raises(ConfigError, match="is not the URL of a Prometheus"):
        list(firing("file:///etc/passwd"))
