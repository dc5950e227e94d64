"""OkxSession: real wire text in, exact records out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.venues.okx_talk import KEY, L2, SYMBOL, TRADES, Talk, book_message, kinds, live_talk
from tests.venues.transcripts import SECOND, play, told
from xtrader.errors import Unresponsive
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Ready, Send
from xtrader.venues.machine.trades import SeenTrades
from xtrader.venues.okx import OkxMarket


def test_the_transcript_comes_out_line_by_line() -> None:
    okx = OkxMarket("OKX_SWAP", {})
    wanted = [L2, TRADES, Subscription("L2", "OKX_SWAP", "NOPE-USDT-SWAP")]
    session = okx.session(okx.links(wanted)[0], "start", {})
    play(session, Path(__file__).with_name("okx.transcript"))
    assert session.closing
    assert session.counts["keepalives"] == session.counts["duplicates"] == session.counts["breaks"] == 1
    assert session.counts["skipped"] == session.counts["trade_gaps"] == session.counts["ignored"] == 1
    assert {seen.subscription.instrument: seen.state for seen in session.activity.values()} == {
        SYMBOL: "live",
        "NOPE-USDT-SWAP": "rejected",
    }


def test_requests_carry_at_most_twenty_channels_and_weigh_as_many() -> None:
    talk = Talk(*(Subscription("TRADES", "OKX_SWAP", f"C{n}-USDT-SWAP") for n in range(45)))
    sends = [output for output in talk.started if isinstance(output, Send)]
    assert [send.weight for send in sends] == [20, 20, 5]
    assert [len(json.loads(send.payload)["args"]) for send in sends] == [20, 20, 5]


def test_the_chain_of_the_documentation_is_accepted_whole() -> None:
    talk = Talk()
    for previous, sequence in [(-1, 10), (10, 15), (15, 15), (15, 3), (3, 5)]:
        assert any(isinstance(output, BookUpdate) for output in talk.book(previous, sequence))
    assert talk.counts["applied"] == 4
    assert talk.counts["keepalives"] == 1
    assert talk.counts["breaks"] == 0


def test_trades_are_live_at_the_confirmation_and_books_at_the_snapshot() -> None:
    talk = Talk()
    assert kinds(talk.ack("trades")) == ["live", "Ready"]
    assert talk.ack("books") == []
    assert talk.session.activity[L2].state == "syncing"
    assert talk.session.activity[L2].ts_acked == talk.now
    assert talk.book(5, 6) == []
    assert kinds(talk.book(-1, 10)) == ["BookUpdate", "live", "Ready"]
    assert talk.counts["skipped"] == 1


def test_data_that_comes_before_its_confirmation_is_taken() -> None:
    talk = Talk()
    assert kinds(talk.trade(7)) == ["live", "Ready", "Trade"]
    assert talk.ack("trades") == []


def test_a_break_resyncs_only_its_own_book() -> None:
    other = Subscription("L2", "OKX_SWAP", "ETH-USDT-SWAP")
    talk = Talk(L2, other)
    talk.book(-1, 10)
    snapshot = book_message(-1, 10)
    snapshot["arg"]["instId"] = "ETH-USDT-SWAP"
    talk.hear(snapshot)
    lost = talk.book(12, 13, "10x1")
    assert kinds(lost) == ["gap", "syncing", "Send", "Send"]
    assert [json.loads(send.payload)["op"] for send in lost if isinstance(send, Send)] == ["unsubscribe", "subscribe"]
    assert all(SYMBOL in send.payload and "ETH" not in send.payload for send in lost if isinstance(send, Send))
    assert talk.session.book(KEY) is None
    assert talk.session.book(other.key) is not None


def test_a_gap_row_reaches_from_the_last_good_message_to_the_one_that_showed_it() -> None:
    talk = live_talk()
    good = talk.now
    talk.book(10, 11)
    gap = talk.book(12, 13)[0]
    assert gap == Coverage(
        KEY, "L2", "gap", "venue_gap", good + SECOND, good + 2 * SECOND, "expected a message after 11, got one after 12"
    )


def test_a_repeated_message_is_dropped_and_counted() -> None:
    talk = live_talk()
    talk.book(10, 15, "10x2")
    assert talk.book(10, 15, "10x2") == []
    assert talk.counts["duplicates"] == 1
    assert kinds(talk.book(15, 16)) == ["BookUpdate"]


def test_a_snapshot_in_the_middle_replaces_the_book_without_a_gap() -> None:
    talk = live_talk()
    assert kinds(talk.book(-1, 99, "7x1", "8x1")) == ["BookUpdate"]
    book = talk.session.book(KEY)
    assert book is not None
    assert book.best() == ((7.0, 1.0), (8.0, 1.0))
    assert kinds(talk.book(99, 100)) == ["BookUpdate"]


def test_a_crossed_book_is_told_and_asked_for_anew() -> None:
    talk = live_talk()
    out = talk.book(10, 11, "11.5x1")
    assert kinds(out) == ["gap", "Send", "Send"]
    assert out[0] == Coverage(KEY, "L2", "gap", "crossed", talk.now, None, "crossed book: bid 11.5 >= ask 11.0")
    assert kinds(talk.book(-1, 20, "10x1", "11x1")) == ["BookUpdate", "live", "Ready"]
    assert kinds(talk.book(20, 21, "11x1")) == ["gap", "Send", "Send"]
    assert (talk.counts["crossed"], talk.counts["resyncs"]) == (2, 2)


def test_a_book_that_breaks_again_and_again_is_asked_for_ever_more_rarely() -> None:
    talk = live_talk()
    asked = []
    for _ in range(5):
        asked.append(any(isinstance(output, Send) for output in talk.book(7, 8)))
        talk.book(-1, 10)
    assert asked == [True, True, True, False, False]
    talk.book(7, 8)
    assert not any(isinstance(output, Send) and output.payload != "ping" for output in talk.wait(15))
    assert any(isinstance(output, Send) and "subscribe" in output.payload for output in talk.wait(10))


def test_a_confirmed_book_whose_snapshot_never_comes_is_asked_for_again() -> None:
    talk = Talk(L2)
    talk.ack("books")
    talk.wait(19)
    asked = [output.payload for output in talk.wait(11) if isinstance(output, Send)]
    assert any('"op":"unsubscribe"' in payload for payload in asked)
    assert any('"op":"subscribe"' in payload for payload in asked)


def test_trade_counts_cover_the_numbers_before_them() -> None:
    talk = live_talk()
    talk.trade(100, count="1")
    assert kinds(talk.trade(103, count="3")) == ["Trade"]
    missing = talk.trade(107, count="2")
    assert kinds(missing) == ["gap", "live", "Trade"]
    assert isinstance(missing[0], Coverage)
    assert missing[0].detail == "missing ids 104 to 105 (2)"


def test_trades_without_count_show_only_repetitions() -> None:
    talk = live_talk()
    talk.trade(100)
    assert kinds(talk.trade(105)) == ["Trade"]
    assert talk.trade(105) == []
    assert kinds(talk.trade(103)) == ["live", "Trade"]
    assert talk.trade(103) == []
    assert talk.counts["duplicates"] == 2
    assert talk.counts["trade_gaps"] == 0


def test_a_cached_trade_that_an_earlier_session_saw_is_dropped() -> None:
    talk = Talk(TRADES, resume={KEY: SeenTrades(100, 1791369350776 * 1_000_000)}, cause="disconnect")
    talk.ack("trades")
    live = talk.now
    assert talk.trade(100, count="1") == []
    gap = talk.trade(103, count="1")[0]
    assert gap == Coverage(KEY, "TRADES", "gap", "disconnect", live, talk.now, "missing ids 101 to 102 (2)", 101, 102)
    assert talk.session.resume()[KEY].last == 103


def test_unknown_sides_and_sources_are_kept_and_counted() -> None:
    talk = live_talk()
    (trade,) = talk.trade(100, side="both", source="7")
    assert isinstance(trade, Trade)
    assert trade.side == "unknown"
    assert talk.counts["unknown_side"] == talk.counts["unknown_source"] == 1


def test_a_refused_channel_is_rejected_and_asked_for_again_after_a_minute() -> None:
    talk = Talk(L2)
    words = f"Wrong URL or channel:books,instId:{SYMBOL} doesn't exist."
    error = {"event": "error", "code": "60018", "msg": words, "connId": "a"}
    assert talk.hear(error) == [Coverage(KEY, "L2", "gap", "start", talk.now, None, f"60018 {words}")]
    assert talk.session.activity[L2].state == "rejected"
    for _ in range(5):
        assert not any(isinstance(output, Send) and "subscribe" in output.payload for output in talk.wait(10))
        talk.hear("pong")
    assert any(isinstance(output, Send) and '"op":"subscribe"' in output.payload for output in talk.wait(10))
    assert talk.hear(error) == []
    assert kinds(talk.ack("books")) == ["syncing"]
    assert kinds(talk.book(-1, 10)) == ["BookUpdate", "live", "Ready"]


def test_an_error_that_names_no_channel_concerns_what_its_request_still_waits_for() -> None:
    talk = Talk()
    talk.ack("books")
    out = talk.hear({"id": "s1", "event": "error", "code": "60013", "msg": "Invalid args", "connId": "a"})
    assert [output.stream for output in out if isinstance(output, Coverage)] == ["TRADES"]


def test_an_error_that_concerns_nothing_of_ours_is_counted() -> None:
    talk = live_talk()
    assert talk.hear({"event": "error", "code": "60012", "msg": "Invalid request", "connId": "a"}) == []
    assert talk.hear({"id": "u9", "event": "error", "code": "60018", "msg": f"channel:books,instId:{SYMBOL}"}) == []
    assert talk.counts["errors"] == 2
    assert talk.session.book(KEY) is not None


def test_silence_is_met_by_a_ping_and_then_by_the_end() -> None:
    talk = live_talk()
    assert talk.wait(19) == []
    assert talk.wait(1) == [Send("ping", urgent=True)]
    assert talk.wait(9) == []
    talk.hear("pong")
    assert talk.wait(20) == [Send("ping", urgent=True)]
    with pytest.raises(Unresponsive):
        talk.wait(10)


def test_a_clock_that_steps_back_does_not_stop_the_pings() -> None:
    talk = live_talk()
    talk.wait(-3600)
    assert talk.wait(20) == [Send("ping", urgent=True)]


def test_frames_of_instruments_that_are_not_its_own_are_ignored() -> None:
    talk = Talk(L2)
    assert talk.trade(1) == []
    assert talk.hear({"arg": {"channel": "candle1D", "instId": SYMBOL}, "data": [["1", "2"]]}) == []
    assert talk.hear({"arg": {"channel": "books5", "instId": SYMBOL}, "data": [{"asks": [], "bids": [], "ts": "1"}]}) == []
    assert talk.counts["ignored"] == 3


def test_unknown_kinds_of_messages_are_counted() -> None:
    talk = Talk()
    assert talk.hear({"event": "confetti", "code": 5}) == []
    assert talk.hear({"something": "else"}) == []
    assert talk.counts["unknown"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"bids": [["10"]]},
        {"bids": [["ten", "1", "0", "1"]]},
        {"bids": [["nan", "1", "0", "1"]]},
        {"bids": [["10", "inf", "0", "1"]]},
        {"bids": [["10", "-1", "0", "1"]]},
        {"bids": None},
        {"ts": "later"},
        {"ts": None},
        {"ts": "99999999999999999"},
        {"seqId": 2**63},
        {"seqId": -(2**63)},
        {"seqId": None},
        {"seqId": -7},
        {"seqId": 10, "bids": [["10", "1", "0", "1"]]},
    ],
)
def test_a_malformed_book_is_a_gap_of_that_book_and_asked_for_again(change: dict[str, Any]) -> None:
    talk = live_talk()
    message = book_message(10, 11)
    message["data"][0] |= change
    out = talk.hear(message)
    assert kinds(out) == ["gap", "syncing", "Send", "Send", "Notice"]
    assert [row.cause for row in out if isinstance(row, Coverage)] == ["malformed", "malformed"]


def test_of_several_trades_in_one_message_one_that_is_malformed_costs_no_other() -> None:
    talk = live_talk()
    row = {"px": "1", "sz": "1", "side": "buy", "ts": "1791369350776", "count": "1"}
    rows = [row | {"tradeId": "1"}, row | {"tradeId": "2", "px": None}, row | {"tradeId": "3"}]
    out = talk.hear({"arg": {"channel": "trades", "instId": SYMBOL}, "data": rows})
    assert [trade.trade_id for trade in out if isinstance(trade, Trade)] == ["1", "3"]
    assert [row.state for row in out if isinstance(row, Coverage)][:3] == ["gap", "syncing", "live"]


@pytest.mark.parametrize("change", [{"px": ""}, {"sz": None}, {"ts": None}, {"tradeId": ""}, {"tradeId": 5}])
def test_a_malformed_trade_is_a_gap_of_those_trades(change: dict[str, Any]) -> None:
    out = live_talk().trade(1, **change)
    assert kinds(out) == ["gap", "syncing", "Send", "Send", "Notice"]


def test_numbers_that_are_no_trade_ids_are_stored_unchecked() -> None:
    talk = live_talk()
    (trade,) = talk.trade("a-7", count="1")
    assert told(trade).startswith(f"= trade {KEY} a-7 buy")
    assert isinstance(trade, Trade)
    assert trade.sequence is None


def test_a_book_without_sequence_numbers_is_guarded_by_its_checksum() -> None:
    talk = Talk(L2)
    # 3366.1:7:3366.8:9:3366:6:3368:8 -> -1881014294, the string of the vendor's documentation.
    bids, asks = "3366.1x7 3366x6", "3366.8x9 3368x8"
    snapshot = book_message(-1, None, bids, asks, checksum=-1881014294)
    assert kinds(talk.hear(snapshot)) == ["BookUpdate", "live", "Ready"]
    # 3366.1:7:3366.8:9:3368:8:3372:8 -> 831078360, the same with uneven sides.
    talk.book(None, None, "3366x0", "", checksum=0)
    assert kinds(talk.book(None, None, "", "3372x8", checksum=831078360)) == ["BookUpdate"]
    assert talk.counts["checksums"] == 2
    lost = talk.book(None, None, "3365x1", "", checksum=831078360)
    assert kinds(lost) == ["gap", "syncing", "Send", "Send"]
    assert talk.session.book(KEY) is None
    assert kinds(talk.hear(snapshot)) == ["BookUpdate", "live", "Ready"]


def test_a_checksum_of_zero_is_no_checksum() -> None:
    talk = Talk(L2)
    talk.book(-1, 10, "1x1", "2x1")
    assert kinds(talk.book(10, 11, "1x2")) == ["BookUpdate"]
    assert talk.counts["checksums"] == 0


def test_ready_names_the_subscription() -> None:
    assert Ready(TRADES) in Talk(TRADES).ack("trades")
