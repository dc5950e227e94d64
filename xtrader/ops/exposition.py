"""The metrics of a recorder as the text format of Prometheus.

The rule: there is a line for each thing that is known, but for instruments beyond a limit, which are counted together. The text is
written here and not by a library, because that takes a tenth of a second for a thousand subscriptions, and this a hundredth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from xtrader.model.market import CAUSES
from xtrader.ops.facts import Facts, Histogram, SubscriptionFacts
from xtrader.ops.health import is_alive, is_ready
from xtrader.ops.metrics import METRICS

TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
"""The instrument of all beyond the limit."""
LEAST_BITS: Final = 14
MOST_BITS: Final = 36
"""Buckets are at powers of two ns, from 16 us to 69 s."""

Samples = dict[str, list[str]]


def text(facts: Facts | None, now: int, instruments: int) -> bytes:
    """All metrics of `facts` at wall time `now` (int ns). The first `instruments`, by name, have lines of their own, more are
    `other`. Without facts it is only known that the recorder is not alive."""
    lines: Samples = {name: [] for name in METRICS}
    for name, labels, value in _whole(facts, now):
        lines[name].append(f"{name}{labels} {value}")
    if facts is not None:
        _subscriptions(lines, facts.subscriptions, instruments)
        for name, labels, value in _parts(facts):
            lines[name].append(f"{name}{labels} {value}")
        for name, own, histogram in _histograms(facts):
            lines[name].extend(_histogram(name, own, histogram))
    found = []
    for name, written in lines.items():
        if written:
            found.append(f"# HELP {name} {METRICS[name].help}\n# TYPE {name} {METRICS[name].kind}")
            found += written
    return ("\n".join(found) + "\n").encode()


def _whole(facts: Facts | None, now: int) -> Iterator[tuple[str, str, float]]:
    yield "xtrader_alive_state", "", int(facts is not None and is_alive(facts, now))
    yield "xtrader_ready_state", "", int(facts is not None and is_ready(facts, now))
    if facts is None:
        return
    yield "xtrader_facts_timestamp_seconds", "", facts.ts / 1e9
    yield "xtrader_start_timestamp_seconds", "", facts.started / 1e9
    yield "xtrader_wanted_subscriptions", "", facts.wanted
    yield "xtrader_missing_workers", "", len(facts.missing)
    names = {"collector": facts.collector, "host": facts.host, "version": facts.versions.get("xtrader", "")}
    yield "xtrader_build_info", _labels(names), 1
    states: dict[tuple[str, str, str], int] = {}
    for one in facts.subscriptions:
        for state in ("syncing", "live", "gap", "rejected"):
            states.setdefault((one.exchange, one.stream, state), 0)
        states[one.exchange, one.stream, one.state] = states.get((one.exchange, one.stream, one.state), 0) + 1
    for (exchange, stream, state), count in states.items():
        yield "xtrader_subscriptions", _labels({"exchange": exchange, "stream": stream, "state": state}), count
    yield from _gaps(facts.subscriptions)


def _gaps(subscriptions: Sequence[SubscriptionFacts]) -> Iterator[tuple[str, str, float]]:
    """Of each exchange by cause, also where there was none yet: a counter that appears when it is 1 has no rate."""
    found: dict[str, dict[str, int]] = {}
    for one in subscriptions:
        causes = found.setdefault(one.exchange, dict.fromkeys(CAUSES, 0))
        for cause, count in one.gaps.items():
            causes[cause] = causes.get(cause, 0) + count
    for exchange, causes in found.items():
        for cause, count in causes.items():
            yield "xtrader_exchange_gaps_total", _labels({"exchange": exchange, "cause": cause}), count


def _subscriptions(lines: Samples, found: Sequence[SubscriptionFacts], instruments: int) -> None:
    """What there is of each subscription: the bulk, so it is written without detours."""
    keys = sorted({f"{one.exchange}@{one.instrument}" for one in found})
    own = set(keys[:instruments])
    rest: dict[tuple[str, str], list[SubscriptionFacts]] = {}
    live, since, messages, last, silence, gaps, all_gaps, resyncs, connections, shallow, bids, asks = (
        lines[f"xtrader_{name}"]
        for name in (
            *("subscription_live_state", "subscription_since_timestamp_seconds", "messages_total"),
            *("last_message_timestamp_seconds", "silence_limit_seconds", "gaps_total", "subscription_gaps_total", "resyncs_total"),
            *("subscription_live_connections", "shallow_book_state", "best_bid_price", "best_ask_price"),
        )
    )
    for one in found:
        if f"{one.exchange}@{one.instrument}" not in own:
            rest.setdefault((one.exchange, one.stream), []).append(one)
            continue
        inner = f'exchange="{_escaped(one.exchange)}",instrument="{_escaped(one.instrument)}",stream="{_escaped(one.stream)}"'
        live.append(f"xtrader_subscription_live_state{{{inner}}} {int(one.state == 'live')}")
        since.append(f"xtrader_subscription_since_timestamp_seconds{{{inner}}} {one.since / 1e9}")
        messages.append(f"xtrader_messages_total{{{inner}}} {one.messages}")
        if one.ts_last:
            last.append(f"xtrader_last_message_timestamp_seconds{{{inner}}} {one.ts_last / 1e9}")
        if one.silence_limit is not None:
            silence.append(f"xtrader_silence_limit_seconds{{{inner}}} {one.silence_limit}")
        for cause, count in one.gaps.items():
            gaps.append(f'xtrader_gaps_total{{{inner},cause="{_escaped(cause)}"}} {count}')
        all_gaps.append(f"xtrader_subscription_gaps_total{{{inner}}} {one.gaps_total}")
        resyncs.append(f"xtrader_resyncs_total{{{inner}}} {one.resyncs}")
        connections.append(f"xtrader_subscription_live_connections{{{inner}}} {one.connections_live}")
        if one.book:
            shallow.append(f"xtrader_shallow_book_state{{{inner}}} {int(one.book == 'shallow')}")
        if one.bid is not None:
            bids.append(f"xtrader_best_bid_price{{{inner}}} {one.bid}")
        if one.ask is not None:
            asks.append(f"xtrader_best_ask_price{{{inner}}} {one.ask}")
    for (exchange, stream), same in rest.items():
        inner = f'exchange="{_escaped(exchange)}",instrument="{OTHER}",stream="{_escaped(stream)}"'
        share = sum(one.state == "live" for one in same) / len(same)
        live.append(f"xtrader_subscription_live_state{{{inner}}} {share}")
        since.append(f"xtrader_subscription_since_timestamp_seconds{{{inner}}} {min(one.since for one in same) / 1e9}")
        messages.append(f"xtrader_messages_total{{{inner}}} {sum(one.messages for one in same)}")
        if times := [one.ts_last for one in same if one.ts_last]:
            last.append(f"xtrader_last_message_timestamp_seconds{{{inner}}} {min(times) / 1e9}")
        for cause in sorted({cause for one in same for cause in one.gaps}):
            count = sum(one.gaps.get(cause, 0) for one in same)
            gaps.append(f'xtrader_gaps_total{{{inner},cause="{_escaped(cause)}"}} {count}')
        all_gaps.append(f"xtrader_subscription_gaps_total{{{inner}}} {sum(one.gaps_total for one in same)}")
        resyncs.append(f"xtrader_resyncs_total{{{inner}}} {sum(one.resyncs for one in same)}")
        connections.append(f"xtrader_subscription_live_connections{{{inner}}} {sum(one.connections_live for one in same)}")
        if any(one.book for one in same):
            shallow.append(f"xtrader_shallow_book_state{{{inner}}} {int(any(one.book == 'shallow' for one in same))}")


def _parts(facts: Facts) -> Iterator[tuple[str, str, float]]:
    for connection in facts.connections:
        labels = {"exchange": connection.exchange, "connection": connection.name, "worker": _worker(connection.worker)}
        plain = _labels(labels)
        yield "xtrader_connection_open_state", plain, int(connection.state == "open")
        yield "xtrader_connection_since_timestamp_seconds", plain, connection.since / 1e9
        if connection.ts_last:
            yield "xtrader_connection_last_frame_timestamp_seconds", plain, connection.ts_last / 1e9
        yield "xtrader_connection_frames", plain, connection.frames
        yield "xtrader_connection_subscriptions", plain, connection.subscriptions
        yield "xtrader_connection_reconnects_total", plain, connection.reconnects
        for cause, count in connection.losses.items():
            yield "xtrader_connection_losses_total", _labels({**labels, "cause": cause}), count
        yield "xtrader_connection_replacements_total", plain, connection.replaced
        yield "xtrader_connection_unsent_messages", plain, connection.unsent
        yield "xtrader_connection_send_budget_ratio", plain, connection.sent_share
        yield "xtrader_connection_connect_budget_ratio", plain, connection.connects_share
        for kind, count in connection.counts.items():
            yield "xtrader_connection_events_total", _labels({**labels, "kind": kind}), count
        yield "xtrader_connection_unknown_total", plain, connection.unknown
        yield "xtrader_connection_certificate_failures_total", plain, connection.certificate_failures
        yield "xtrader_connection_credential_failures_total", plain, connection.credential_failures
    for rest in facts.rest:
        yield from _fields("rest", _labels({"host": rest.host, "worker": _worker(rest.worker)}), rest, REST_FIELDS)
    for exchange in facts.exchanges:
        labels = {"exchange": exchange.exchange}
        if exchange.clock_offset is not None:
            yield "xtrader_clock_offset_seconds", _labels(labels), exchange.clock_offset
        if exchange.clock_error is not None:
            yield "xtrader_clock_error_seconds", _labels(labels), exchange.clock_error
    for journal in facts.journals:
        yield from _fields("journal", _labels({"worker": _worker(journal.worker)}), journal, JOURNAL_FIELDS)
    for sink in facts.sinks:
        plain = _labels({"sink": sink.name, "worker": _worker(sink.worker)})
        yield from _fields("sink", plain, sink, SINK_FIELDS)
        yield "xtrader_sink_failing_state", plain, int(bool(sink.error))
    for process in facts.processes:
        plain = _labels({"process": process.name, "worker": _worker(process.worker)})
        yield from _fields("process", plain, process, PROCESS_FIELDS)


def _fields(group: str, labels: str, value: object, fields: Mapping[str, str]) -> Iterator[tuple[str, str, float]]:
    """The metrics of a part that are its fields as they are; what is not known is left out."""
    for field, name in fields.items():
        number = getattr(value, field)
        if number is not None:
            yield f"xtrader_{group}_{name}", labels, int(number) if isinstance(number, bool) else number


REST_FIELDS: Final = {
    "limit": "weight_limit",
    "used": "weight_used",
    "left": "weight_left",
    "seconds": "interval_seconds",
    "waiting": "waiting_requests",
    "blocked": "blocked_seconds",
    "calls": "calls_total",
    "failures": "failures_total",
    "certificate_failures": "certificate_failures_total",
}
JOURNAL_FIELDS: Final = {
    "bytes": "bytes",
    "bytes_max": "limit_bytes",
    "free": "free_bytes",
    "free_min": "free_limit_bytes",
    "room": "room_state",
    "end": "written_bytes_total",
    "durable": "durable_bytes_total",
    "silence": "silence_seconds",
    "records": "records_total",
    "damaged": "damaged_stretches",
}
SINK_FIELDS: Final = {
    "alive": "alive_state",
    "hidden": "hidden_state",
    "rotate_seconds": "rotate_seconds",
    "behind_bytes": "behind_bytes",
    "behind_seconds": "behind_seconds",
    "held_bytes": "held_bytes",
    "held_seconds": "held_seconds",
    "cursor": "cursor_bytes",
    "rows": "rows_total",
    "parts": "parts_total",
    "retries": "retries_total",
    "restarts": "restarts_total",
    "set_aside": "set_aside_records_total",
    "damaged": "damaged_bytes_total",
}
PROCESS_FIELDS: Final = {
    "cpu": "cpu_seconds_total",
    "memory": "memory_bytes",
    "memory_max": "memory_limit_bytes",
    "descriptors": "open_descriptors",
    "descriptors_max": "descriptors_limit",
}


def _histograms(facts: Facts) -> Iterator[tuple[str, Mapping[str, str], Histogram]]:
    for exchange in facts.exchanges:
        labels = {"exchange": exchange.exchange}
        yield "xtrader_receive_lag_seconds", labels, exchange.lag
        yield "xtrader_journal_delay_seconds", labels, exchange.journaled
        yield "xtrader_handling_seconds", labels, exchange.handled
    for journal in facts.journals:
        yield "xtrader_journal_commit_seconds", {"worker": _worker(journal.worker)}, journal.commits
    for process in facts.processes:
        if process.loop is not None:
            labels = {"process": process.name, "worker": _worker(process.worker)}
            yield "xtrader_process_loop_delay_seconds", labels, process.loop


def _histogram(name: str, labels: Mapping[str, str], histogram: Histogram) -> Iterator[str]:
    """Its cumulative buckets: what took at most 2**bits - 1 ns is below 2**bits ns."""
    counts = histogram.counts
    passed = sum(counts[:LEAST_BITS])
    for bits in range(LEAST_BITS, MOST_BITS + 1):
        passed += counts[bits] if bits < len(counts) else 0
        yield f"{name}_bucket{_labels({**labels, 'le': repr((1 << bits) / 1e9)})} {passed}"
    total = histogram.count
    yield f"{name}_bucket{_labels({**labels, 'le': '+Inf'})} {total}"
    yield f"{name}_sum{_labels(labels)} {histogram.seconds}"
    yield f"{name}_count{_labels(labels)} {total}"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value if value.isalnum() else value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _worker(worker: int | None) -> str:
    return "" if worker is None else str(worker)
