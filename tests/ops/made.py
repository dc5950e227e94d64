"""Facts made by hand."""

from __future__ import annotations

from typing import Any

from xtrader.ops.facts import Facts, SinkFacts, SubscriptionFacts

NOW = 1_700_000_000 * 10**9


def subscription(name: str = "L2:OKX_SWAP@BTC-USDT-SWAP", **other: Any) -> SubscriptionFacts:
    stream, _, key = name.partition(":")
    exchange, _, instrument = key.partition("@")
    plain: dict[str, Any] = {
        "name": name,
        "exchange": exchange,
        "stream": stream,
        "instrument": instrument,
        "state": "live",
        "since": NOW,
        "cause": "start",
        "detail": "",
        "messages": 1,
        "rate": 1.0,
        "ts_last": NOW,
        "silence_limit": 10.0,
        "gaps": {},
        "resyncs": 0,
        "connections": (f"{exchange}/0",),
        "connections_live": 1,
    }
    return SubscriptionFacts(**{**plain, **other})


def sink(name: str = "files", **other: Any) -> SinkFacts:
    numbers = ("behind_bytes", "held_bytes", "cursor", "position", "rows", "parts", "retries", "restarts", "set_aside", "damaged")
    plain = {"name": name, "alive": True, "error": "", "since": NOW, "behind_seconds": 0.0, "held_seconds": 0.0}
    return SinkFacts(**{**plain, **dict.fromkeys(numbers, 0), **other})


def facts(*subscriptions: SubscriptionFacts, **other: Any) -> Facts:
    plain: dict[str, Any] = {
        "ts": NOW,
        "started": NOW,
        "collector": "here",
        "host": "machine",
        "stopping": "",
        "versions": {},
        "settings": {},
        "subscriptions": subscriptions,
        "wanted": len(subscriptions),
    }
    return Facts(**{**plain, **other})
