"""FUNDING of OKX: wire text in, exact records out; from the emulated venue into files, and out of them and of the raw traffic."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import xtrader as package
from tests import reading
from tests.cli.process import xtrader
from tests.running import in_sync, log_of, recorder, stop
from tests.venues.okx_talk import KEY, SYMBOL, Talk
from xtrader.emulator.server import Emulator
from xtrader.errors import ConfigError
from xtrader.model.market import Coverage
from xtrader.model.streams import Funding
from xtrader.model.subscription import Subscription, parse_subscriptions
from xtrader.venues import exchanges, streams
from xtrader.venues.base import Fetch, Ready

FUNDING = Subscription("FUNDING", "OKX_SWAP", SYMBOL)
ROW = {
    "formulaType": "noRate",
    "fundingRate": "-0.0001875391284828",
    "fundingTime": "1791388800000",
    "impactValue": "",
    "instId": SYMBOL,
    "instType": "SWAP",
    "interestRate": "",
    "method": "current_period",
    "maxFundingRate": "0.00375",
    "minFundingRate": "-0.00375",
    "nextFundingRate": "",
    "nextFundingTime": "1791417600000",
    "premium": "0.0001233824646391",
    "settFundingRate": "0.0001699799259033",
    "settState": "settled",
    "ts": "1791369350776",
}
HOUR = 3600 * 10**9


def message(**more: Any) -> dict[str, Any]:
    return {"arg": {"channel": "funding-rate", "instId": SYMBOL}, "data": [ROW | more]}


def test_a_message_is_a_record_with_its_unit_its_period_and_when_it_is_paid() -> None:
    talk = Talk(FUNDING)
    assert '"channel":"funding-rate"' in talk.started[-1].payload  # type: ignore[union-attr]
    assert [type(output) for output in talk.ack("funding-rate")] == [Coverage, Ready]
    paid = 1_791_388_800_000_000_000
    expected = Funding(KEY, -0.0001875391284828, "fraction", 8 * HOUR, None, paid, 1_791_369_350_776_000_000, talk.now + 10**9)
    assert talk.hear(message()) == [expected]
    assert talk.hear(message()) == []
    assert talk.hear(message(ts="1791369350000")) == []
    assert talk.counts["duplicates"] == 2
    (later,) = talk.hear(message(ts="1791369380776", nextFundingRate="0.0001", nextFundingTime=""))
    assert isinstance(later, Funding)
    assert (later.period, later.predicted) == (None, 0.0001)


@pytest.mark.parametrize("odd", [{"fundingRate": ""}, {"fundingRate": "inf"}, {"instId": "ETH-USDT-SWAP"}, {"ts": "x"}])
def test_one_that_cannot_be_read_is_a_gap_of_this_stream_alone(odd: dict[str, str]) -> None:
    talk = Talk(FUNDING, Subscription("TRADES", "OKX_SWAP", SYMBOL))
    talk.ack("funding-rate")
    talk.ack("trades")
    rows = [row for row in talk.hear(message(**odd)) if isinstance(row, Coverage)]
    assert [(row.stream, row.state, row.cause) for row in rows] == [
        ("FUNDING", "gap", "malformed"),
        ("FUNDING", "syncing", "malformed"),
    ]


def test_silence_is_asked_about_and_a_newer_rate_at_the_venue_is_a_gap() -> None:
    talk = Talk(FUNDING)
    talk.ack("funding-rate")
    talk.hear(message())
    (fetch,) = talk.session.probe(FUNDING, talk.now)
    assert isinstance(fetch, Fetch)
    assert (fetch.path, dict(fetch.params)) == ("/api/v5/public/funding-rate", {"instId": SYMBOL})
    body = json.dumps({"code": "0", "msg": "", "data": [ROW | {"ts": str(1791369350776 + 400_000)}]})
    talk.session.answer(fetch, 200, body.encode(), talk.now)
    gap, *_ = talk.wait(4)
    assert isinstance(gap, Coverage)
    assert (gap.state, gap.cause) == ("gap", "silent")


def test_a_venue_without_it_refuses_it_with_what_it_has() -> None:
    assert parse_subscriptions("funding:okx_swap@BTCUSDT", exchanges(), streams)[0].stream == "FUNDING"
    with pytest.raises(ConfigError, match=r"OKX_SPOT has no FUNDING, asked for by 'FUNDING:OKX_SPOT@BTCUSDT'; it has L2, TRADES"):
        parse_subscriptions("FUNDING:OKX_SPOT@BTCUSDT", exchanges(), streams)
    with pytest.raises(ConfigError, match="did you mean FUNDING"):
        parse_subscriptions("FUNDINGS:OKX_SWAP@BTCUSDT", exchanges(), streams)


@pytest.mark.parametrize("connections", [1, 2])
def test_it_is_recorded_read_verified_and_made_again_of_the_raw_traffic(connections: int, tmp_path: Path) -> None:
    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=50) as emulator:
            variables = {**emulator.variables, "XTRADER_CONNECTIONS": str(connections)}
            wanted = "FUNDING:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT"
            async with recorder(tmp_path, wanted, variables, "--raw-directory", str(tmp_path / "raw")) as process:
                await in_sync(tmp_path)
                await asyncio.sleep(7)
                assert await stop(process) == 0, log_of(tmp_path)

    asyncio.run(main())
    recording = package.open(tmp_path / "data")
    rates = [one for one in recording.replay("BTCUSDT", streams=["FUNDING"]) if isinstance(one, Funding)]
    assert len(rates) >= 3
    assert recording.rows("FUNDING", "BTCUSDT").to_arrow().num_rows == len(rates)
    assert recording.funding("BTCUSDT").to_arrow().num_rows == len(rates)  # type: ignore[attr-defined]
    assert {(one.unit, one.period) for one in rates} == {("fraction", 8 * HOUR)}
    verified = xtrader(tmp_path, "verify", "data")
    assert verified.returncode in (0, 1), verified.stdout
    assert "whether one is missing cannot be told" in verified.stdout
    ran = xtrader(tmp_path, "renormalise", "raw", "--output-directory", "again")
    assert (ran.returncode, ran.stderr) == (0, "")
    expected, found = (reading.rows(tmp_path / name, "FUNDING", "OKX_SWAP", SYMBOL) for name in ("data", "again"))
    assert found.equals(expected)
