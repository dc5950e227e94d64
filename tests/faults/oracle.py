"""The oracle: judges a run by what was really sent. It shares no code with xtrader's reading, and knows no venue's rules.

A finding is one sentence. No finding means: everything that was sent is stored once, as it was, or lies inside an interval that the
rows declare as not recorded; and every interval so declared has a reason that really happened at that subscription.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tests.faults.world import Outcome
from xtrader.emulator.truth import BookEvent, FaultEvent, SnapshotEvent, TradeEvent
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription

Books = tuple[dict[float, float], dict[float, float]]

OWN = frozenset(
    {
        "lost",
        "odd",
        "odd_ids",
        "duplicate",
        "reorder",
        "silent",
        "never_delivers",
        "behind",
        "crossed",
        "crossings",
        "undeleted",
        "seq_reset",
        "huge",
        "fragmented",
    }
    | {"unknown_field", "unknown_event", "unknown_enum", "tick_change", "status_change", "expiry_change", "burst", "venue_clock"}
)
"""Faults of one subscription."""
HARMLESS = frozenset({"duplicate", "huge", "fragmented", "unknown_field", "unknown_event", "unknown_enum", "tick_change", "burst"})
HARMLESS |= {"venue_clock", "status_change", "expiry_change"}
"""Faults that cost nothing and are to leave no gap row."""
LINK = frozenset({"malformed", "bad_utf8", "truncated", "compressed", "close_1006", "close_1001", "no_pong", "half_open"})
LINK |= {"notice"}
"""Faults of one connection."""
ALTERED = frozenset({"crossed", "crossings", "undeleted"})
UNSEEN = frozenset({"lost", "silent"})
"""Faults that cannot be seen where messages have no numbers, unless they last: a silence that does is asked about."""
LATER = 120 * 10**9
"""Within so many ns of a fault its consequences show."""


class Interval(NamedTuple):
    state: str
    cause: str
    start: int
    end: int
    detail: str
    ids_from: int | None
    ids_to: int | None


def judge(outcome: Outcome) -> list[str]:
    """Everything that is wrong with a run; empty if nothing is."""
    findings = []
    if not outcome.recovered:
        findings.append(f"not well after {outcome.seconds:.0f} s")
    findings += limits(outcome)
    for subscription in outcome.subscriptions:
        intervals = timeline(outcome, subscription)
        check = trades if subscription.stream == "TRADES" else books
        for found in (*check(outcome, subscription, intervals), *reasons(outcome, subscription, intervals)):
            findings.append(f"{subscription}: {found}")
    return findings


def limits(outcome: Outcome) -> Iterator[str]:
    """No venue's limits were overrun, and nobody asked again and again."""
    happened = [fault.fault for _, fault in outcome.faults]
    for exchange, counts in outcome.counts.items():
        for what in ("too many connects", "too many messages"):
            if counts[what]:
                yield f"{exchange}: {counts[what]} {what}"
        told = sum(fault.fault in ("rest_429", "rest_418") for _, fault in outcome.faults if fault.exchange == exchange)
        if counts["HTTP 429"] + counts["HTTP 418"] > told:
            yield f"{exchange}: {counts['HTTP 429']} times 429, {counts['HTTP 418']} times 418, {told} of them planned"
        own = sum(fault.exchange == exchange for _, fault in outcome.faults)
        cut = sum(fault.exchange == exchange and fault.fault == "short_life" for _, fault in outcome.faults)
        if counts["attempt"] > 4 + 4 * min(own - cut, 40) + cut + outcome.seconds / 10:
            yield f"{exchange}: {counts['attempt']} connection attempts for {own} faults"
    if outcome.calls > 2 * len(outcome.subscriptions) + 8 * len(happened) + outcome.seconds:
        yield f"{outcome.calls} REST calls for {len(happened)} faults in {outcome.seconds:.0f} s"


