"""Whatever gets lost, doubled or damaged on the way from OKX: the book is true or declared broken."""

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
from xtrader.errors import ProtocolError
from xtrader.model.market import Coverage, Level, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.okx.session import OkxSession

SYMBOL = "BTC-USDT-SWAP"
KEY = f"OKX_SWAP@{SYMBOL}"
FRAMES = frames(Path(__file__).with_name("okx.transcript"))


def fresh(stream: str) -> OkxSession:
    okx = market("OKX_SWAP", {})
    session = okx.session(okx.links([Subscription(stream, "OKX_SWAP", SYMBOL)])[0], "start", {})
    assert isinstance(session, OkxSession)
    return session


def message(previous: int | None, sequence: int, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
    sides = {name: [[str(price), str(size), "0", "1"] for price, size in side] for name, side in (("bids", bids), ("asks", asks))}
    data = sides | {"ts": "1791369350776", "prevSeqId": -1 if previous is None else previous, "seqId": sequence}
    action = "snapshot" if previous is None else "update"
    return json.dumps({"arg": {"channel": "books", "instId": SYMBOL}, "action": action, "data": [data]}).encode()


@settings(deadline=None)
@given(FATES)
def test_the_book_is_true_or_declared_broken(fates: list[Fate]) -> None:
    check(fresh("L2"), KEY, message, fates)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["deliver", "lose", "twice"]), st.integers(1, 3)), max_size=30))
def test_every_trade_is_stored_once_or_its_numbers_are_in_a_gap_row(fates: list[tuple[str, int]]) -> None:
    session = fresh("TRADES")
    session.start(1)
    number, now = 1000, 1
    stored: list[str] = []
    missing = 0
    expected: list[str] = []
    pending = lost = 0
    for fate, count in fates:
        number += count
        if fate == "lose":
            pending += count if expected else 0
            continue
        lost += pending
        pending = 0
        expected.append(str(number))
        row = {"tradeId": str(number), "px": "1", "sz": "1", "side": "buy", "ts": "1791369350776", "count": str(count)}
        payload = json.dumps({"arg": {"channel": "trades", "instId": SYMBOL}, "data": [row]}).encode()
        for _ in range(2 if fate == "twice" else 1):
            now += 1
            for output in session.receive(payload, now):
                if isinstance(output, Trade):
                    stored.append(output.trade_id)
                elif isinstance(output, Coverage) and output.state == "gap":
                    missing += int(output.detail.partition("(")[2].rstrip(")"))
    assert stored == expected
    assert missing == lost


@settings(deadline=None)
@given(st.sampled_from(FRAMES), st.data())
def test_damaged_frames_raise_nothing_but_protocol_errors(frame: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(frame) - 1))
    until = data.draw(st.integers(at, min(len(frame), at + 20)))
    damaged = frame[:at] + data.draw(st.binary(max_size=6) | st.sampled_from([b"null", b"{}", b"[]", b"-1", b'"'])) + frame[until:]
    session = fresh("L2")
    session.start(1)
    for part in (*FRAMES[:6], damaged):
        with suppress(ProtocolError):
            assert all(map(is_sound, session.receive(part, 2)))


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_damaged_answers_raise_nothing(body: bytes) -> None:
    session = fresh("L2")
    (fetch,) = session.probe(Subscription("L2", "OKX_SWAP", SYMBOL), 1)
    assert session.answer(fetch, 200, body, 2) == []
