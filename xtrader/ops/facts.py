"""What is true of a running recorder at one moment, as one value, of which everything shown, logged or served is made.

The rule: facts of several processes are merged by `merge`, and nothing in them is a secret. Times (`ts`, `ts_…`, `since`) are int
nanoseconds UTC, 0 where there is none yet; durations are seconds; sizes are bytes; counts are those since the process began, and
begin at 0 again when it is started again. Where a part of a recorder is named by `worker`, that is the number of its recording
process, None where there is only one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

SCHEMA: Final = 1
"""Of the JSON: grows when a field changes its meaning or goes; further fields come without notice."""


class Histogram(msgspec.Struct, frozen=True):
    """How often something took how long. `counts[n]` is how often it took at most 2**n - 1 ns, and more than `counts[n - 1]` says;
    `counts[0]` has what took nothing or less (a clock that is behind). `seconds` is the sum of all, `longest` the longest."""

    counts: tuple[int, ...] = ()
    seconds: float = 0.0
    longest: float = 0.0

    @property
    def count(self) -> int:
        """How often it happened."""
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """Seconds that a `share` (0 to 1) of all took at most, no finer than the buckets, which double; None if there are none."""
        wanted = share * self.count
        passed = 0
        for bits, count in enumerate(self.counts):
            passed += count
            if count and passed >= wanted:
                return min(((1 << bits) - 1) / 1e9, self.longest)
        return None

    def since(self, before: Histogram) -> Histogram:
        """What came after `before`, an earlier state of the same; all of it if that is of a process before. `longest` is of all."""
        counts = [count - earlier for count, earlier in zip(self.counts, _wide(before.counts, len(self.counts)), strict=True)]
        if min(counts, default=0) < 0:
            return self
        return Histogram(tuple(counts), max(self.seconds - before.seconds, 0.0), self.longest)


class SubscriptionFacts(msgspec.Struct, frozen=True):
    """One stream of one instrument. `name` is as users write it: `L2:EXCHANGE@SYMBOL`."""

    name: str
    exchange: str
    stream: str
    instrument: str
    """The venue's own symbol."""
    state: str
    """syncing | live | gap | rejected (the venue refused it, or the instrument is gone; its open row is a gap)."""
    since: int
    """Since when the state is this one."""
    cause: str
    """Why: one of the causes of coverage rows."""
    detail: str
    """What is known beyond that, in words for people, often the venue's."""
    messages: int
    """Recorded: applied book updates and snapshots, or trades."""
    rate: float
    """Messages per second, over about the last five seconds."""
    ts_last: int
    """`ts_recv` of the last message, on whichever connection it came."""
    silence_limit: float | None
    """Seconds of silence that are usual for it at most; after that the venue is asked. None where it is not connected."""
    gaps: Mapping[str, int]
    """Cause -> how many gaps have begun."""
    resyncs: int
    """How often it was subscribed, or its snapshot asked for, anew while its connection stood."""
    connections: tuple[str, ...]
    """Names of the connections that carry it."""
    connections_live: int
    """On how many of them it is live."""
    book: str = ""
    """Of L2: ok | shallow (levels are missing that the venue would give) | syncing | crossed. Else empty."""
    depth: int | None = None
    """Levels a side that the snapshot of its book was asked for; None where the venue gives all, or there is no book."""
    deepest: int | None = None
    """Levels a side that the venue gives at most; None where it gives all."""
    bid: float | None = None
    ask: float | None = None
    """The best prices of its book, in the venue's unit."""
    last_price: float | None = None
    """Of the instrument's last trade, where trades are recorded too."""
    last_value: float | None = None
    """Of this stream's last record what people look at first: a trade's price, a funding's rate. None of L2, which has `bid` and
    `ask`."""
    worker: int | None = None

    @property
    def gaps_total(self) -> int:
        return sum(self.gaps.values())


class ConnectionFacts(msgspec.Struct, frozen=True):
    """One connection to a venue. `name` is `EXCHANGE/0`, or `EXCHANGE/0-2` for the second of two that record the same."""

    name: str
    exchange: str
    host: str
    """Host and port of its address, and nothing else of it."""
    state: str
    """waiting (for its turn, or after a loss) | connecting | open."""
    since: int
    """When it was opened, or lost, or asked for."""
    ts_last: int
    """When its last frame came, on whichever of the connections that took its place one after the other."""
    frames: int
    """Messages that came on the connection that is open now."""
    subscriptions: int
    reconnects: int
    """How often it was lost and made again."""
    losses: Mapping[str, int]
    """Cause -> how often it was lost."""
    replaced: int
    """How often a new one took its place in time, without a loss."""
    error: str
    """Why it was lost the last time, in words; empty if it never was."""
    unsent: int
    """Messages that wait for their turn to be sent."""
    sent_share: float
    """How much of the venue's limit on sending is used now, 0 to 1."""
    connects_share: float
    """How much of what we allow ourselves of the venue's limit on connecting is used now at this address, 0 to 1."""
    counts: Mapping[str, int] = {}
    """What its session counted since it was opened: applied, skipped, breaks, crossed, resyncs, unknown, malformed, …"""
    worker: int | None = None
    certificate_failures: int = 0
    """How often it was not made because the venue's certificate is not to be trusted."""
    credential_failures: int = 0
    """How often it was lost because the venue refused the key or secret."""

    @property
    def unknown(self) -> int:
        """Messages and values of kinds that the session does not know, since it was opened."""
        return sum(count for kind, count in self.counts.items() if kind.startswith("unknown"))