def timeline(outcome: Outcome, subscription: Subscription) -> list[Interval]:
    """The coverage rows of a subscription as intervals in order; the last one ends with the run."""
    found: list[Interval] = []
    opened: Coverage | None = None
    for row in outcome.records:
        if type(row) is not Coverage or (row.instrument, row.stream) != (subscription.key, subscription.stream):
            continue
        if row.cause == "filled":
            continue
        if row.ts_to is None:
            assert opened is None, f"{subscription}: {row} while {opened} is open"
            opened = row
            continue
        if opened is not None and (row.ts_from, row.state, row.cause) == (opened.ts_from, opened.state, opened.cause):
            opened = None
        assert opened is None, f"{subscription}: {row} while {opened} is open"
        found.append(Interval(row.state, row.cause, row.ts_from, row.ts_to, row.detail, row.ids_from, row.ids_to))
    if opened is not None:
        found.append(Interval(opened.state, opened.cause, opened.ts_from, outcome.ended, opened.detail, None, None))
    return found


def declared(intervals: list[Interval], sent: int, arrived: int) -> bool:
    """Whether the rows say that what was on its way in this time is not recorded."""
    return any(one.state != "live" and one.start <= arrived and sent <= one.end for one in intervals)


def arrival(outcome: Outcome, exchange: str, at: int) -> int:
    """When what was published at this time would have come at the latest: a venue that stands still sends it afterwards."""
    for frozen, fault in outcome.freezes:
        end = frozen + round(fault.seconds * 1e9)
        if fault.exchange == exchange and frozen <= at <= end:
            at = max(at, end)
    return at + round(outcome.latency * 1e9)


def altered(outcome: Outcome, subscription: Subscription, kinds: frozenset[str]) -> Iterator[FaultEvent]:
    for _, fault in outcome.faults:
        if (fault.exchange, fault.symbol) == (subscription.exchange, subscription.instrument) and fault.fault in kinds:
            yield fault


def trades(outcome: Outcome, subscription: Subscription, intervals: list[Interval]) -> Iterator[str]:
    """Conservation, integrity, no invention, no duplicates and order of an instrument's trades."""
    sent = {
        event.id: (at, number, event)
        for number, (at, event) in enumerate(outcome.events)
        if type(event) is TradeEvent and (event.exchange, event.symbol) == (subscription.exchange, subscription.instrument)
    }
    unknown = {name for fault in altered(outcome, subscription, frozenset({"unknown_enum"})) for name in fault.ids}
    stored = [row for row in outcome.records if type(row) is Trade and row.instrument == subscription.key]
    names = [row.trade_id for row in stored]
    if len(set(names)) != len(names):
        yield f"stored twice: {sorted({name for name in names if names.count(name) > 1})[:5]}"
    for row in stored:
        if row.trade_id not in sent:
            yield f"invented: {row}"
            continue
        true = sent[row.trade_id][2]
        side = "unknown" if true.id in unknown else true.side
        expected = (side, float(true.price), float(true.size), true.ts * 1_000_000)
        if (row.side, row.price, row.size, row.ts_event) != expected:
            yield f"altered: {row} was {true}"
    late = filled(outcome, subscription)
    is_blind = (subscription.exchange, "TRADES") in outcome.blind
    reached = -1
    for row in stored:
        place = sent[row.trade_id][1] if row.trade_id in sent else reached
        if place < reached and row.sequence not in late and not is_blind:
            yield f"out of order: {row}"
        reached = max(place, reached)
    numbered = [(row.sequence if row.first is None else row.first, row.sequence) for row in stored if row.sequence is not None]
    if not late <= {number for first, last in numbered for number in range(first, last + 1)}:
        yield "a row says that trades came late which are not stored"
    kept = set(names)
    if is_blind:
        # Where trades have no numbers, only a silence can be seen.
        kept |= {name for fault in altered(outcome, subscription, UNSEEN) if fault.stream == "TRADES" for name in fault.ids}
    missing = {name: at for name, (at, _, _) in sent.items() if name not in kept}
    exchange = subscription.exchange
    silent = [name for name, at in missing.items() if not declared(intervals, at, arrival(outcome, exchange, at))]
    if silent:
        yield f"missing without a row: {silent[:5]} ({len(silent)})"
    for one in intervals:
        if one.ids_from is None or one.ids_to is None or one.cause != "venue_gap" or exchange == "DERIBIT":
            continue
        numbers = set(range(one.ids_from, one.ids_to + 1)) - late
        named = {name for name in sent if name.isdecimal() and int(name) in numbers}
        if numbers and (not named or not named <= missing.keys()):
            yield f"a row names what is stored, or nothing: {one.detail}"


