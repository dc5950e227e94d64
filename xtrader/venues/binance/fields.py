"""The fields of Binance's messages that are known, as of October 2026. One rule: what is decoded is said in `wire`, not here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xtrader.venues.binance.market import Symbol
from xtrader.venues.binance.wire import EVENTS, AggTrade, BinanceEnvelope, DepthEvent, TradePrint
from xtrader.venues.machine.fields import CATALOGUE, KnownFields, VenueFields

SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
KINDS = {
    "message": KnownFields(BinanceEnvelope),
    "depthUpdate": KnownFields(DepthEvent, "", "ps st"),
    "trade": KnownFields(TradePrint, "m", "E M a b st"),
    "aggTrade": KnownFields(AggTrade, "m", "E M nq st"),
    CATALOGUE: KnownFields(
        Symbol,
        "filters",
        "allowAmend allowTrailingStop allowedSelfTradePreventionModes baseAssetPrecision baseCommissionPrecision "
        "cancelReplaceAllowed defaultSelfTradePreventionMode equalQtyPrecision icebergAllowed isMarginTradingAllowed "
        "isSpotTradingAllowed liquidationFee maintMarginPercent marketTakeBound maxMoveOrderLimit ocoAllowed onboardDate "
        "opoAllowed orderType orderTypes otoAllowed pegInstructionsAllowed permissionSets permissions pricePrecision "
        "quantityPrecision quoteAssetPrecision quoteCommissionPrecision quoteOrderQtyMarketAllowed quotePrecision "
        "requiredMarginPercent settlePlan timeInForce triggerProtect underlyingSubType underlyingType",
    ),
}


def _rows(message: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    event = message.get("data") if "stream" in message else message
    if isinstance(event, dict) and event.get("e") in EVENTS:
        if event is not message:
            yield "message", message
        yield event["e"], event


def _listed(body: Mapping[str, Any]) -> list[Any]:
    return body.get("symbols") or []


def _limits(body: Mapping[str, Any], weight: int, seconds: float) -> Iterator[str]:
    stated = [
        (row.get("limit"), SECONDS.get(str(row.get("interval")), 0) * row.get("intervalNum", 1))
        for row in body.get("rateLimits") or []
        if isinstance(row, dict) and row.get("rateLimitType") == "REQUEST_WEIGHT"
    ]
    if not stated:
        yield "its catalogue says no more how much REST weight may be used"
    elif (weight, seconds) not in stated:
        said = ", ".join(f"{limit} in {interval} s" for limit, interval in stated)
        yield f"REST weight of {said} may be used, {weight} in {seconds:.0f} s is what is kept to"


FIELDS = VenueFields(KINDS, _rows, _listed, _limits)
