"""cryptofeed's raw collection text, one record per line. One rule: what a line means is decided by its own text alone.

    wss://url <-> ts                              connection opened
    wss://url <- ts: payload                      sent by the client
    https://url -> ts: body [ header: {json}]     REST response
    ts: payload                                   received
    configuration: {json}                         the collector's own settings; of no use here

`ts` is the receiver's clock in epoch seconds with decimals. A recording is several files: `NAME.0.gz` the catalogue,
`NAME.http.0.0.gz` the REST answers, `NAME.ws.1.0.gz` connection 1, each with further parts `….1.gz`, `….2.gz` as it grew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from xtrader.recordings import text
from xtrader.recordings.events import Answered, Event, Opened, Received, Sent
from xtrader.recordings.text import Timed, message, ns_from_epoch

_NAME = re.compile(r"(?P<name>.+?)(?:\.(?P<kind>[A-Za-z]+\.\d+))?\.(?P<part>\d+)(?:\.gz)?")
_FIRST = re.compile(rb"\d{10,19}(?:\.\d+)?: |wss?://\S+ (?:<->|<-) \d|https?://.+? -> \d+(?:\.\d+)?: |configuration: \{")
_HEADER = b" header: {"
_EXPECTED = "`seconds: payload` or `url <->, <- or -> seconds`"


def recognise(line: bytes) -> bool:
    """True if a line is of this format."""
    return _FIRST.match(line) is not None


def place(path: Path) -> tuple[str, str, int]:
    """(name of the recording, name of the connection in it, number of the part) from a file's name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return "", path.name, 0
    return match["name"], match["kind"] or "catalogue", int(match["part"])


def events(path: Path, connection: str, damage: list[str]) -> Iterator[Event]:
    """The events of one file in the order of its lines; what cannot be used is left out and told in `damage`."""
    return text.events(path, connection, lambda line: parse(line, connection), _EXPECTED, damage)


def parse(line: bytes, connection: str) -> Timed | None:
    """One line; None for the collector's settings. Raises ValueError if it is not of this format."""
    if line.startswith(b"configuration: "):
        return None
    if line[:1].isdigit():
        ts, form, payload = _time_and(line)
        return Timed(Received(connection, message(payload), ts), form)
    if line.startswith((b"wss://", b"ws://")):
        url, _, rest = line.partition(b" ")
        arrow, _, rest = rest.partition(b" ")
        if arrow == b"<->":
            ts, form = ns_from_epoch(rest)
            return Timed(Opened(connection, text.url(url), ts), form)
        ts, form, payload = _time_and(rest)
        if arrow != b"<-":
            raise ValueError("no arrow")
        return Timed(Sent(connection, message(payload), ts), form)
    if line.startswith((b"https://", b"http://")):
        url, found, rest = line.partition(b" -> ")
        if not found:
            raise ValueError("no arrow")
        ts, form, body = _time_and(rest)
        body, headers = _split_headers(body)
        return Timed(Answered(text.url(url), 200, message(body), headers, ts), form)
    raise ValueError("unknown kind of line")


def _time_and(line: bytes) -> tuple[int, text.Form, bytes]:
    """`seconds: payload` -> time in ns, how it is written, payload."""
    time, found, payload = line.partition(b": ")
    if not found:
        raise ValueError("no payload")
    return *ns_from_epoch(time), payload


def _split_headers(body: bytes) -> tuple[bytes, Mapping[str, str]]:
    """Take the response headers off the end of a body, if they are there."""
    start = body.rfind(_HEADER)
    if start < 0:
        return body, {}
    try:
        headers = json.loads(body[start + len(_HEADER) - 1 :])
    except ValueError:
        return body, {}
    return body[:start], {str(name): str(value) for name, value in headers.items()}
