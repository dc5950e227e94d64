"""Paging: how a list that a venue gives in pages is followed. One rule: a list that never ends is not followed for ever."""

from __future__ import annotations

from typing import Any

import msgspec

from xtrader.venues.base import Fetch

MOST = 100
"""Pages of one list."""


def next_page(fetch: Fetch, body: bytes) -> Fetch | None:
    """The request for the page after `body`, the answer to `fetch`; None if there is none, or if that cannot be told: then whoever
    reads the page will say what is wrong with it."""
    if fetch.cursor is None:
        return None
    path, parameter = fetch.cursor
    try:
        found: Any = msgspec.json.decode(body)
        for name in path:
            found = found[name]
    except (msgspec.MsgspecError, UnicodeError, RecursionError, LookupError, TypeError):
        return None
    if not isinstance(found, str) or not found or (parameter, found) in fetch.params:
        return None
    others = tuple(pair for pair in fetch.params if pair[0] != parameter)
    return msgspec.structs.replace(fetch, params=(*others, (parameter, found)))
