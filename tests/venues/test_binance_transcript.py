"""A conversation with Binance, line by line: what goes over the wire and exactly which records come of it.

The grammar is that of tests/venues/transcripts.py; records are written out in full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.venues.transcripts import read
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Link, MarketSession, Output, Send

TRANSCRIPT = Path(__file__).with_name("binance.transcript")


def shown(output: Output) -> str:
    """An output as a line of the transcript."""
    if isinstance(output, Send):
        return f"> {output.payload}"
    if isinstance(output, Fetch):
        query = "&".join(f"{name}={value}" for name, value in output.params)
        return f"GET {output.path}?{query} {output.purpose} {msgspec.json.encode(output.depths).decode()}"
    return f"= {type(output).__name__} {msgspec.json.encode(output).decode()}"


def replay(path: Path) -> list[str]:
    """The transcript as the sessions make it: its incoming lines kept, its outgoing lines written anew."""
    made: list[str] = []
    session: MarketSession | None = None
    asked: deque[Fetch] = deque()

    def note(outputs: Iterable[Output]) -> None:
        for output in outputs:
            made.append(shown(output))
            if isinstance(output, Fetch):
                asked.append(output)

    for _, mark, rest in read(path):
        if mark in (">", "GET", "="):
            continue
        made.append(f"{mark} {rest}")
        if mark == "@":
            ts, exchange, *wanted = rest.split()
            subscriptions = [Subscription(text.partition(":")[0], exchange, text.partition("@")[2]) for text in wanted]
            session = market(exchange, {}).session(Link(exchange, "transcript", "", tuple(subscriptions)), "start", {})
            note(session.start(int(ts)))
        elif mark in ("<", "200"):
            assert session is not None
            ts, payload = rest.split(" ", 1)
            if mark == "<":
                note(session.receive(memoryview(payload.encode()), int(ts)))
            else:
                note(session.answer(asked.popleft(), 200, payload.encode(), int(ts)))
    return made


def test_transcript_comes_out_word_for_word() -> None:
    lines = [f"{mark} {text}" for _, mark, text in read(TRANSCRIPT)]
    assert sum(line.startswith("= ") for line in lines) > 20
    assert replay(TRANSCRIPT) == lines