def filled(outcome: Outcome, subscription: Subscription) -> set[int]:
    """The numbers of which rows say that they came late."""
    rows = [
        row for row in outcome.records if type(row) is Coverage and row.cause == "filled" and row.instrument == subscription.key
    ]
    return {number for row in rows for number in range(row.ids_from or 0, (row.ids_to or -1) + 1)}


def books(outcome: Outcome, subscription: Subscription, intervals: list[Interval]) -> Iterator[str]:
    """Conservation and integrity of an instrument's book messages, and equality of the book after each of them."""
    sent = [
        (at, event)
        for at, event in outcome.events
        if type(event) is BookEvent and (event.exchange, event.symbol) == (subscription.exchange, subscription.instrument)
    ]
    places: dict[int, list[int]] = defaultdict(list)
    for number, (_, event) in enumerate(sent):
        places[event.sequence].append(number)
    answered: dict[int, list[SnapshotEvent]] = defaultdict(list)
    for _, event in outcome.events:
        if type(event) is SnapshotEvent and (event.exchange, event.symbol) == (subscription.exchange, subscription.instrument):
            # A probe asks for a few levels of the same state.
            answered[event.sequence].append(event)
    changed = {fault.number for fault in altered(outcome, subscription, ALTERED)}
    is_blind = (subscription.exchange, "L2") in outcome.blind
    unseen = {fault.number for fault in altered(outcome, subscription, UNSEEN | {"reorder"}) if fault.stream == "L2" and is_blind}
    ours: Books = ({}, {})
    true: Books = ({}, {})
    reached = -1
    last: int | None = None
    is_whole = False
    uncrossed = {one.start for one in intervals if (one.state, one.cause) == ("live", "crossed")}
    covered: set[int] = set()
    for row in outcome.records:
        if type(row) is not BookUpdate or row.instrument != subscription.key:
            continue
        place = placed(row, [] if row.sequence is None else places.get(row.sequence, []), sent)
        if not row.is_snapshot:
            if place is None:
                yield f"invented: {row}"
                continue
            event = sent[place][1]
            if place in covered and row.sequence != row.prev_sequence:
                yield f"stored twice: {row.sequence}"
            covered.add(place)
            if row.sequence not in changed and not same(row, event, last):
                yield f"altered: {row} was {event}"
            if last is not None and row.prev_sequence is not None and row.prev_sequence > last and event.previous != last:
                yield f"{row.prev_sequence} does not follow {last}"
        if row.is_snapshot:
            if place is not None and (is_blind or has_none(sent[place][1])):
                # The venue told this state as a whole book, in the middle of changes or always.
                covered.add(place)
            answers = answered.get(row.sequence, []) if row.sequence is not None else []
            # What a venue left crossed, and uncrossed again, may still hold what an altered message made of it.
            is_whole = is_whole or bool(answers) or not (place is not None and row.ts_recv in uncrossed)
            if place is None and answers and not any(have_levels(row, answer) for answer in answers):
                yield f"the snapshot {row.sequence} is not what was answered"
        elif row.sequence in changed:
            is_whole = False
        apply(ours, row)
        last = row.sequence
        if place is None or not is_whole:
            continue
        if place < reached:
            true, reached = ({}, {}), -1
        for _, event in sent[reached + 1 : place + 1]:
            for side, levels in zip(true, (event.bids, event.asks), strict=True):
                change(side, ((float(price), float(size)) for price, size in levels))
        reached = place
        if true != ours:
            yield f"the book after {row.sequence} is not the true one"
            return
    silent = [
        event.sequence
        for place, (at, event) in enumerate(sent)
        if place not in covered
        and event.sequence not in unseen
        and not declared(intervals, at, arrival(outcome, subscription.exchange, at))
    ]
    if silent:
        yield f"missing without a row: {silent[:5]} ({len(silent)})"