class RestFacts(msgspec.Struct, frozen=True):
    """The REST weight at one address."""

    host: str
    exchanges: tuple[str, ...]
    seconds: float
    """The interval for which weights are."""
    limit: int
    """What we allow ourselves in it, with whoever is behind the same address: most of what the venue allows."""
    used: int
    """By us, or what the venue says that we and others behind the same address used, if that is more."""
    left: int
    waiting: int
    """Requests that wait for weight."""
    blocked: float
    """Seconds for which the venue told us to stay away from now on."""
    calls: int
    failures: int
    """Calls without a usable answer."""
    worker: int | None = None
    certificate_failures: int = 0
    """Of these, those where the venue's certificate is not to be trusted."""


class ExchangeFacts(msgspec.Struct, frozen=True):
    """One exchange, over all its subscriptions."""

    exchange: str
    environment: str
    """production | testnet | demo | override (the user's own address)."""
    lag: Histogram
    """From the venue's time of an event to its receipt here, for each message that has one; our clock's error is in it."""
    journaled: Histogram
    """From the receipt of a message to its being written into the journal (the page cache), for each record."""
    handled: Histogram
    """From the receipt of a message to all its records being handed on: of one in 64 messages."""
    clock_offset: float | None = None
    """Seconds by which this machine's clock is ahead of the venue's, at best knowledge; None if nothing is known."""
    clock_error: float | None = None
    """The truth is within so many seconds of `clock_offset`; None: it is at most that."""


class JournalFacts(msgspec.Struct, frozen=True):
    directory: str
    bytes: int
    bytes_max: int
    """The size at which recording pauses."""
    free: int
    """Bytes free on its file system."""
    free_min: int
    """Free bytes at which recording pauses."""
    room: bool
    """False while recording pauses because of one of the two."""
    end: int
    """The offset after the last frame written. Offsets are no sizes: a journal need not begin at 0."""
    durable: int
    """The offset up to which all is on the disk."""
    silence: float
    """Seconds for which nothing was written, or that a commit takes already: about one at the most where all is well."""
    records: int
    """Taken in."""
    commits: Histogram
    """How long it took to force what was written to the disk."""
    damaged: int
    """Stretches that were found damaged at the start."""
    worker: int | None = None


class SinkFacts(msgspec.Struct, frozen=True):
    """One sink of one journal."""

    name: str
    alive: bool
    """Its process runs and has spoken."""
    error: str
    """What keeps it waiting, or its rows from being found; empty if nothing does."""
    since: int
    """Since when `error` is what it is, or the process is gone."""
    behind_bytes: int
    """Durable journal that it has not read yet."""
    behind_seconds: float
    """How old the oldest of that is."""
    held_bytes: int
    """Durable journal that is not safe in it yet: also what is in files that are not finished."""
    held_seconds: float
    cursor: int
    """The journal's offset up to which all is safe in it."""
    position: int
    """The offset up to which it has read."""
    rows: int
    """Written by its present process."""
    parts: int
    """Files or batches finished by its present process."""
    retries: int
    """How often its present process had to begin again because the sink did not take rows."""
    restarts: int
    """How often its process died and was started again."""
    set_aside: int
    """Records that the sink can never take, in a file beside the journal."""
    damaged: int
    """Bytes of the journal that it had to skip."""
    worker: int | None = None
    hidden: bool = False
    """Rows that it has taken are not where they are to be found: a table is suspended or lags, an upload waits."""
    rotate_seconds: float = 0.0
    """How often it makes what it has taken safe, unless there is too little; the age that `held_seconds` usually reaches."""


class ProcessFacts(msgspec.Struct, frozen=True):
    """One of our processes. What the system does not tell is None."""

    name: str
    """recorder | worker | supervisor (the parent of workers) | sink … | http (serves it)"""
    pid: int
    cpu: float | None
    """Seconds of CPU since it began."""
    memory: int | None
    """Resident bytes."""
    descriptors: int | None
    descriptors_max: int | None
    loop: Histogram | None = None
    """By how much its event loop woke late, several times a second; None where it has none."""
    worker: int | None = None
    memory_max: int | None = None
    """Bytes that it and what shares its control group may have: that group's limit, or the machine's memory."""


