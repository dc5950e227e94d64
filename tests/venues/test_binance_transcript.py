"""A conversation with Binance, line by line: what goes over the wire and exactly which records come of it.

Lines of `binance.transcript`: `@ EXCHANGE subscription…` begins a session at a time, `<` a frame that comes, `200` the answer to
the oldest open request, `>` a message that is sent, `GET` a request that is made, `=` a record. `#` is a remark.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path

import msgspec

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


def replay(text: str) -> list[str]:
    """The transcript as the sessions make it: its incoming lines kept, its outgoing lines written anew."""
    made: list[str] = []
    session: MarketSession | None = None
    asked: deque[Fetch] = deque()

    def note(outputs: Iterable[Output]) -> None:
        for output in outputs:
            made.append(shown(output))
            if isinstance(output, Fetch):
                asked.append(output)

    for line in text.splitlines():
        mark, _, rest = line.partition(" ")
        if mark in (">", "GET", "="):
            continue
        made.append(line)
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
    text = TRANSCRIPT.read_text(encoding="utf-8")
    assert text.count("\n= ") > 20
    assert replay(text) == text.splitlines()
