"""Whatever gets lost, doubled or damaged on the way from Deribit: the book is true or declared broken."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venues.sound import is_sound
from tests.venues.transcripts import frames
from tests.venues.truth import FATES, Fate, check
from xtrader.errors import CredentialsRejected, ProtocolError
from xtrader.model.market import Level
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.deribit.session import DeribitSession

SYMBOL = "BTC-PERPETUAL"
FRAMES = frames(Path(__file__).with_name("deribit.transcript"))
CREDENTIALS = {"DERIBIT_CLIENT_ID": "AMANDA", "DERIBIT_CLIENT_SECRET": "AMANDASECRECT"}


def fresh(options: dict[str, str]) -> DeribitSession:
    deribit = market("DERIBIT", options)
    session = deribit.session(deribit.links([Subscription("L2", "DERIBIT", SYMBOL)])[0], "start", {})
    assert isinstance(session, DeribitSession)
    return session


def message(previous: int | None, number: int, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
    data = {"timestamp": 1786563084954, "type": "snapshot" if previous is None else "change", "change_id": number}
    sides = {
        name: [["change" if size else "delete", price, size] for price, size in side]
        for name, side in (("bids", bids), ("asks", asks))
    }
    chain = {} if previous is None else {"prev_change_id": previous}
    params = {"channel": f"book.{SYMBOL}.100ms", "data": data | sides | chain}
    return json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": params}).encode()


@settings(deadline=None)
@given(FATES)
def test_the_book_is_true_or_declared_broken(fates: list[Fate]) -> None:
    check(fresh({}), f"DERIBIT@{SYMBOL}", message, fates)


@settings(deadline=None)
@given(st.sampled_from(FRAMES), st.data())
def test_damaged_frames_raise_nothing_but_venue_errors(frame: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(frame) - 1))
    until = data.draw(st.integers(at, min(len(frame), at + 20)))
    damaged = frame[:at] + data.draw(st.binary(max_size=6) | st.sampled_from([b"null", b"{}", b"[]", b"-1", b'"'])) + frame[until:]
    session = fresh(CREDENTIALS)
    session.start(1)
    for part in (*FRAMES[:4], damaged):
        with suppress(ProtocolError, CredentialsRejected):
            assert all(map(is_sound, session.receive(part, 2)))


@settings(deadline=None)
@given(st.binary(max_size=40), st.sampled_from(["L2", "TRADES"]))
def test_damaged_answers_raise_nothing(body: bytes, stream: str) -> None:
    session = fresh({})
    (fetch,) = session.probe(Subscription(stream, "DERIBIT", SYMBOL), 1)
    assert session.answer(fetch, 200, body, 2) == []
