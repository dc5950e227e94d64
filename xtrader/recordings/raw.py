"""xtrader's own raw format: everything that went over one connection, in one file that `zstd -dc FILE` prints.

A file is a row of blocks, each written at once and readable by itself, so that a kill loses only the block that was not yet
written. A block is a zstd skippable frame of 20 bytes (magic, 12, then three u32, little-endian: packed length, unpacked length,
CRC32 of the packed bytes) and a zstd frame of whole lines:

    O <ts> <n> {"format":1,"exchange":…,"link":…,"url":…}      opened; the first line of a file
    S <ts> <n> <payload>                                       sent
    R <ts> <n> <payload>                                       received, `ts` = ts_recv
    A <ts> <n> {"url":…,"status":…,"headers":{…}}              REST answer, its body in the next line
    B <ts> <n> <body>
    C <ts> 0                                                   closed in good order

`<n>` is the length of what follows in bytes, so that a payload may hold anything. Times are int nanoseconds UTC.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote

import pyarrow as pa

from xtrader.errors import ConfigError, StorageError
from xtrader.recordings import redact
from xtrader.recordings.events import Answered, Closed, Event, Opened, Received, Sent

SUFFIX = ".raw.zst"
BLOCK = 1024 * 1024
"""Bytes of lines after which a block is written."""
INTERVAL = 1_000_000_000
"""Nanoseconds after which a block is written."""
MAX_BLOCK = 256 * 1024 * 1024
"""A block holds at most BLOCK and one message: what claims more is damage."""
_MAGIC = 0x184D2A50
_HEAD = struct.Struct("<IIIII")
_BEGIN = struct.pack("<II", _MAGIC, 12)
_CODEC = pa.Codec("zstd", compression_level=1)


class RawWriter:
    """Writes one connection. Cheap where frames come in: a message is appended to a buffer, which is packed and written when it
    has BLOCK bytes or is a second old by the times that are given. The file is made with the first block, so that attempts to
    connect that came to nothing leave none. Every method raises StorageError when the disk does not take what it writes."""

    def __init__(self, directory: Path, exchange: str, link_name: str, url: str, now: int) -> None:
        self.path: Path | None = None
        """The file, once there is one."""
        self._directory = directory
        self._link_name = link_name
        self._has_secrets = False
        self._is_closed = False
        self._file: IO[bytes] | None = None
        self._head = _json({"format": 1, "exchange": exchange, "link": link_name, "url": redact.url(url)})
        self._begin(now)

    def opened(self, now: int) -> None:
        """The connection stands since `now`: what it took to make it is no part of it. Too late once a message was kept."""
        if len(self._pending) == self._opening != 0:
            self._begin(now)

    def _begin(self, now: int) -> None:
        self._began = self._ts = now
        self._due = now + INTERVAL
        self._pending = bytearray(_line(b"O", now, self._head))
        self._opening = len(self._pending)

    def sent(self, payload: str, ts: int) -> None:
        """A text message went out. Values that look like secrets are not kept; nor are they in what comes back from then on."""
        data = payload.encode()
        clean = redact.json_text(data)
        self._has_secrets = self._has_secrets or clean != data
        self._append(b"S", ts, clean)

    def received(self, payload: bytes | bytearray | memoryview, ts: int) -> None:
        """A whole message came in at `ts`."""
        if self._has_secrets:
            payload = redact.json_text(bytes(payload))
        self._append(b"R", ts, payload)

    def answered(self, url: str, status: int, body: bytes, headers: Mapping[str, str], ts: int) -> None:
        """A REST answer came in."""
        head = {"url": redact.url(url), "status": status, "headers": redact.headers(headers)}
        self._append(b"A", ts, _json(head), is_last=False)
        self._append(b"B", ts, redact.json_text(body))

    def tick(self, now: int) -> None:
        """Write what has waited for a second: to be called while the connection is quiet."""
        self._ts = max(self._ts, now)
        if now >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        self._due = self._ts + INTERVAL
        if len(self._pending) == self._opening:
            return
        packed = _CODEC.compress(self._pending, asbytes=True)
        head = _HEAD.pack(_MAGIC, 12, len(packed), len(self._pending), zlib.crc32(packed))
        try:
            if self._file is None:
                self.path, self._file = _create(self._directory, self._link_name, self._began)
            self._file.write(head + packed)
            self._file.flush()
        except OSError as error:
            raise StorageError(self.path or self._directory, error.strerror or error) from error
        self._pending.clear()
        self._opening = 0

    def close(self) -> None:
        """End the file in good order. Closing twice is harmless; nothing is written if nothing came."""
        if self._is_closed or len(self._pending) == self._opening != 0:
            return
        self._is_closed = True
        self._pending += _line(b"C", self._ts, b"")
        self.flush()
        assert self._file is not None
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StorageError(self.path, error.strerror or error) from error
        finally:
            self._file.close()

    def _append(self, kind: bytes, ts: int, payload: bytes | bytearray | memoryview, *, is_last: bool = True) -> None:
        pending = self._pending
        pending += b"%b %d %d " % (kind, ts, len(payload))
        pending += payload
        pending += b"\n"
        self._ts = ts
        if is_last and (ts >= self._due or len(pending) >= BLOCK):
            self.flush()


def recognise(path: Path) -> bool:
    """True if a file begins as one of ours. Raises ConfigError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_BEGIN)) == _BEGIN
    except OSError as error:
        raise ConfigError(f"cannot read the recording {path}: {error.strerror or error}") from error


