"""What is wrong with a recorder, told from its facts: each trouble with its subject, since when, and why.

The rule: what is not known to be well is told; a recorder without facts is not well.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from xtrader.ops.facts import Facts, SubscriptionFacts

SECOND: Final = 1_000_000_000
HUNG: Final = 5.0
"""Seconds after which facts, which are taken every second, are those of a recorder that hangs."""


SINK_LAG: Final = 60.0
"""Seconds of journal that a sink may have to read yet: more is a sink that does not keep up."""


class Trouble(msgspec.Struct, frozen=True):
    """One thing that is wrong. `subject` is the name of a subscription, connection or sink, or "recorder", "journal", "worker 1";
    `kind` one word for what it is; `since` int ns UTC, 0 if that is not known. Because of one that `blocks` the recorder is
    not ready."""

    subject: str
    kind: str
    since: int
    words: str
    blocks: bool = True


def troubles(facts: Facts, now: int) -> list[Trouble]:
    """All that is wrong at wall time `now` (int ns), what stops everything first, then subscriptions in their order."""
    return [*_recorder(facts, now), *_sinks(facts), *_subscriptions(facts, now), *_connections(facts)]


def is_alive(facts: Facts, now: int) -> bool:
    """The recorder's loop and its journal turn. A worker that is gone is being started again by what is alive: to end the others
    because of it would stop their recording too."""
    is_written = all(journal.silence < HUNG for journal in facts.journals)
    return now - facts.ts < HUNG * SECOND and is_written


def is_ready(facts: Facts, now: int) -> bool:
    """Data flows for every subscription into a journal with room, and the sinks take it."""
    return not any(trouble.blocks for trouble in troubles(facts, now))


def _recorder(facts: Facts, now: int) -> Iterator[Trouble]:
    if now - facts.ts >= HUNG * SECOND:
        yield Trouble("recorder", "hung", facts.ts, f"its facts are {(now - facts.ts) / SECOND:.0f} s old")
    for worker in facts.missing:
        yield Trouble(f"worker {worker}", "gone", 0, "this recording process does not run")
    if facts.stopping:
        yield Trouble("recorder", "stopping", 0, facts.stopping)
    for journal in facts.journals:
        if not journal.room:
            words = (
                f"recording is paused: {journal.bytes >> 20} of {journal.bytes_max >> 20} MiB used, {journal.free >> 20} MiB free"
            )
            yield Trouble("journal", "full", 0, f"{words} of at least {journal.free_min >> 20}")
        if journal.silence >= HUNG:
            since = facts.ts - int(journal.silence * SECOND)
            yield Trouble("journal", "stalled", since, "nothing is written into it, or the disk does not answer")
    if len(facts.subscriptions) < facts.wanted:
        words = f"{len(facts.subscriptions)} of {facts.wanted} subscriptions are looked up"
        yield Trouble("recorder", "starting", facts.started, words)


def _sinks(facts: Facts) -> Iterator[Trouble]:
    for sink in facts.sinks:
        subject = f"sink {sink.name}" + ("" if sink.worker is None else f" of worker {sink.worker}")
        if not sink.alive:
            yield Trouble(subject, "gone", sink.since, "its process does not run, or has not begun")
        elif sink.error:
            yield Trouble(subject, "failing", sink.since, sink.error)
        elif sink.behind_seconds > SINK_LAG:
            since = facts.ts - int((sink.behind_seconds - SINK_LAG) * SECOND)
            words = f"it is {sink.behind_seconds:.0f} s behind the journal ({sink.behind_bytes >> 20} MiB); usual is less than one"
            yield Trouble(subject, "behind", since, words)
        if sink.set_aside:
            yield Trouble(subject, "set_aside", 0, f"{sink.set_aside} records that it can never take", blocks=False)


def _subscriptions(facts: Facts, now: int) -> Iterator[Trouble]:
    for one in facts.subscriptions:
        words = trouble(one)
        if one.state != "live":
            yield Trouble(one.name, one.state, one.since, words or one.cause)
        # Before it was live, here, no message was to be expected.
        elif one.silence_limit is not None and one.ts_last and _silent(one, now) > 2 * one.silence_limit * SECOND:
            yield Trouble(one.name, "silent", one.ts_last, f"usual are {one.silence_limit:.0f} s of silence at most")
        elif words:
            yield Trouble(one.name, "shallow" if one.book == "shallow" else "single", one.since, words, blocks=False)


def _silent(one: SubscriptionFacts, now: int) -> int:
    return now - max(one.ts_last, one.since)


def _connections(facts: Facts) -> Iterator[Trouble]:
    for one in facts.connections:
        if one.state != "open":
            yield Trouble(one.name, one.state, one.since, one.error or "not connected yet", blocks=False)


def trouble(one: SubscriptionFacts) -> str:
    """What is wrong with a subscription, in words; empty if nothing is."""
    if one.state != "live":
        return one.detail
    if one.connections_live < len(one.connections):
        return f"{one.connections_live} of {len(one.connections)} connections"
    if one.book == "shallow":
        since = datetime.fromtimestamp(one.since // SECOND, UTC).strftime("%H:%M:%S")
        return f"{one.depth:,} of {one.deepest:,} levels a side since {since} UTC"
    return ""