def placed(row: BookUpdate, places: Sequence[int], sent: Sequence[tuple[int, BookEvent]]) -> int | None:
    """Which of the events at `places`, all of the row's number, the row tells: the one of its time, as a venue that counts anew may
    come to the same number again; without a time the newest one that was sent before it came."""
    if not places:
        return None
    ts = row.ts_event
    if ts is None:
        return max((place for place in places if sent[place][0] <= row.ts_recv), default=places[0])
    return min(places, key=lambda place: abs(sent[place][1].ts * 1_000_000 - ts))


def same(row: BookUpdate, event: BookEvent, last: int | None) -> bool:
    """Whether a row is the event. Where connections took turns it may begin at the stored state `last`, within its range."""
    is_cut = last is not None and row.prev_sequence == last and (event.previous or last) < last < event.sequence
    follows = row.prev_sequence == event.previous or is_cut
    return follows and have_levels(row, event)


def have_levels(row: BookUpdate, event: BookEvent | SnapshotEvent) -> bool:
    """Whether both tell the same levels."""
    texts = [sorted((float(price), float(size)) for price, size in levels) for levels in (event.bids, event.asks)]
    return [sorted(row.bids), sorted(row.asks)] == texts


def has_none(event: BookEvent) -> bool:
    """Whether an event changes no level."""
    return not event.bids and not event.asks


def apply(book: Books, row: BookUpdate) -> None:
    for side, levels in zip(book, (row.bids, row.asks), strict=True):
        if row.is_snapshot:
            side.clear()
        change(side, levels)


def change(side: dict[float, float], levels: object) -> None:
    for price, size in levels:  # type: ignore[attr-defined]
        if size:
            side[price] = size
        else:
            side.pop(price, None)


def reasons(outcome: Outcome, subscription: Subscription, intervals: list[Interval]) -> Iterator[str]:
    """Precision: what is declared as not recorded begins and ends where recording did, and has a fault to account for it."""
    faults = [(at, fault) for at, fault in outcome.faults if concerns(outcome, fault, subscription)]
    taken = []
    since = 0
    for row in outcome.records:
        if type(row) is (Trade if subscription.stream == "TRADES" else BookUpdate) and row.instrument == subscription.key:
            # Changes that waited for a snapshot count from when it came.
            since = row.ts_recv if type(row) is BookUpdate and row.is_snapshot else since
            taken.append(max(row.ts_recv, since))
    for before, after in pairwise(intervals):
        if before.end != after.start and not (after.state == "gap" and after.start <= before.end):
            yield f"nothing is said of {before.end} to {after.start}"
    for one in intervals:
        if one.state == "live" or one.start < outcome.began or one.cause == "shutdown":
            continue
        if not any(one.start - LATER - lasts(fault) <= at <= max(one.end, one.start + 10**9) for at, fault in faults):
            yield f"no reason for {one}"
        if one.state == "gap" and any(one.start < at < one.end for at in taken):
            yield f"recorded inside {one}"


def lasts(fault: FaultEvent) -> int:
    """For how long (ns) after it struck a fault is still there, where that may be longer than its consequences take to show."""
    return round(fault.seconds * 1e9) if fault.fault == "delisted" else 0


def concerns(outcome: Outcome, fault: FaultEvent, subscription: Subscription) -> bool:
    """Whether a fault may touch what is recorded of a subscription."""
    if fault.exchange != subscription.exchange or fault.fault in HARMLESS:
        return False
    if fault.fault in OWN:
        return (fault.stream, fault.symbol) == (subscription.stream, subscription.instrument)
    if fault.fault == "delisted":
        return fault.symbol == subscription.instrument
    if fault.fault in LINK:
        hit = Subscription(fault.stream, fault.exchange, fault.symbol)
        return any(hit in link and subscription in link for link in outcome.links)
    if fault.symbol and fault.fault.startswith(("rest_", "slow_", "stale_", "refused_")):
        return (subscription.stream, subscription.instrument) == ("L2", fault.symbol)
    return True


def teeth(faults: Sequence[FaultEvent]) -> Counter[str]:
    """How often each kind of fault really happened."""
    return Counter(fault.fault for fault in faults)
