"""Transcripts: conversations with a venue in its real wire text, line by line, and what a session makes of them.

    > text     the session must send this (urgent messages too)
    < text     the venue says this, one second after the line before it
    @ seconds  so much time passes, then the session is called as it is every second
    = words    this record (or Ready, or Fetch) must come out
    # text     a remark

Every output of a step must be listed, in order. Times are seconds since the session began.

A transcript of several sessions with their real times says them itself: `@ ns EXCHANGE subscription…` begins one, `< ns text` and
`200 ns text` (the answer to the oldest open request) come at a time, `GET path` is a request that is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.venues.base import Fetch, MarketSession, Notice, Output, Ready, Send

BEGIN = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


MARKS = ("<", ">", "@", "=", "#", "GET", "200")


def read(path: Path) -> Iterator[tuple[int, str, str]]:
    """The lines of a transcript but for remarks: number, mark, text. AssertionError for one that is no line of a transcript."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark, _, text = line.partition(" ")
        assert not line or mark in MARKS, f"{path.name}:{number} is no line of a transcript: {line}"
        if line and mark != "#":
            yield number, mark, text


def frames(path: Path) -> list[bytes]:
    """What the venue says in a transcript, without its times."""
    heard = [text for _, mark, text in read(path) if mark == "<"]
    return [(text.partition(" ")[2] if text[:1].isdigit() else text).encode() for text in heard]


def told(output: Output) -> str:
    """One output as a line of a transcript."""
    if isinstance(output, Send):
        return f"> {output.payload}"
    if isinstance(output, Coverage):
        until = "" if output.ts_to is None else f"{(output.ts_to - BEGIN) / SECOND:g}"
        span = f"{(output.ts_from - BEGIN) / SECOND:g}..{until}"
        return f"= {output.state} {output.stream} {output.instrument} {span} {output.cause} {output.detail}".rstrip()
    if isinstance(output, Trade):
        return f"= trade {output.instrument} {output.trade_id} {output.side} {output.size:g} at {output.price} ts {output.ts_event}"
    if isinstance(output, BookUpdate):
        kind = "snapshot" if output.is_snapshot else "delta"
        chain = f"{output.prev_sequence}->{output.sequence}"
        return f"= {kind} {output.instrument} {chain} bids {output.bids} asks {output.asks} ts {output.ts_event}"
    if isinstance(output, Ready):
        return f"= ready {output.subscription}"
    if isinstance(output, Notice):
        return f"= notice {output.event} {output.subscription} {output.words}"
    assert isinstance(output, Fetch)
    return f"= fetch {output.purpose} {output.path} {output.params}"


def play(session: MarketSession, path: Path) -> int:
    """Play a transcript and compare; raises AssertionError that names the line. How many outputs it expected."""
    now = BEGIN
    compared = 0
    for number, cause, expected in _steps(path):
        outputs: Iterable[Output]
        if cause == "start":
            outputs = session.start(now)
        elif cause.startswith("@ "):
            now += int(cause[2:]) * SECOND
            outputs = session.idle(now)
        else:
            now += SECOND
            outputs = session.receive(cause[2:].encode(), now)
        assert [told(output) for output in outputs] == expected, f"{path.name}:{number}: {cause[:100]}"
        compared += len(expected)
    return compared


def _steps(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    cause, where, expected = "start", 0, list[str]()
    for number, mark, text in read(path):
        if mark in ("<", "@"):
            yield where, cause, expected
            cause, where, expected = f"{mark} {text}", number, []
        else:
            expected.append(f"{mark} {text}")
    yield where, cause, expected
