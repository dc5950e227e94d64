"""A recorded Deribit session of 2021: ten options, raw books, JSON numbers."""

from __future__ import annotations

import json

from tests.captures import captures
from tests.venues.recorded import frames, rebuilt
from xtrader.model.market import BookUpdate, Coverage
from xtrader.model.subscription import Subscription
from xtrader.venues import market


def test_the_recording_comes_out_whole() -> None:
    recording = list(frames(captures() / "recorded-1" / "DERIBIT.ws.1.0.gz"))
    confirmed = next(json.loads(payload)["result"] for payload, _ in recording if b'"result"' in payload)
    symbols = sorted({name.split(".")[1] for name in confirmed if name.startswith("book.")})
    deribit = market("DERIBIT", {})
    wanted = [Subscription(stream, "DERIBIT", symbol) for stream in ("L2", "TRADES") for symbol in symbols]
    session = deribit.session(deribit.links(wanted)[0], "start", {})
    session.start(recording[0][1])
    updates: list[BookUpdate] = []
    for payload, ts_recv in recording:
        for output in session.receive(payload, ts_recv):
            assert not (isinstance(output, Coverage) and output.state != "live")
            if isinstance(output, BookUpdate):
                updates.append(output)
    assert len(symbols) == 10
    assert len(updates) == 46
    assert sum(update.is_snapshot for update in updates) == 10
    assert session.counts["breaks"] == session.counts["crossed"] == session.counts["unknown_action"] == 0
    assert {seen.state for seen in session.activity.values()} == {"live"}
    for symbol in symbols:
        book = session.book(f"DERIBIT@{symbol}")
        stored = rebuilt([update for update in updates if update.instrument == f"DERIBIT@{symbol}"])
        assert book is not None
        assert (stored.bids.sizes, stored.asks.sizes) == (book.bids.sizes, book.asks.sizes)
