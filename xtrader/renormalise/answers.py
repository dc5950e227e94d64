"""Answers: gives a session's REST request the answer that was recorded for it.

One rule: each recorded answer is given once, at its recorded time if the request is older, at once if the answer is older; of older
ones only the last is kept. So a session that finds an answer too old waits for the next one, as it would on the wire. Of several
that wait for the same, the one on the connection that asked gets it.
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

from xtrader.recordings.events import Answered
from xtrader.venues.base import Fetch
from xtrader.venues.recorded import name_of

_VERSION = re.compile(r"/v\d+/")
_SYMBOL = re.compile(rb'"symbol"\s*:\s*"([^"]+)"')
_HEAD = 300
"""Bytes of a body in which its symbol stands, before the levels."""

T = TypeVar("T")


class Answers(Generic[T]):
    """Requests that wait for their answer, each with who asked, and answers that nobody asked for yet."""

    def __init__(self, only_symbol: str) -> None:
        """`only_symbol`: what an answer that names no request and no symbol is about; empty if that cannot be told."""
        self._only_symbol = only_symbol
        self._waiting: list[tuple[Fetch, T, str]] = []
        self._kept: dict[str, Answered] = {}

    def ask(self, fetch: Fetch, who: T, connection: str) -> Answered | None:
        """The answer that is there already; else None, and the request that was made for a `connection` waits."""
        for url, answer in self._kept.items():
            if self._fits(fetch, answer):
                del self._kept[url]
                return answer
        self._waiting.append((fetch, who, connection))
        return None

    def came(self, answer: Answered) -> tuple[Fetch, T] | None:
        """The request that an answer is for; None if none waits for it, in which case it is kept."""
        fitting = [waiting for waiting in self._waiting if self._fits(waiting[0], answer)]
        if not fitting:
            self._kept[answer.url or self._symbol(answer)] = answer
            return None
        chosen = next((waiting for waiting in fitting if waiting[2] == answer.connection), fitting[0])
        self._waiting.remove(chosen)
        return chosen[:2]

    def forget(self, who: T) -> None:
        """Someone is gone; its requests wait no longer."""
        self._waiting = [waiting for waiting in self._waiting if waiting[1] is not who]

    def _fits(self, fetch: Fetch, answer: Answered) -> bool:
        if answer.url:
            return fits(fetch, answer.url)
        if fetch.patient:
            return False
        return fetch.key.partition("@")[2] == self._symbol(answer)

    def _symbol(self, answer: Answered) -> str:
        named = _SYMBOL.search(answer.body, 0, _HEAD)
        return self._only_symbol if named is None else name_of(named[1])


def same_endpoint(fetch: Fetch, url: str) -> bool:
    """True if a URL is of the endpoint that is asked, whatever the version and the host."""
    return _VERSION.sub("/v/", urlsplit(url).path).endswith(_VERSION.sub("/v/", fetch.path))


def fits(fetch: Fetch, url: str) -> bool:
    """True if a URL is of the same endpoint and says the same of what the request says. The depth matters only to a request that is
    made for its sake."""
    if not same_endpoint(fetch, url):
        return False
    query = parse_qs(urlsplit(url).query)
    if fetch.patient and depth_of(fetch, url) != fetch.depths[0][0]:
        return False
    return all(query.get(name) == [value] for name, value in fetch.params)


def depth_of(fetch: Fetch, url: str) -> int | None:
    """The depth that a URL asks for, None if it does not say."""
    text = parse_qs(urlsplit(url).query).get(fetch.depth_param, [""])[0]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
