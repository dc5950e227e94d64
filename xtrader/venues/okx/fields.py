"""The fields of OKX's messages that are known, as of October 2026. One rule: what is decoded is said in `wire`, not here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xtrader.venues.machine.fields import CATALOGUE, KnownFields, VenueFields
from xtrader.venues.okx.funding import CHANNEL as FUNDING
from xtrader.venues.okx.funding import FundingRow
from xtrader.venues.okx.market import OkxInstrument
from xtrader.venues.okx.wire import OkxData, OkxFrame

KINDS = {
    "message": KnownFields(OkxFrame, "arg data", "connId"),
    "books": KnownFields(OkxData, "asks bids ts seqId prevSeqId"),
    "trades": KnownFields(OkxData, "instId tradeId px sz side ts count", "seqId source"),
    FUNDING: KnownFields(
        FundingRow,
        "instId fundingRate fundingTime",
        "formulaType impactValue instType interestRate maxFundingRate method minFundingRate premium settFundingRate settState",
    ),
    CATALOGUE: KnownFields(
        OkxInstrument,
        "instType tickSz lotSz minSz state",
        "alias auctionEndTime category contTdSwTime elp futureSettlement groupId instCategory instFamily instIdCode lever listTime "
        "maxIcebergSz maxLmtAmt maxLmtSz maxMktAmt maxMktSz maxPlatOILmt maxPlatOICoinLmt maxStopSz maxTriggerSz maxTwapSz "
        "openType posLmtAmt posLmtPct preMktSwTime ruleType tradeQuoteCcyList upcChg",
    ),
}


def _rows(message: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    channel = (message.get("arg") or {}).get("channel") if isinstance(message.get("arg"), dict) else None
    if channel not in KINDS or not isinstance(message.get("data"), list):
        return
    yield "message", message
    for row in message["data"]:
        yield channel, row


def _listed(body: Mapping[str, Any]) -> list[Any]:
    return body.get("data") or []


FIELDS = VenueFields(KINDS, _rows, _listed)
