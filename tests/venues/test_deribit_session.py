"""DeribitSession: real wire text in, exact records out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.venues.transcripts import BEGIN, SECOND, play
from xtrader.errors import CredentialsRejected, ProtocolError, Unresponsive
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Notice, Output, Send
from xtrader.venues.deribit import DeribitMarket
from xtrader.venues.deribit.login import sign
from xtrader.venues.deribit.session import DeribitSession

SYMBOL = "BTC-PERPETUAL"
KEY = f"DERIBIT@{SYMBOL}"
L2 = Subscription("L2", "DERIBIT", SYMBOL)
TRADES = Subscription("TRADES", "DERIBIT", SYMBOL)
SECRET = "AMANDASECRECT"
CREDENTIALS = {"DERIBIT_CLIENT_ID": "AMANDA", "DERIBIT_CLIENT_SECRET": SECRET}


class Talk:
    """A session and its clock: every message comes a second after the one before."""

    def __init__(self, *subscriptions: Subscription, options: dict[str, str] | None = None) -> None:
        deribit = DeribitMarket("DERIBIT", options or {})
        self.session: DeribitSession = deribit.session(deribit.links(subscriptions or (L2, TRADES))[0], "start", {})
        self.now: int = BEGIN
        self.interval: str = "raw" if options else "100ms"
        self.started: list[Output] = list(self.session.start(self.now))

    @property
    def counts(self) -> Counter[str]:
        return self.session.counts

    def hear(self, **message: Any) -> list[Output]:
        self.now += SECOND
        return list(self.session.receive(json.dumps({"jsonrpc": "2.0"} | message).encode(), self.now))

    def wait(self, seconds: int) -> list[Output]:
        self.now += seconds * SECOND
        return list(self.session.idle(self.now))

    def push(self, channel: str, data: Any) -> list[Output]:
        return self.hear(method="subscription", params={"channel": channel, "data": data})

    def book(self, previous: int | None, number: int, bids: Any = (), asks: Any = (), **more: Any) -> list[Output]:
        data: dict[str, Any] = {"type": "change" if previous else "snapshot", "timestamp": 1786563085228, "change_id": number}
        data |= {"instrument_name": SYMBOL, "bids": bids, "asks": asks} | more
        if previous:
            data["prev_change_id"] = previous
        return self.push(f"book.{SYMBOL}.{self.interval}", data)

    def trade(self, *numbers: int, **more: Any) -> list[Output]:
        row = {"timestamp": 1786563104514, "price": 63344.5, "direction": "buy", "amount": 20, "instrument_name": SYMBOL}
        rows = [row | {"trade_id": str(440192000 + number), "trade_seq": number} | more for number in numbers]
        return self.push(f"trades.{SYMBOL}.{self.interval}", rows)


def calls(outputs: list[Output]) -> list[dict[str, Any]]:
    return [json.loads(output.payload) for output in outputs if isinstance(output, Send)]


def methods(outputs: list[Output]) -> list[str]:
    return [call["method"] for call in calls(outputs)]


def kinds(outputs: list[Output]) -> list[str]:
    return [output.state if isinstance(output, Coverage) else type(output).__name__ for output in outputs]


def live_talk() -> Talk:
    talk = Talk()
    talk.hear(id="subscribe-2", result=[f"book.{SYMBOL}.100ms", f"trades.{SYMBOL}.100ms"])
    talk.book(None, 10, [["new", 10, 1]], [["new", 11, 1]])
    return talk


def token(**more: Any) -> dict[str, Any]:
    return {"access_token": "1.A", "refresh_token": "1.R", "expires_in": 900, "token_type": "bearer"} | more


def test_the_transcript_comes_out_line_by_line() -> None:
    deribit = DeribitMarket("DERIBIT", CREDENTIALS)
    wanted = [L2, TRADES, Subscription("L2", "DERIBIT", "NOPE-PERPETUAL")]
    session = deribit.session(deribit.links(wanted)[0], "start", {})
    play(session, Path(__file__).with_name("deribit.transcript"))
    assert session.counts["breaks"] == session.counts["trade_gaps"] == 1


def test_the_signature_is_the_one_of_the_documentation() -> None:
    expected = "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1"
    assert sign(SECRET, 1576074319000, "1iqt2wls") == expected


def test_without_credentials_the_100ms_channels_are_subscribed_at_once() -> None:
    heartbeat, subscribe = calls(Talk().started)
    assert heartbeat["params"] == {"interval": 30}
    assert subscribe["params"]["channels"] == [f"book.{SYMBOL}.100ms", f"trades.{SYMBOL}.100ms"]


def test_with_credentials_nothing_is_subscribed_before_the_login() -> None:
    talk = Talk(options=CREDENTIALS)
    assert methods(talk.started) == ["public/set_heartbeat", "public/auth"]
    auth = calls(talk.started)[1]["params"]
    assert auth["grant_type"] == "client_signature"
    assert auth["signature"] == sign(SECRET, auth["timestamp"], auth["nonce"])
    assert SECRET not in str(calls(talk.started))
    (subscribe,) = calls(talk.hear(id="auth-2", result=token()))
    assert subscribe["params"]["channels"] == [f"book.{SYMBOL}.raw", f"trades.{SYMBOL}.raw"]


def test_subscriptions_go_out_in_calls_of_a_hundred() -> None:
    talk = Talk(*(Subscription("TRADES", "DERIBIT", f"C{n}-PERPETUAL") for n in range(250)))
    assert [len(call["params"]["channels"]) for call in calls(talk.started)[1:]] == [100, 100, 50]
    assert all(len(output.payload) < 32_000 for output in talk.started if isinstance(output, Send))


@pytest.mark.parametrize("code", [13004, 13009, -32602])
def test_wrong_credentials_end_it_for_good_and_the_secret_is_not_told(code: int) -> None:
    talk = Talk(options=CREDENTIALS)
    with pytest.raises(CredentialsRejected) as refused:
        talk.hear(id="auth-2", error={"code": code, "message": "invalid_credentials"})
    assert "DERIBIT_CLIENT_ID" in str(refused.value)
    assert "testnet" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_login_that_fails_for_another_reason_may_be_tried_again() -> None:
    talk = Talk(options=CREDENTIALS)
    with pytest.raises(ProtocolError, match="11051"):
        talk.hear(id="auth-2", error={"code": 11051, "message": "system_maintenance"})


def test_a_login_that_is_never_answered_ends_the_session() -> None:
    talk = Talk(options=CREDENTIALS)
    talk.wait(29)
    with pytest.raises(Unresponsive):
        talk.wait(2)


def test_the_token_is_refreshed_at_four_fifths_of_its_life() -> None:
    talk = Talk(options=CREDENTIALS)
    talk.hear(id="auth-2", result=token(expires_in=50))
    talk.hear(id="subscribe-3", result=[f"book.{SYMBOL}.raw", f"trades.{SYMBOL}.raw"])
    talk.book(None, 10)
    assert methods(talk.wait(37)) == []
    (refresh,) = calls(talk.wait(1))
    assert refresh["params"] == {"grant_type": "refresh_token", "refresh_token": "1.R"}
    assert talk.hear(id=refresh["id"], result=token(refresh_token="2.R", expires_in=50)) == []
    (again,) = calls(talk.wait(40))
    assert again["params"]["refresh_token"] == "2.R"


def test_a_refused_refresh_is_followed_by_a_new_login() -> None:
    talk = Talk(options=CREDENTIALS)
    talk.hear(id="auth-2", result=token(expires_in=50))
    (refresh,) = [call for call in calls(talk.wait(45)) if call["method"] == "public/auth"]
    (auth,) = calls(talk.hear(id=refresh["id"], error={"code": 13009, "message": "unauthorized"}))
    assert auth["params"]["grant_type"] == "client_signature"
    with pytest.raises(CredentialsRejected):
        talk.hear(id=auth["id"], error={"code": 13004, "message": "invalid_credentials"})


def test_raw_channels_that_are_not_allowed_are_asked_for_every_100ms() -> None:
    talk = Talk(options=CREDENTIALS)
    talk.hear(id="auth-2", result=token())
    error = {"code": 13778, "message": "raw_subscriptions_not_available_for_unauthorized"}
    (again,) = calls(talk.hear(id="subscribe-3", error=error))
    assert again["params"]["channels"] == [f"book.{SYMBOL}.100ms", f"trades.{SYMBOL}.100ms"]
    assert talk.counts["raw_refused"] == 1
    talk.interval = "100ms"
    assert kinds(talk.book(None, 10)) == ["BookUpdate", "live", "Ready"]
    assert kinds(talk.hear(id=again["id"], error=error)) == ["gap", "gap"]


def test_what_the_reply_leaves_out_is_rejected() -> None:
    talk = Talk()
    out = talk.hear(id="subscribe-2", result=[f"book.{SYMBOL}.100ms"])
    assert out == [
        Coverage(KEY, "TRADES", "gap", "start", talk.now, None, f"the venue did not subscribe trades.{SYMBOL}.100ms"),
    ]
    assert talk.session.activity[TRADES].state == "rejected"
    assert talk.session.activity[L2].ts_acked == talk.now


def test_a_call_that_fails_rejects_its_channels_with_the_venues_words() -> None:
    talk = Talk()
    out = talk.hear(id="subscribe-2", error={"code": 11050, "message": "bad_request", "data": {"reason": "wrong"}})
    assert [output.detail for output in out if isinstance(output, Coverage)] == ["11050 bad_request"] * 2


def test_too_many_requests_end_the_session() -> None:
    with pytest.raises(ProtocolError, match="10028"):
        Talk().hear(id="subscribe-2", error={"code": 10028, "message": "too_many_requests"})


def test_a_reply_to_somebody_elses_subscription_confirms_ours() -> None:
    out = Talk().hear(id=0, result=[f"trades.{SYMBOL}.raw", f"book.{SYMBOL}.raw", f"ticker.{SYMBOL}.raw"])
    assert kinds(out) == ["live", "Ready"]


def test_actions_become_absolute_sizes() -> None:
    talk = live_talk()
    (update,) = talk.book(10, 12, [["change", 10, 5], ["delete", 9, 0], ["delete", 8, 7], ["merge", 7, 3]])
    assert isinstance(update, BookUpdate)
    assert update.bids == [(10.0, 5.0), (9.0, 0.0), (8.0, 0.0), (7.0, 3.0)]
    assert (update.prev_sequence, update.sequence, update.ts_event) == (10, 12, 1786563085228 * 1_000_000)
    assert talk.counts["unknown_action"] == 1


def test_a_snapshot_may_say_null_where_it_has_no_number_before() -> None:
    talk = Talk()
    assert kinds(talk.book(None, 10, prev_change_id=None)) == ["BookUpdate", "live", "Ready"]


def test_a_break_resyncs_only_its_own_channel() -> None:
    talk = live_talk()
    good = talk.now
    out = talk.book(11, 12)
    assert kinds(out) == ["gap", "syncing", "Send", "Send"]
    assert out[0] == Coverage(KEY, "L2", "gap", "venue_gap", good, talk.now, "expected a message after 10, got one after 11")
    unsubscribe, subscribe = calls(out)
    assert unsubscribe["method"] == "public/unsubscribe"
    assert unsubscribe["params"] == subscribe["params"] == {"channels": [f"book.{SYMBOL}.100ms"]}
    assert talk.book(12, 13) == []
    assert kinds(talk.book(None, 20)) == ["BookUpdate", "live", "Ready"]


def test_a_repeated_change_is_dropped_and_counted() -> None:
    talk = live_talk()
    talk.book(10, 12)
    assert talk.book(10, 12) == []
    assert talk.counts["duplicates"] == 1


def test_trades_are_checked_by_their_running_number() -> None:
    talk = live_talk()
    assert kinds(talk.trade(100, 101)) == ["Trade", "Trade"]
    assert talk.trade(101) == []
    out = talk.trade(105)
    assert kinds(out) == ["gap", "live", "Trade"]
    assert isinstance(out[0], Coverage)
    assert (out[0].detail, out[0].ids_from, out[0].ids_to) == ("missing ids 102 to 104 (3)", 102, 104)
    assert talk.session.resume()[KEY].last == 105


def test_a_trade_keeps_the_venues_id_and_number() -> None:
    (trade,) = live_talk().trade(100, direction="sideways", trade_id="ETH-7")
    assert isinstance(trade, Trade)
    assert (trade.trade_id, trade.sequence, trade.side, trade.price, trade.size) == ("ETH-7", 100, "unknown", 63344.5, 20.0)


def test_only_one_interval_of_a_channel_is_taken() -> None:
    talk = live_talk()
    data = {"type": "snapshot", "timestamp": 1, "change_id": 5, "bids": [], "asks": []}
    assert talk.push(f"book.{SYMBOL}.raw", data) == []
    assert talk.counts["ignored"] == 1


def test_a_test_request_is_answered_urgently() -> None:
    (answer,) = Talk().hear(method="heartbeat", params={"type": "test_request"})
    assert isinstance(answer, Send)
    assert answer.urgent
    assert json.loads(answer.payload)["method"] == "public/test"


def test_a_minute_without_even_a_heartbeat_ends_the_session() -> None:
    talk = live_talk()
    talk.wait(60)
    with pytest.raises(Unresponsive):
        talk.wait(1)


def probe(talk: Talk, subscription: Subscription, result: dict[str, Any]) -> None:
    (fetch,) = talk.session.probe(subscription, talk.now)
    assert isinstance(fetch, Fetch)
    assert ("instrument_name", SYMBOL) in fetch.params
    talk.now += SECOND
    assert list(talk.session.answer(fetch, 200, json.dumps({"result": result}).encode(), talk.now)) == []


def test_a_book_that_the_venue_left_behind_is_a_gap_after_a_second_look() -> None:
    talk = live_talk()
    probe(talk, L2, {"change_id": 10, "timestamp": 5})
    assert talk.wait(4) == []
    probe(talk, L2, {"change_id": 11, "timestamp": 5})
    assert talk.wait(2) == []
    assert kinds(talk.wait(1)) == ["gap", "syncing", "Send", "Send"]


def test_trades_are_dead_when_the_venue_has_a_later_number() -> None:
    talk = live_talk()
    talk.trade(100)
    probe(talk, TRADES, {"trades": [{"trade_seq": 100, "timestamp": 5}], "has_more": False})
    assert talk.wait(4) == []
    probe(talk, TRADES, {"trades": [{"trade_seq": 101, "timestamp": 5}], "has_more": True})
    assert kinds(talk.wait(4)) == ["gap", "syncing", "Send", "Send"]


def test_an_instrument_without_any_trade_is_quiet() -> None:
    talk = live_talk()
    probe(talk, TRADES, {"trades": [], "has_more": False})
    assert talk.wait(4) == []


def test_other_channels_and_unknown_methods_are_counted() -> None:
    talk = live_talk()
    assert talk.push(f"ticker.{SYMBOL}.100ms", {"timestamp": 1, "stats": {}}) == []
    assert talk.push(f"book.{SYMBOL}.none.10.100ms", {"bids": [[1, 2]], "asks": [], "change_id": 1, "timestamp": 1}) == []
    assert talk.push("trades.future.BTC.100ms", []) == []
    assert talk.hear(method="confetti", params={"type": 5}) == []
    assert talk.hear(something="else") == []
    assert talk.counts["ignored"] == 3
    assert talk.counts["unknown"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"bids": [["new", 1]]},
        {"bids": [["new", "1", 1]]},
        {"bids": [["new", 1, -1]]},
        {"bids": None},
        {"timestamp": "later"},
        {"timestamp": 99999999999999999},
        {"change_id": 2**63},
        {"change_id": -(2**63)},
        {"type": "picture"},
        {"change_id": 10},
        {"change_id": 9},
        {"change_id": -1},
    ],
)
def test_a_malformed_book_is_a_gap_of_that_book_and_asked_for_again(change: dict[str, Any]) -> None:
    out = live_talk().book(10, 11, **change)
    assert [type(one).__name__ for one in out] == ["Coverage", "Coverage", "Send", "Send", "Notice"]
    assert [(row.state, row.cause) for row in out if isinstance(row, Coverage)] == [("gap", "malformed"), ("syncing", "malformed")]


def test_a_reply_that_cannot_be_read_is_that_of_the_channels_that_were_asked_for() -> None:
    talk = Talk()
    (notice,) = [one for one in talk.hear(id="subscribe-2", error="odd") if isinstance(one, Notice)][:1]
    assert notice.event == "malformed"
    assert methods(talk.wait(2)).count("public/subscribe") == 2


def test_a_malformed_reply_is_not_quoted() -> None:
    talk = Talk(options=CREDENTIALS)
    with pytest.raises(ProtocolError) as error:
        talk.hear(id="auth-2", result={"refresh_token": "hunter2", "expires_in": "hunter2"})
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None
