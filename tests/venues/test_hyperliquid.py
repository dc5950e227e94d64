"""Hyperliquid: two lists of instruments by POST, names, past trades, and what answers about silent instruments prove."""

from __future__ import annotations

import json

import pytest

from tests.venues.transcripts import BEGIN, SECOND
from xtrader.errors import ProtocolError
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, MarketSession, Output
from xtrader.venues.hyperliquid import recognise
from xtrader.venues.machine.trades import SeenTrades

NOW_MS = BEGIN // 1_000_000
META = {"universe": [{"name": "BTC", "szDecimals": 5, "maxLeverage": 40}, {"name": "OLD", "szDecimals": 0, "isDelisted": True}, {}]}
SPOT = {
    "universe": [{"name": "@107", "tokens": [150, 0], "index": 107}],
    "tokens": [{"name": "USDC", "szDecimals": 8, "index": 0}, {"name": "HYPE", "szDecimals": 2, "index": 150}],
}
KEY = "HYPERLIQUID@BTC"


def session_of(stream: str, resume: dict[str, SeenTrades] | None = None) -> MarketSession:
    venue = market("HYPERLIQUID", {})
    made = venue.session(venue.links([Subscription(stream, "HYPERLIQUID", "BTC")])[0], "start", resume or {})
    list(made.start(BEGIN))
    kind = "l2Book" if stream == "L2" else "trades"
    echo = {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": {"type": kind, "coin": "BTC"}}}
    list(made.receive(json.dumps(echo).encode(), BEGIN))
    return made


def book(bid: str, ms: int) -> dict[str, object]:
    return {"coin": "BTC", "time": ms, "levels": [[{"px": bid, "sz": "1", "n": 1}], [{"px": "11", "sz": "2", "n": 1}]]}


def trade(tid: int, ms: int) -> dict[str, object]:
    return {"coin": "BTC", "side": "A", "px": "10", "sz": "1", "hash": "0x0", "time": ms, "tid": tid, "users": ["a", "b"]}


def hear(session: MarketSession, channel: str, data: object, seconds: int) -> list[Output]:
    return list(session.receive(json.dumps({"channel": channel, "data": data}).encode(), BEGIN + seconds * SECOND))


def ids(outputs: list[Output]) -> list[str]:
    return [one.trade_id for one in outputs if isinstance(one, Trade)]


def test_perpetuals_and_spot_pairs_are_asked_for_by_post_and_read() -> None:
    venue = market("HYPERLIQUID", {})
    assert [(one.method, one.path, one.body) for one in venue.catalogue(())] == [
        ("POST", "/info", '{"type":"meta"}'),
        ("POST", "/info", '{"type":"spotMeta"}'),
    ]
    found = venue.instruments([json.dumps(META).encode(), json.dumps(SPOT).encode()], 7)
    btc, old, hype = found.instruments
    assert (btc.symbol, btc.alias, btc.kind, btc.lot_size, btc.settle, btc.status) == (
        "BTC",
        "BTCUSD",
        "perpetual",
        1e-5,
        "USDC",
        "trading",
    )
    assert old.status == "delisted"
    assert (hype.symbol, hype.alias, hype.kind, hype.base, hype.lot_size) == ("@107", "HYPEUSDC", "spot", "HYPE", 0.01)
    assert len(found.unread) == 1


@pytest.mark.parametrize("body", [b"null", b"[]", b'{"universe":[],"tokens":[{"name":"x"}]}'])
def test_what_is_no_list_is_said(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="the instrument catalogue cannot be read"):
        market("HYPERLIQUID", {}).instruments([body], 7)


@pytest.mark.parametrize(
    ("text", "symbol", "alias", "kind"),
    [
        ("BTC", "BTC", "BTCUSD", "perpetual"),
        ("kPEPE", "kPEPE", "kPEPEUSD", "perpetual"),
        ("PURR/USDC", "PURR/USDC", "PURRUSDC", "spot"),
    ],
)
def test_a_name_tells_what_it_is(text: str, symbol: str, alias: str, kind: str) -> None:
    guessed = market("HYPERLIQUID", {}).guess(text)
    assert guessed is not None
    assert (guessed.symbol, guessed.alias, guessed.kind) == (symbol, alias, kind)


def test_trades_of_before_the_start_are_left_out_and_new_ones_beside_them_are_not() -> None:
    session = session_of("TRADES")
    assert ids(hear(session, "trades", [trade(1, NOW_MS - 49_000), trade(2, NOW_MS + 500)], 1)) == ["2"]
    assert ids(hear(session, "trades", [trade(1, NOW_MS - 49_000)], 2)) == []


def test_after_a_reconnect_trades_that_nobody_saw_are_recorded_and_the_others_are_not() -> None:
    first = session_of("TRADES")
    hear(first, "trades", [trade(2, NOW_MS + 500)], 1)
    second = session_of("TRADES", dict(first.resume()))
    past = [trade(3, NOW_MS - 30_000), trade(2, NOW_MS + 500)]
    assert ids(hear(second, "trades", past, 2)) == ["3"]


def test_a_book_of_an_earlier_time_is_left_out_unless_all_that_comes_is_earlier() -> None:
    session = session_of("L2")
    hear(session, "l2Book", book("10", NOW_MS + 5000), 1)
    assert hear(session, "l2Book", book("9", NOW_MS + 4000), 2) == []
    (taken,) = hear(session, "l2Book", book("8", NOW_MS + 4100), 20)
    assert isinstance(taken, BookUpdate)


def asked(session: MarketSession, stream: str, answer: object) -> list[str]:
    """Causes of the gaps that a question after a silence, and this answer, lead to."""
    now = BEGIN + 60 * SECOND
    (fetch,) = session.probe(Subscription(stream, "HYPERLIQUID", "BTC"), now)
    assert isinstance(fetch, Fetch)
    out = [*session.answer(fetch, 200, json.dumps(answer).encode(), now), *session.idle(now + 4 * SECOND)]
    return [one.cause for one in out if isinstance(one, Coverage) and one.state == "gap"]


def test_a_silent_book_is_compared_with_the_answer() -> None:
    for bid, causes in (("10", []), ("9", ["silent"])):
        session = session_of("L2")
        hear(session, "l2Book", book("10", NOW_MS + 1000), 1)
        assert asked(session, "L2", book(bid, NOW_MS + 60_000)) == causes


def test_silent_trades_are_dead_if_the_venue_has_newer_ones_that_did_not_come() -> None:
    for tid, ms, causes in ((2, 500, []), (7, 30_000, ["silent"]), (7, -30_000, [])):
        session = session_of("TRADES")
        hear(session, "trades", [trade(2, NOW_MS + 500)], 1)
        assert asked(session, "TRADES", [trade(tid, NOW_MS + ms)]) == causes


def test_a_coin_that_the_venue_denies_twice_is_delisted() -> None:
    session = session_of("L2")
    hear(session, "l2Book", book("10", NOW_MS + 1000), 1)
    assert [asked(session, "L2", None) for _ in range(2)] == [[], ["delisted"]]


def test_recorded_frames_name_their_coin() -> None:
    frame = b'{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[[],[]]}}'
    (origin,) = recognise("wss://api.hyperliquid.xyz/ws", frame, "")
    assert origin[:3] == ("L2", "HYPERLIQUID", "BTC")
    assert recognise("wss://example.com/ws", frame, "") == ()
