"""What is written down of the venues' fields fits what was heard of them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.venues import transcripts
from xtrader.venues import known_fields
from xtrader.venues.machine.fields import FieldChanges, KnownFields, changes, message_rows
from xtrader.venues.okx.wire import Arg, OkxData

TRANSCRIPTS = Path(__file__).parents[1]


@pytest.mark.parametrize(("name", "exchange"), [("binance", "BINANCE_FUTURES"), ("deribit", "DERIBIT"), ("okx", "OKX_SWAP")])
def test_messages_as_the_venues_send_them_have_no_unknown_fields(name: str, exchange: str) -> None:
    fields = known_fields(exchange)
    assert fields is not None
    seen: defaultdict[str, int] = defaultdict(int)
    for frame in transcripts.frames(TRANSCRIPTS / f"{name}.transcript"):
        for kind, row in message_rows(fields, frame):
            seen[kind] += 1
            assert changes(fields.kinds[kind], row).new == (), (kind, row)
    assert len(seen) >= 3


def test_new_and_missing_fields_are_told_apart() -> None:
    known = KnownFields(OkxData, "asks", "source2")
    assert changes(known, {"asks": [], "source2": 1, "bids": []}) == FieldChanges((), ())
    assert changes(known, {"bids": [], "b": 1, "a": 2}) == FieldChanges(("a", "b"), ("asks",))
    assert changes(KnownFields(Arg), {}) == FieldChanges((), ())


@pytest.mark.parametrize(
    "text", [b"pong", b"[1]", b"\xff", b"{}", b'{"arg":3,"data":[]}', b'{"arg":{"channel":"books"},"data":[1,{}]}']
)
def test_what_is_no_message_has_no_rows(text: bytes) -> None:
    fields = known_fields("OKX_SWAP")
    assert fields is not None
    assert [kind for kind, _ in message_rows(fields, text) if kind != "message"] in ([], ["books"])
