"""What changed at a venue is named: fields, units, limits. The venues are emulated ones whose bytes are changed on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from xtrader.clock import SystemClock
from xtrader.diagnosis import Diagnosis
from xtrader.doctor.live_frames import examine_live, is_multiple
from xtrader.doctor.venue_check import ask_venue
from xtrader.emulator import client, server, venue
from xtrader.emulator.faults import parse
from xtrader.emulator.server import Emulator
from xtrader.emulator.venue import HttpAnswer
from xtrader.feed.rest import Rest
from xtrader.model.subscription import parse_subscriptions
from xtrader.venues import exchanges, market, streams

SYMBOLS = {
    "BINANCE_COINM": "BTCUSD_PERP",
    "BINANCE_FUTURES": "BTCUSDT",
    "BINANCE_SPOT": "BTCUSDT",
    "DERIBIT": "BTC-PERPETUAL",
    "OKX_FUTURES": "",
    "OKX_SPOT": "BTC-USDT",
    "OKX_SWAP": "BTC-USDT-SWAP",
}
Change = Callable[[bytes], bytes]
SECONDS = 4.0


def live(exchange: str, faults: str = "", wanted: tuple[str, ...] = ("L2", "TRADES"), seconds: float = 30.0) -> list[Diagnosis]:
    async def main() -> list[Diagnosis]:
        async with Emulator([exchange], instruments=2, rate=400) as emulator:
            if faults:
                emulator.add(parse(faults))
            symbol = SYMBOLS[exchange]
            asked_for = parse_subscriptions(",".join(f"{one}:{exchange}@{symbol}" for one in wanted), exchanges(), streams)
            async with Rest(SystemClock()) as rest:
                asked = await ask_venue(market(exchange, emulator.variables), asked_for, rest, SystemClock())
                return await examine_live(asked, rest, SystemClock(), seconds)

    return asyncio.run(main())


def ill(found: list[Diagnosis]) -> dict[str, str]:
    said: dict[str, str] = {}
    for one in found:
        if one.level != "ok":
            said[one.about] = "; ".join(filter(None, (said.get(one.about), one.words)))
    return said


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Change every frame and every answer of the emulated venues, as bytes."""

    def start(change: Change) -> None:
        frame, response = client.text_frame, server._response

        def changed_frame(payload: bytes) -> bytes:
            return frame(change(bytes(payload)))

        for module in (client, venue):
            monkeypatch.setattr(module, "text_frame", changed_frame)
        monkeypatch.setattr(
            server, "_response", lambda made, answer: response(made, HttpAnswer(change(answer.body), answer.status, answer.headers))
        )

    return start


def replaced(old: str, new: str) -> Change:
    return lambda text: re.sub(old.encode(), new.encode(), text)


@pytest.mark.parametrize("exchange", sorted(name for name, symbol in SYMBOLS.items() if symbol))
def test_a_venue_as_it_is_known_has_no_differences(exchange: str) -> None:
    found = live(exchange)
    assert ill(found) == {}
    said = {one.about.rpartition(" ")[2] for one in found if one.words.startswith("has the fields")}
    assert len(said) >= 4, said
    assert sum(one.words == "its messages can be read" for one in found) == 2


def test_funding_is_looked_into_too() -> None:
    found = live("OKX_SWAP", wanted=("FUNDING",))
    assert ill(found) == {}
    assert "live OKX_SWAP funding-rate" in {one.about for one in found}


@pytest.mark.parametrize(
    ("exchange", "old", "new", "about", "words"),
    [
        ("OKX_SWAP", '"asks":', '"liquidity":"x","asks":', "live OKX_SWAP books", "has fields that are not known here: liquidity"),
        ("OKX_SWAP", '"tradeId":', '"maker":1,"tradeId":', "live OKX_SWAP trades", "has fields that are not known here: maker"),
        ("OKX_SWAP", '"lotSz":', '"lotSize":', "live OKX_SWAP catalogue", "has no lotSz any more"),
        (
            "OKX_SWAP",
            '"tickSz":',
            '"tickSz2":"1","tickSz":',
            "live OKX_SWAP catalogue",
            "has fields that are not known here: tickSz2",
        ),
        ("BINANCE_FUTURES", '"pu":', '"xu":1,"pu":', "live BINANCE_FUTURES depthUpdate", "has fields that are not known here: xu"),
        ("BINANCE_FUTURES", '"m":', '"maker":', "live BINANCE_FUTURES aggTrade", "has no m any more"),
        ("DERIBIT", '"trade_seq":', '"x":{},"trade_seq":', "live DERIBIT trades", "has fields that are not known here: x"),
        ("DERIBIT", '"method":"subscription"', '"v":3,"method":"subscription"', "live DERIBIT message", "not known here: v"),
    ],
)
def test_fields_that_are_new_or_gone_are_named(
    changed: Callable[[Change], None], exchange: str, old: str, new: str, about: str, words: str
) -> None:
    changed(replaced(old, new))
    assert words in ill(live(exchange, seconds=SECONDS))[about]


@pytest.mark.parametrize(
    ("exchange", "old", "new", "words"),
    [
        ("OKX_SWAP", r'"ts":"(\d+)"', r'"ts":"\g<1>000"', "is not in sync after 4 s"),
        ("OKX_SWAP", r'"ts":"\d+(\d{3})"', r'"ts":"1700000\g<1>"', "they may be in another unit"),
        ("BINANCE_FUTURES", r'"T":\d+(\d{3})', r'"T":1700000\g<1>', "they may be in another unit"),
        ("DERIBIT", r'"timestamp":\d+(\d{3}),', r'"timestamp":1700000\g<1>,', "they may be in another unit"),
    ],
)
def test_times_in_another_unit_are_wrong(changed: Callable[[Change], None], exchange: str, old: str, new: str, words: str) -> None:
    changed(replaced(old, new))
    found = ill(live(exchange, wanted=("L2",), seconds=SECONDS))
    assert any(words in one for one in found.values()), found


def test_prices_that_do_not_fit_the_catalogue_are_worth_a_word(changed: Callable[[Change], None]) -> None:
    changed(replaced('"tickSz":"[^"]+"', '"tickSz":"7.7"'))
    found = ill(live("OKX_SWAP"))
    assert "its prices are no multiples of the catalogue's 7.7" in found["live L2:OKX_SWAP@BTC-USDT-SWAP"]


def test_another_limit_is_named(changed: Callable[[Change], None]) -> None:
    changed(replaced('"limit":2400', '"limit":1200'))
    words = ill(live("BINANCE_FUTURES"))["live BINANCE_FUTURES limits"]
    assert words == "REST weight of 1200 in 60 s may be used, 2400 in 60 s is what is kept to"


def test_an_instrument_that_never_delivers_is_wrong() -> None:
    found = ill(live("OKX_SWAP", "never_delivers:L2:OKX_SWAP@BTC-USDT-SWAP", seconds=2.0))
    assert found["live L2:OKX_SWAP@BTC-USDT-SWAP"] == "is not in sync after 2 s"


@pytest.mark.parametrize(
    ("value", "step", "fits"), [(61685.9, 0.1, True), (0.3, 0.1, True), (61685.95, 0.1, False), (1e9 + 0.5, 0.5, True)]
)
def test_multiples_are_told_in_float64(value: float, step: float, fits: bool) -> None:
    assert is_multiple(value, step) == fits
