"""Recordings of others in xtrader's own raw format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xtrader.recordings.detect import open_recordings
from xtrader.recordings.events import Answered, Opened, Received, Sent
from xtrader.recordings.raw import RawWriter


def copy_raw(files: Sequence[Path], directory: Path) -> None:
    """Write one recording of one connection as the recorder would have written it."""
    (recording,) = open_recordings(files)
    writer: RawWriter | None = None
    for event in recording.events():
        match event:
            case Opened():
                writer = RawWriter(directory, "", recording.name, event.url, event.ts)
            case Received() if writer is not None:
                writer.received(event.payload, event.ts)
            case Sent() if writer is not None:
                writer.sent(event.payload.decode(), event.ts)
            case Answered() if writer is not None:
                writer.answered(event.url, event.status, event.body, event.headers, event.ts)
    assert writer is not None
    writer.close()
