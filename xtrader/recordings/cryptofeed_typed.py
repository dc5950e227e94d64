"""cryptofeed's capture of its third version: one file of an exchange, of typed JSON records, one a line, mostly packed by zstd.

    {"t":"header","format":2,"exchange":…,"config":{…},…}            the first line
    {"conn":…,"ts":…,"t":"connect","addr":…}                         connection opened
    {"conn":…,"ts":…,"t":"send","addr":…,"data":…}                   sent by the client
    {"conn":…,"ts":…,"t":"recv","data":…}                            received; binary frames have "b64" instead of "data"
    {"conn":…,"ts":…,"t":"http","url":…,"data":…,"headers":{…}}      REST answer

The fields stand in any order. The lines of one connection are in the order of their times, those of several not always (files that
were converted have the answers first). `ts` is the receiver's clock in epoch seconds with decimals. One rule: what a line means is
decided by its own text alone.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from xtrader.errors import ConfigError
from xtrader.recordings import text
from xtrader.recordings.events import Answered, Event, Opened, Received, Sent
from xtrader.recordings.packed import Cut
from xtrader.recordings.text import Timed, message, ns_from_epoch

FORMAT = 2
_SUFFIX = re.compile(r"(?:\.jsonl)?(?:\.(?:zst|gz))?$")
_EXPECTED = '`{"t":…,"conn":…,"ts":seconds,…}`'


class Record(msgspec.Struct):
    """A line of any kind."""

    t: str
    conn: str = ""
    ts: msgspec.Raw = msgspec.Raw()
    addr: str = ""
    url: str = ""
    data: str | None = None
    b64: str | None = None
    headers: dict[str, str | int | float | None] | None = None
    format: int = 0


_record = msgspec.json.Decoder(Record)
_KINDS = ("header", "connect", "send", "recv", "http")


def recognise(line: bytes) -> bool:
    """True if a line is of this format."""
    try:
        record = _decode(line)
    except ValueError:
        return False
    return record.t in _KINDS and (bool(record.conn) or (record.t == "header" and record.format > 0))


def place(path: Path) -> str:
    """The name of the recording from a file's name."""
    return _SUFFIX.sub("", path.name) or path.name


def connections(path: Path) -> list[str]:
    """The names of the connections in a file. Raises ConfigError if it cannot be read, or is of another version."""
    found: dict[str, None] = {}
    for _, line in text.lines(path):
        try:
            record = None if isinstance(line, Cut) else _decode(line)
        except ValueError:
            continue
        if record is None:
            continue
        if record.t == "header" and record.format != FORMAT:
            raise ConfigError(f"{path} has format {record.format}; this version reads format {FORMAT}")
        if record.conn:
            found[record.conn] = None
    return list(found)


def events(path: Path, connection: str, damage: list[str]) -> Iterator[Event]:
    """The events of one connection of a file in the order of its lines; what cannot be used is left out and told in `damage`."""

    def parse(line: bytes) -> Timed | None:
        record = _decode(line)
        if record.t == "header" or record.conn not in ("", connection):
            return None
        return _event(record)

    return text.events(path, connection, parse, _EXPECTED, damage)


def _decode(line: bytes) -> Record:
    """Raises ValueError if a line is not of this format."""
    try:
        return _record.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _event(record: Record) -> Timed:
    """What a record says. Raises ValueError if it is not of this format."""
    if not record.conn:
        raise ValueError("no connection")
    ts, form = ns_from_epoch(bytes(record.ts))
    match record.t:
        case "connect":
            return Timed(Opened(record.conn, text.url(record.addr.encode()), ts), form)
        case "send":
            return Timed(Sent(record.conn, _payload(record), ts), form)
        case "recv":
            return Timed(Received(record.conn, _payload(record), ts), form)
        case "http":
            headers = {name: str(value) for name, value in (record.headers or {}).items()}
            return Timed(Answered(text.url(record.url.encode()), 200, _payload(record), headers, ts), form)
        case _:
            raise ValueError(f"unknown kind of line {record.t!r}")


def _payload(record: Record) -> bytes:
    """The message of a record: text, or bytes in base64. Only a text has to be a whole message: bytes may be packed."""
    if record.b64 is not None:
        return binascii.a2b_base64(record.b64, strict_mode=True)
    if record.data is None:
        raise ValueError("no message")
    return message(record.data.encode())