def events(path: Path, damage: list[str]) -> Iterator[Event]:
    """The events of one file. Ends with Closed, whatever became of the file; a block that is lost in the middle is a Closed too.

    The connection is named after the file, since every connection has its own. Raises ConfigError if nothing can be read.
    """
    connection = path.name
    ts = 0
    is_open = False
    try:
        with path.open("rb") as file:
            for block in _blocks(file, path.name, damage):
                if block is None:
                    if is_open:
                        yield Closed(connection, ts, "a damaged part of the recording was left out")
                        is_open = False
                    continue
                for event in _parse(block, connection, path.name):
                    ts = event.ts
                    is_open = type(event) is not Closed
                    yield event
    except OSError as error:
        raise ConfigError(f"cannot read the recording {path}: {error.strerror or error}") from error
    if ts == 0:
        raise ConfigError(f"{path} is damaged: not a block of it can be read")
    if is_open:
        yield Closed(connection, ts, "the recording ends here")


def _blocks(file: IO[bytes], name: str, damage: list[str]) -> Iterator[bytes | None]:
    """The lines of each block; None for one that is damaged. After one whose head is damaged the next head is searched for. A block
    that stands there twice is taken once: no two are equal, as they hold times."""
    number = 0
    position = 0
    seen: set[bytes] = set()
    while True:
        file.seek(position)
        head = file.read(_HEAD.size)
        if not head:
            return
        number += 1
        packed = b""
        if len(head) == _HEAD.size and head.startswith(_BEGIN) and max(_HEAD.unpack(head)[2:4]) <= MAX_BLOCK:
            packed = file.read(_HEAD.unpack(head)[2])
        lines = _unpacked(head, packed)
        if lines is not None:
            position += _HEAD.size + len(packed)
            if head in seen:
                damage.append(f"{name}: block {number} stands there twice and was taken once")
            else:
                seen.add(head)
                yield lines
            continue
        following = _find_block(file, position + 1)
        if following is not None:
            damage.append(f"{name}: block {number} is damaged and was left out")
            position = following
            yield None
            continue
        is_torn = _BEGIN.startswith(head[: len(_BEGIN)]) or head.startswith(_BEGIN)
        damage.append(f"{name}: the last block ({number}) is {'torn' if is_torn else 'damaged'} and was left out")
        return


def _unpacked(head: bytes, packed: bytes) -> bytes | None:
    """The lines of a block, None if it is not what its head says."""
    if not packed:
        return None
    _, _, packed_length, length, crc = _HEAD.unpack(head)
    if len(packed) != packed_length or zlib.crc32(packed) != crc:
        return None
    try:
        lines: bytes = _CODEC.decompress(packed, decompressed_size=length, asbytes=True)
    except (OSError, ValueError):
        return None
    return lines


def _find_block(file: IO[bytes], position: int) -> int | None:
    """Where the next block begins, None if there is none."""
    while True:
        file.seek(position)
        piece = file.read(BLOCK)
        found = piece.find(_BEGIN)
        if found >= 0:
            return position + found
        if len(piece) < BLOCK:
            return None
        position += BLOCK - len(_BEGIN)


def _parse(block: bytes, connection: str, name: str) -> Iterator[Event]:
    """The events of one block. Its checksum held, so a line that does not fit was written by another version."""
    position = 0
    answer: dict[str, object] = {}
    try:
        while position < len(block):
            kind = block[position : position + 1]
            after_ts = block.index(b" ", position + 2)
            after_length = block.index(b" ", after_ts + 1)
            ts = int(block[position + 2 : after_ts])
            stop = after_length + 1 + int(block[after_ts + 1 : after_length])
            payload = block[after_length + 1 : stop]
            position = stop + 1
            match kind:
                case b"R":
                    yield Received(connection, payload, ts)
                case b"S":
                    yield Sent(connection, payload, ts)
                case b"O":
                    head = json.loads(payload)
                    if head["format"] != 1:
                        raise ConfigError(f"{name} has format {head['format']}; this version reads format 1")
                    yield Opened(connection, head["url"], ts, head["exchange"])
                case b"A":
                    answer = json.loads(payload)
                case b"B":
                    url, status, headers = str(answer["url"]), int(answer["status"]), dict(answer["headers"])  # type: ignore[call-overload]
                    yield Answered(url, status, payload, headers, ts, connection)
                case b"C":
                    yield Closed(connection, ts, "closed")
                case _:
                    raise ValueError(f"unknown kind {kind!r}")
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{name} is not a raw recording that this version can read: {error}") from error


def _create(directory: Path, link_name: str, now: int) -> tuple[Path, IO[bytes]]:
    """A new file, never one that is there: `OKX_SWAP%2F0-20261121T101112.123456789Z.raw.zst`. Raises OSError.

    Only its owner may read it: what looks like a secret is taken out, but who connects with what stands in it all the same.
    """
    when = datetime.fromtimestamp(now // 1_000_000_000, UTC)
    stem = f"{quote(link_name, safe='')}-{when:%Y%m%dT%H%M%S}.{now % 1_000_000_000:09d}Z"
    directory.mkdir(parents=True, exist_ok=True)
    for attempt in itertools.count():
        path = directory / f"{stem}{f'-{attempt}' if attempt else ''}{SUFFIX}"
        with contextlib.suppress(FileExistsError):
            return path, os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    raise AssertionError("counting has no end")


def _line(kind: bytes, ts: int, payload: bytes) -> bytes:
    return b"%b %d %d %b\n" % (kind, ts, len(payload), payload)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
