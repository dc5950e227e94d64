import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

from xtrader.clock import SECOND
from xtrader.errors import ConfigError, ProtocolError, VenueError
from xtrader.feed.catalogue import Catalogue, body_of
from xtrader.model.instrument import Instrument
from xtrader.model.subscription import Subscription
from xtrader.venues.base import Fetch, Limits, Link, Listed, MarketSession

DAY = 86_400 * SECOND
SWAP = {"symbol": "BTC-USDT-SWAP", "alias": "BTCUSDT", "kind": "perpetual", "status": "live"}
ROWS = [
    SWAP,
    {"symbol": "ETH-USDT-SWAP", "alias": "ETHUSDT", "kind": "perpetual", "status": "suspend"},
    {"symbol": "BTC-USDT-261225", "alias": "BTCUSDT", "kind": "future", "status": "live"},
    {"symbol": "XRP-1", "alias": "XRPUSD", "kind": "future", "status": "live"},
    {"symbol": "XRP-2", "alias": "XRPUSD", "kind": "future", "status": "live"},
    {"symbol": "SOL-OLD", "alias": "SOLUSD", "kind": "perpetual", "status": "delisted"},
    {"symbol": "SOL-NEW", "alias": "SOLUSD", "kind": "perpetual", "status": "Trading"},
    {"symbol": "XRPUSD-LIKE", "alias": "XRP-1", "kind": "spot", "status": "live"},
]


class FakeMarket:
    """An in-memory market whose catalogue is a JSON list, one request per wanted name's first letter."""

    environment = "production"
    ws_url = "wss://venue.example"
    rest_url = "https://venue.example"
    limits = Limits(100, 60.0, 10, 1.0)
    depth_window = "all"

    def __init__(self, exchange: str = "OKX_SWAP") -> None:
        self.exchange = exchange

    def catalogue(self, wanted: Sequence[str]) -> Sequence[Fetch]:
        return [Fetch("catalogue", "catalogue", "/instruments", (("kind", "all"),))]

    def instruments(self, bodies: Sequence[bytes], now: int) -> Listed:
        try:
            rows = [row for body in bodies for row in json.loads(body)]
            found = [Instrument(exchange=self.exchange, ts=now, **row) for row in rows if "symbol" in row]
            return Listed(found, [f"{row}: no symbol" for row in rows if "symbol" not in row], [])
        except (ValueError, TypeError) as error:
            raise ProtocolError(self.exchange, "no catalogue") from error

    def guess(self, text: str) -> Instrument | None:
        if not text.upper().endswith("USDT"):
            return None
        return Instrument(exchange=self.exchange, symbol=f"{text[:-4].upper()}-USDT-SWAP", alias=text.upper(), kind="perpetual")

    def links(self, subscriptions: Sequence[Subscription]) -> list[Link]:
        raise NotImplementedError

    def session(self, link: Link, cause: str, resume: object) -> MarketSession:
        raise NotImplementedError


class Venue:
    """Answers, or fails as told; also the clock."""

    def __init__(self) -> None:
        self.body: bytes | Exception = json.dumps(ROWS).encode()
        self.time = 1000 * DAY
        self.asked = 0

    async def fetch(self, market: object, request: Fetch) -> bytes:
        self.asked += 1
        if isinstance(self.body, Exception):
            raise self.body
        return self.body

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time


@pytest.fixture
def venue() -> Venue:
    return Venue()


def resolve(venue: Venue, directory: Path, *wanted: str, guesses: bool = True) -> dict[str, Instrument]:
    catalogue = Catalogue(directory, venue.fetch, venue, guesses=guesses)
    tokens = {text: f"L2:OKX_SWAP@{text}" for text in wanted}
    return asyncio.run(catalogue.resolve(FakeMarket(), wanted, tokens))


def events(logs: list[structlog.typing.EventDict]) -> list[str]:
    return [str(entry["event"]) for entry in logs]


def test_symbol_and_alias_are_found_in_any_case(venue: Venue, tmp_path: Path) -> None:
    found = resolve(venue, tmp_path, "BTCUSDT", "btc-usdt-swap", "BTC-USDT-261225")
    assert [found[text].symbol for text in found] == ["BTC-USDT-SWAP", "BTC-USDT-SWAP", "BTC-USDT-261225"]
    assert {row.source for row in found.values()} == {"venue"}