class Facts(msgspec.Struct, frozen=True):
    """All of a recorder, or of one of its workers. `ts` is when they were taken: older than a few seconds, they are of a recorder
    that hangs."""

    ts: int
    started: int
    collector: str
    host: str
    stopping: str
    """Why it is about to end; empty while it records."""
    versions: Mapping[str, str]
    """Of the program, its Python, the system and the libraries on the way of the data."""
    settings: Mapping[str, str]
    """What it was asked to do; no secrets."""
    subscriptions: tuple[SubscriptionFacts, ...] = ()
    connections: tuple[ConnectionFacts, ...] = ()
    rest: tuple[RestFacts, ...] = ()
    exchanges: tuple[ExchangeFacts, ...] = ()
    journals: tuple[JournalFacts, ...] = ()
    sinks: tuple[SinkFacts, ...] = ()
    processes: tuple[ProcessFacts, ...] = ()
    wanted: int = 0
    """How many subscriptions there are to be; more than `subscriptions` until they have been looked up."""
    missing: tuple[int, ...] = ()
    """Workers of which nothing is known now."""
    schema: int = SCHEMA

    @property
    def live(self) -> int:
        """How many subscriptions are live."""
        return sum(one.state == "live" for one in self.subscriptions)


def of_worker(facts: Facts, worker: int) -> Facts:
    """The same, told apart from those of other workers."""
    parts = ("subscriptions", "connections", "rest", "journals", "sinks", "processes")
    marked = {part: tuple(msgspec.structs.replace(one, worker=worker) for one in getattr(facts, part)) for part in parts}
    return msgspec.structs.replace(facts, **marked)


def merge(whole: Facts, parts: Iterable[Facts]) -> Facts:
    """Facts of all `parts`, workers of one recorder, with those of `whole`, the process that started them. The oldest part tells
    the time: where one hangs, not all is known any more."""
    all_parts = list(parts)
    if not all_parts:
        return whole
    return msgspec.structs.replace(
        whole,
        ts=min(part.ts for part in all_parts),
        stopping=whole.stopping or next((part.stopping for part in all_parts if part.stopping), ""),
        subscriptions=whole.subscriptions + tuple(one for part in all_parts for one in part.subscriptions),
        connections=whole.connections + tuple(one for part in all_parts for one in part.connections),
        rest=whole.rest + tuple(one for part in all_parts for one in part.rest),
        exchanges=_exchanges([*whole.exchanges, *(one for part in all_parts for one in part.exchanges)]),
        journals=whole.journals + tuple(one for part in all_parts for one in part.journals),
        sinks=whole.sinks + tuple(one for part in all_parts for one in part.sinks),
        processes=whole.processes + tuple(one for part in all_parts for one in part.processes),
        wanted=max(whole.wanted, sum(part.wanted for part in all_parts)),
    )


def gone(facts: Facts, words: str, now: int) -> Facts:
    """What is known of a worker that does not run, by the last facts of it."""
    lost = {"state": "gap", "since": facts.ts, "cause": "start", "detail": words, "rate": 0.0, "connections_live": 0}
    lost |= {"book": "", "bid": None, "ask": None}
    return msgspec.structs.replace(
        facts,
        ts=now,
        subscriptions=tuple(msgspec.structs.replace(one, **lost) for one in facts.subscriptions),
        connections=tuple(msgspec.structs.replace(one, state="waiting", since=facts.ts, error=words) for one in facts.connections),
        sinks=tuple(msgspec.structs.replace(one, alive=False, since=facts.ts) for one in facts.sinks),
        processes=(),
    )


def add(histograms: Sequence[Histogram]) -> Histogram:
    """All of them as one."""
    width = max((len(one.counts) for one in histograms), default=0)
    counts = tuple(map(sum, zip(*(_wide(one.counts, width) for one in histograms), strict=True)))
    return Histogram(counts, sum(one.seconds for one in histograms), max((one.longest for one in histograms), default=0.0))


def _exchanges(found: Sequence[ExchangeFacts]) -> tuple[ExchangeFacts, ...]:
    merged = []
    for exchange in dict.fromkeys(one.exchange for one in found):
        same = [one for one in found if one.exchange == exchange]
        best = min(same, key=lambda one: float("inf") if one.clock_error is None else one.clock_error)
        lag, journaled, handled = (add([getattr(one, name) for one in same]) for name in ("lag", "journaled", "handled"))
        merged.append(msgspec.structs.replace(best, lag=lag, journaled=journaled, handled=handled))
    return tuple(merged)


def _wide(counts: Sequence[int], width: int) -> tuple[int, ...]:
    return (*counts, *(0 for _ in range(width - len(counts))))
