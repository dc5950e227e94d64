"""REST calls: one weight budget per address, fed by the venue's own headers; 429 and 418 are obeyed; what can be tried again is.

The rule: only the address that was configured is asked. A redirect to another host, port or scheme is a failure.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import aiohttp
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from xtrader.clock import SECOND, Clock
from xtrader.errors import VenueError, retryable
from xtrader.feed.budget import Budget
from xtrader.feed.clock_offset import ClockOffset
from xtrader.ops.facts import RestFacts
from xtrader.pauses import pause
from xtrader.venues.base import Fetch, Market

log = structlog.get_logger("xtrader.rest")

TIMEOUT = 10.0
"""Seconds for one request."""
PATIENCE = 0.25
"""Seconds between two looks of a request that waits for all others."""
AT_ONCE = 8
"""Requests under way per address."""
REDIRECTS = 3
"""Within the same address, for one request."""
LONGEST_BAN = 3 * 86_400.0
"""Seconds; the longest that a venue is known to send anybody away for. A header that says more is not believed."""
MAX_BODY = 64 * 1024 * 1024
_JSON = {"Content-Type": "application/json"}
_REDIRECTED = (301, 302, 303, 307, 308)


class RestFailed(VenueError):
    """No usable answer: the network, a server error, or a request to stay away."""


class RestAnswer(NamedTuple):
    """What a venue answered. `url` has the chosen depth in it; `depth` is that, None for a request without one."""

    status: int
    body: bytes
    url: str
    headers: Mapping[str, str]
    depth: int | None = None


class Rest:
    """HTTP requests for all venues. Proxies by the usual variables, certificates verified. `share`: see Budget."""

    def __init__(self, clock: Clock, share: float = 1.0) -> None:
        self._clock = clock
        self._share = share
        self._http: aiohttp.ClientSession | None = None
        self._budgets: dict[str, Budget] = {}
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._queues: dict[str, asyncio.Lock] = {}
        """Where patient requests wait, one behind the other."""
        self._exchanges: dict[str, set[str]] = {}
        self._calls: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._certificate_failures: Counter[str] = Counter()
        self.offsets: defaultdict[str, ClockOffset] = defaultdict(ClockOffset)
        """By exchange token."""

    async def __aenter__(self) -> Rest:
        self._http = aiohttp.ClientSession(
            trust_env=True, timeout=aiohttp.ClientTimeout(total=TIMEOUT), headers={"User-Agent": "xtrader"}
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self._http is not None
        await self._http.close()

    def budget(self, market: Market) -> Budget:
        """The budget of the address that `market` asks; markets at one address share it, and the smallest of their limits."""
        address = urlsplit(market.rest_url).netloc
        if address not in self._budgets:
            limits = market.limits
            self._budgets[address] = Budget(limits.rest_weight, limits.rest_seconds, self._clock, self._share)
            self._gates[address] = asyncio.Semaphore(AT_ONCE)
            self._queues[address] = asyncio.Lock()
        self._exchanges.setdefault(address, set()).add(market.exchange)
        self._budgets[address].narrow(market.limits.rest_weight, market.limits.rest_seconds)
        return self._budgets[address]

    @property
    def calls(self) -> int:
        """Requests made so far."""
        return self._calls.total()

    def facts(self) -> Iterator[RestFacts]:
        """One per address."""
        for address, budget in self._budgets.items():
            left = budget.left()
            yield RestFacts(
                host=address.rpartition("@")[2],
                exchanges=tuple(sorted(self._exchanges[address])),
                seconds=budget.seconds,
                limit=budget.own,
                used=max(budget.own - left, 0),
                left=max(left, 0),
                waiting=budget.waiting,
                blocked=max((budget.blocked_until - self._clock.monotonic()) / SECOND, 0.0),
                calls=self._calls[address],
                failures=self._failures[address],
                certificate_failures=self._certificate_failures[address],
            )

    async def get(self, market: Market, fetch: Fetch) -> tuple[int, bytes]:
        """(status, body) of one request, see `ask`."""
        answer = await self.ask(market, fetch)
        return answer.status, answer.body

    async def ask(self, market: Market, fetch: Fetch) -> RestAnswer:
        """One request, once the budget allows it. A snapshot's depth is chosen here.

        Raises RestFailed for what may pass: no connection, a time-out, 429, 418, 5xx, a redirect elsewhere.
        """
        budget = self.budget(market)
        gate = self._gates[urlsplit(market.rest_url).netloc]
        if fetch.patient:
            return await self._ask_patiently(market, fetch, budget, gate)
        budget.waiting += 1
        try:
            async with gate:
                depth, weight = _weigh(budget, fetch)
                while (delay := budget.delay(weight)) > 0:
                    await asyncio.sleep(delay)
                    depth, weight = _weigh(budget, fetch)
                budget.spend(weight)
                return await self._request(market, fetch, depth, budget)
        finally:
            budget.waiting -= 1

    async def _ask_patiently(self, market: Market, fetch: Fetch, budget: Budget, gate: asyncio.Semaphore) -> RestAnswer:
        """One request, when no other waits and the budget has enough left for those that may come."""
        depth, weight = fetch.depths[0] if fetch.depths else (None, fetch.weight)
        async with self._queues[urlsplit(market.rest_url).netloc]:
            while (delay := budget.delay(weight + budget.reserve)) > 0 or budget.waiting:
                await asyncio.sleep(max(delay, PATIENCE))
            budget.spend(weight)
        async with gate:
            return await self._request(market, fetch, depth, budget)

    async def get_until_answered(
        self, market: Market, fetch: Fetch, take: Callable[[RestAnswer], None] = lambda answer: None
    ) -> RestAnswer:
        """Like `ask`, tried again for ever with growing, jittered pauses. `take` gets each answer; one that it cannot read (it
        raises ProtocolError) is no answer."""

        def tell(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            log.warning("rest_failed", exchange=market.exchange, about=fetch.key, attempt=state.attempt_number, error=str(error))

        async for attempt in AsyncRetrying(
            wait=lambda state: pause(state.attempt_number, random.random()),
            retry=retry_if_exception(retryable),
            before_sleep=tell,
            reraise=True,
        ):
            with attempt:
                answer = await self.ask(market, fetch)
                take(answer)
                return answer
        raise AssertionError("retries end only with an answer")

    async def _request(self, market: Market, fetch: Fetch, depth: int | None, budget: Budget) -> RestAnswer:
        address = urlsplit(market.rest_url).netloc
        self._calls[address] += 1
        sent = self._clock.now()
        try:
            answer = await self._ask_once(market, fetch, depth, budget)
            self.offsets[market.exchange].answered(answer.headers.get("Date", ""), sent, self._clock.now())
            return answer
        except RestFailed as error:
            self._failures[address] += 1
            self._certificate_failures[address] += isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError)
            raise

    async def _ask_once(self, market: Market, fetch: Fetch, depth: int | None, budget: Budget) -> RestAnswer:
        assert self._http is not None
        path = fetch.path
        params = [*fetch.params, *([] if depth is None else [(fetch.depth_param, str(depth))])]
        try:
            url = market.rest_url + path
            for _ in range(REDIRECTS + 1):
                async with self._http.request(
                    fetch.method,
                    url,
                    params=params,
                    data=fetch.body or None,
                    headers=_JSON if fetch.body else None,
                    allow_redirects=False,
                ) as response:
                    body = bytearray()
                    while not response.content.at_eof() and len(body) < MAX_BODY:
                        body += await response.content.read(MAX_BODY - len(body))
                    status = response.status
                    headers = response.headers
                if status not in _REDIRECTED or "Location" not in headers:
                    break
                url, params = _within(market, f"{fetch.method} {path}", str(response.url), headers["Location"]), []
            else:
                raise RestFailed(market.exchange, f"{fetch.method} {path}: more than {REDIRECTS} redirects")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise RestFailed(market.exchange, f"{fetch.method} {path}: {str(error) or type(error).__name__}") from error
        used = headers.get(market.limits.used_weight_header, "") if market.limits.used_weight_header else ""
        if re.fullmatch(r"[0-9]{1,9}", used):
            budget.observe(int(used))
        if status in (418, 429):
            seconds = _retry_after(headers.get("Retry-After", ""), 120.0 if status == 418 else 10.0)
            budget.block(seconds)
            raise RestFailed(market.exchange, f"{fetch.method} {path}: HTTP {status}, told to stay away for {seconds:.0f} s")
        if status >= 500:
            raise RestFailed(market.exchange, f"{fetch.method} {path}: HTTP {status}")
        return RestAnswer(status, bytes(body), str(response.url), dict(headers), depth)


def _weigh(budget: Budget, fetch: Fetch) -> tuple[int | None, int]:
    """(depth, weight) that the budget gives a request now."""
    return budget.choose(fetch.depths) if fetch.depths else (None, fetch.weight)


def _within(market: Market, what: str, url: str, location: str) -> str:
    """Where a redirect leads, if that is the same address. Raises RestFailed."""
    target = urljoin(url, location)
    try:
        if _origin(target) == _origin(url):
            return target
        where = urlsplit(target).hostname
    except ValueError:
        where = "an address that cannot be read"
    raise RestFailed(market.exchange, f"{what}: redirected to {where}, which is not followed")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _retry_after(text: str, default: float) -> float:
    """Seconds from a Retry-After header: a number of seconds, or (as some send) an epoch time in milliseconds."""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        return default
    value = int(text)
    seconds = value / 1000 - time.time() if value > 10_000_000_000 else value
    return min(max(float(seconds), 1.0), LONGEST_BAN)
