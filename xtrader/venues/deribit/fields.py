"""The fields of Deribit's messages that are known, as of October 2026. One rule: what is decoded is said in `wire`, not here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xtrader.venues.deribit.market import DeribitInstrument
from xtrader.venues.deribit.wire import BookData, DeribitFrame, Params, TradeData
from xtrader.venues.machine.fields import CATALOGUE, KnownFields, VenueFields

KINDS = {
    "message": KnownFields(DeribitFrame, "method params", "jsonrpc"),
    "params": KnownFields(Params, "channel data"),
    "book": KnownFields(BookData, "instrument_name"),
    "trades": KnownFields(
        TradeData,
        "direction instrument_name",
        "block_rfq_id block_trade_id block_trade_leg_count combo_id combo_trade_id contracts index_price iv liquidation mark_price "
        "starbase_match_id starbase_timestamp tick_direction",
    ),
    CATALOGUE: KnownFields(
        DeribitInstrument,
        "kind base_currency quote_currency tick_size min_trade_amount expiration_timestamp is_active",
        "block_trade_commission block_trade_min_trade_amount block_trade_tick_size contract_size creation_timestamp instrument_id "
        "leverage maker_commission max_leverage max_liquidation_commission price_index rfq taker_commission tick_size_steps",
    ),
}


def _rows(message: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    params = message.get("params")
    if message.get("method") != "subscription" or not isinstance(params, dict):
        return
    kind = str(params.get("channel", "")).partition(".")[0]
    if kind in KINDS:
        yield "message", message
        yield "params", params
        data = params.get("data")
        for row in data if isinstance(data, list) else [data]:
            yield kind, row


def _listed(body: Mapping[str, Any]) -> list[Any]:
    return body.get("result") or []


FIELDS = VenueFields(KINDS, _rows, _listed)
