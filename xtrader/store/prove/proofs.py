"""Which proof a stream has, by the table of streams."""

from __future__ import annotations

from typing import TypeAlias

from xtrader.errors import UnknownKind
from xtrader.model.streams import STREAMS
from xtrader.store.prove.book_proof import BookProof, Tell
from xtrader.store.prove.coverage_map import CoverageMap
from xtrader.store.prove.latest_proof import LatestProof
from xtrader.store.prove.trade_proof import TradeProof
from xtrader.venues.base import Rules

Proof: TypeAlias = BookProof | TradeProof | LatestProof


def proof(stream: str, key: str, rules: Rules, coverage: CoverageMap, tell: Tell) -> Proof | None:
    """The proof of the rows of one instrument, to be fed with tables of them; None for the streams that are not subscribed to."""
    if stream not in STREAMS:
        raise UnknownKind(stream)
    match STREAMS[stream].proof:
        case "chain":
            return BookProof(key, rules, coverage, tell)
        case "numbers":
            return TradeProof(rules, coverage, tell)
        case "freshness":
            return LatestProof(STREAMS[stream], coverage, tell)
        case "":
            return None
        case other:
            raise UnknownKind(other)
