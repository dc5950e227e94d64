"""A recorded OKX session of 2022, when checksums guarded the books and sequence numbers did not exist yet."""

from __future__ import annotations

from collections import Counter

from tests.captures import captures
from tests.venues.recorded import frames, rebuilt
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.okx import exchange_of

SYMBOLS = ("BTC-USDT", "UNI-USD-SWAP", "BTC-USD-220527")


def test_the_recording_comes_out_whole() -> None:
    total: Counter[str] = Counter()
    for symbol in SYMBOLS:
        exchange = exchange_of(symbol)
        okx = market(exchange, {})
        wanted = [Subscription(stream, exchange, symbol) for stream in ("L2", "TRADES")]
        session = okx.session(okx.links(wanted)[0], "start", {})
        updates: list[BookUpdate] = []
        gaps: list[Coverage] = []
        for n, (payload, ts_recv) in enumerate(frames(captures() / "recorded-1" / "OKX.ws.1.0.gz")):
            if n == 0:
                session.start(ts_recv)
            for output in session.receive(payload, ts_recv):
                total[type(output).__name__] += 1
                if isinstance(output, BookUpdate):
                    updates.append(output)
                    book = session.book(output.instrument)
                    assert book is not None
                    if symbol == "BTC-USDT":
                        assert (len(book.bids.sizes), len(book.asks.sizes)) == (400, 400)
                elif isinstance(output, Coverage) and output.state == "gap":
                    gaps.append(output)
                elif isinstance(output, Trade):
                    assert output.side in ("buy", "sell")
                    assert output.ts_recv == ts_recv
        assert gaps == []
        assert session.counts["breaks"] == session.counts["skipped"] == session.counts["crossed"] == 0
        total["checksums"] += session.counts["checksums"]
        book = session.book(f"{exchange}@{symbol}")
        assert book is not None
        assert rebuilt(updates).bids.sizes == book.bids.sizes
        assert rebuilt(updates).asks.sizes == book.asks.sizes
        assert all(update.sequence is None for update in updates)
    assert (total["BookUpdate"], total["checksums"], total["Trade"]) == (290, 290, 74)


def test_a_lost_message_is_found_by_the_checksum() -> None:
    okx = market("OKX_SPOT", {})
    session = okx.session(okx.links([Subscription("L2", "OKX_SPOT", "BTC-USDT")])[0], "start", {})
    states: list[str] = []
    seen = 0
    for payload, ts_recv in frames(captures() / "recorded-1" / "OKX.ws.1.0.gz"):
        if b'"books","instId":"BTC-USDT"}' in payload and b"data" in payload:
            seen += 1
            if seen == 5:
                continue
        states += [output.state for output in session.receive(payload, ts_recv) if isinstance(output, Coverage)]
    assert states == ["live", "gap", "syncing"]
    assert session.counts["checksums"] < 97