def test_rows_that_cannot_be_read_are_told_by_number_and_name(venue: Venue, tmp_path: Path) -> None:
    venue.body = json.dumps([{"odd": 1}, SWAP, {"odd": 2}]).encode()
    with structlog.testing.capture_logs() as logs:
        assert resolve(venue, tmp_path, "BTCUSDT")["BTCUSDT"].symbol == "BTC-USDT-SWAP"
    told = [(entry["exchange"], entry["count"], entry["first"]) for entry in logs if entry["event"] == "catalogue_rows_unread"]
    assert told == [("OKX_SWAP", 2, "{'odd': 1}: no symbol")]


def test_a_symbol_goes_before_an_alias_and_what_trades_before_what_does_not(venue: Venue, tmp_path: Path) -> None:
    found = resolve(venue, tmp_path, "XRP-1", "SOLUSD")
    assert found["XRP-1"].symbol == "XRP-1"
    assert found["SOLUSD"].symbol == "SOL-NEW"


def test_an_alias_that_means_several_is_refused_with_their_names(venue: Venue, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^'xrpusd' in 'L2:OKX_SWAP@xrpusd' may mean any of XRP-1, XRP-2; give the venue's"):
        resolve(venue, tmp_path, "xrpusd")


def test_an_unknown_instrument_is_refused_with_near_matches(venue: Venue, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(venue, tmp_path, "BTCUST")
    assert str(caught.value).startswith(
        "unknown instrument 'BTCUST' on OKX_SWAP in 'L2:OKX_SWAP@BTCUST'; did you mean BTCUSDT (BTC-USDT-SWAP)"
    )
    with pytest.raises(ConfigError, match="nothing there has a similar name"):
        resolve(venue, tmp_path, "QQQQQQQ")


def test_an_instrument_that_does_not_trade_is_taken_with_a_warning(venue: Venue, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        assert resolve(venue, tmp_path, "ETHUSDT")["ETHUSDT"].status == "suspend"
    assert logs == [
        {"event": "instrument_not_trading", "instrument": "OKX_SWAP@ETH-USDT-SWAP", "status": "suspend", "log_level": "warning"}
    ]


@pytest.mark.parametrize("failure", [OSError("no network"), VenueError("OKX_SWAP", "HTTP 503"), TimeoutError()])
def test_an_outage_is_bridged_by_the_catalogue_on_disk(venue: Venue, tmp_path: Path, failure: Exception) -> None:
    fresh = resolve(venue, tmp_path, "BTCUSDT")["BTCUSDT"]
    venue.body = failure
    venue.time += 3 * DAY + 3600 * SECOND
    with structlog.testing.capture_logs() as logs:
        old = resolve(venue, tmp_path, "BTCUSDT")["BTCUSDT"]
    assert (old.symbol, old.source, old.ts) == ("BTC-USDT-SWAP", "cache", fresh.ts)
    assert logs[0]["event"] == "catalogue_stale"
    assert logs[0]["age"] == "3 d 1 h"


def test_an_answer_that_makes_no_sense_is_an_outage_too(venue: Venue, tmp_path: Path) -> None:
    resolve(venue, tmp_path, "BTCUSDT")
    for body in (b"<html>", b"[]", b'[{"symbol": 1}]'):
        venue.body = body
        assert resolve(venue, tmp_path, "BTCUSDT")["BTCUSDT"].source == "cache"


def test_a_young_cached_catalogue_may_say_that_an_instrument_does_not_exist_an_old_one_not(venue: Venue, tmp_path: Path) -> None:
    resolve(venue, tmp_path, "BTCUSDT")
    venue.body = OSError("no network")
    venue.time += 6 * DAY
    with pytest.raises(ConfigError, match=r"unknown instrument 'NEWUSDT' on OKX_SWAP .* \(by its catalogue of 6 d 0 h ago\)"):
        resolve(venue, tmp_path, "NEWUSDT")
    venue.time += 2 * DAY
    assert resolve(venue, tmp_path, "NEWUSDT")["NEWUSDT"].symbol == "NEW-USDT-SWAP"


def test_without_any_catalogue_a_rule_stands_in_with_a_warning(venue: Venue, tmp_path: Path) -> None:
    venue.body = OSError("no network")
    with structlog.testing.capture_logs() as logs:
        found = resolve(venue, tmp_path, "btcusdt")["btcusdt"]
    assert (found.symbol, found.source) == ("BTC-USDT-SWAP", "rule")
    assert events(logs) == ["catalogue_missing", "instrument_guessed"]


def test_a_name_is_guessed_only_where_that_is_wanted_or_a_catalogue_was_seen_to_list_it(venue: Venue, tmp_path: Path) -> None:
    fresh, venue.body = venue.body, OSError("no network")
    with pytest.raises(VenueError, match="OKX_SWAP: no network"):
        resolve(venue, tmp_path, "btcusdt", guesses=False)
    wanted = [Subscription("L2", "OKX_SWAP", "BTCUSDT"), Subscription("L2", "DERIBIT", "NEWUSDT")]
    markets = {"OKX_SWAP": FakeMarket(), "DERIBIT": FakeMarket("DERIBIT")}
    found = asyncio.run(Catalogue(tmp_path, venue.fetch, venue).look_up(markets, wanted))
    assert (found.subscriptions, found.waiting) == ((), dict.fromkeys(wanted, "no network"))
    venue.body = fresh
    resolve(venue, tmp_path, "BTCUSDT", guesses=False)
    venue.body = OSError("no network")
    venue.time += 8 * DAY
    found = asyncio.run(
        Catalogue(tmp_path, venue.fetch, venue).look_up(markets, [wanted[0], Subscription("L2", "OKX_SWAP", "NEWUSDT")])
    )
    assert list(map(str, found.subscriptions)) == ["L2:OKX_SWAP@BTC-USDT-SWAP"]
    assert list(map(str, found.waiting)) == ["L2:OKX_SWAP@NEWUSDT"]


def test_where_no_rule_fits_either_the_user_is_told_why(venue: Venue, tmp_path: Path) -> None:
    venue.body = OSError("no network")
    with pytest.raises(ConfigError, match=r"^cannot tell what 'BTC' on OKX_SWAP in 'L2:OKX_SWAP@BTC' is: .* \(no network\)"):
        resolve(venue, tmp_path, "BTC")


def test_a_damaged_cache_is_an_absent_one(venue: Venue, tmp_path: Path) -> None:
    resolve(venue, tmp_path, "BTCUSDT")
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(path.read_bytes()[:-5])
    venue.body = OSError("no network")
    with structlog.testing.capture_logs() as logs:
        assert resolve(venue, tmp_path, "BTCUSDT")["BTCUSDT"].source == "rule"
    assert events(logs)[0] == "catalogue_cache_unusable"


def test_a_cache_that_cannot_be_written_is_only_a_warning(venue: Venue, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with structlog.testing.capture_logs() as logs:
        assert resolve(venue, tmp_path / "file", "BTCUSDT")["BTCUSDT"].source == "venue"
    assert events(logs) == ["catalogue_not_cached"]


def test_a_fresh_answer_is_asked_for_each_time_and_replaces_the_cache(venue: Venue, tmp_path: Path) -> None:
    resolve(venue, tmp_path, "BTCUSDT")
    venue.body = json.dumps([{**SWAP, "symbol": "RENAMED"}]).encode()
    assert resolve(venue, tmp_path, "BTCUSDT")["BTCUSDT"].symbol == "RENAMED"
    venue.body = OSError("no network")
    assert resolve(venue, tmp_path, "BTCUSDT")["BTCUSDT"].symbol == "RENAMED"


def test_subscriptions_get_the_venues_own_symbols_once_each(venue: Venue, tmp_path: Path) -> None:
    wanted = [
        Subscription("L2", "OKX_SWAP", "BTCUSDT"),
        Subscription("TRADES", "DERIBIT", "ETHUSDT"),
        Subscription("L2", "OKX_SWAP", "BTC-USDT-SWAP"),
    ]
    markets = {"OKX_SWAP": FakeMarket(), "DERIBIT": FakeMarket("DERIBIT")}
    found = asyncio.run(Catalogue(tmp_path, venue.fetch, venue).look_up(markets, wanted))
    assert list(map(str, found.subscriptions)) == ["L2:OKX_SWAP@BTC-USDT-SWAP", "TRADES:DERIBIT@ETH-USDT-SWAP"]
    assert set(found.instruments) == {"OKX_SWAP@BTC-USDT-SWAP", "DERIBIT@ETH-USDT-SWAP"}


def test_an_error_status_is_no_catalogue() -> None:
    async def get(market: object, request: Fetch) -> tuple[int, bytes]:
        return 451, b"restricted"

    with pytest.raises(VenueError, match="OKX_SWAP: GET /instruments: HTTP 451"):
        asyncio.run(body_of(get)(FakeMarket(), Fetch("catalogue", "catalogue", "/instruments")))
