"""The metrics of a recorder: the name, kind, labels and meaning of each, and the page that lists them.

The rule: a name or label that was ever served keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

SUBSCRIPTION: Final = ("exchange", "instrument", "stream")
CONNECTION: Final = ("exchange", "connection", "worker")
REST: Final = ("host", "worker")
SINK: Final = ("sink", "worker")
PROCESS: Final = ("process", "worker")


MORE: Final[Mapping[str, tuple[str, ...]]] = {
    "exchange_gaps_total": ("cause",),
    "gaps_total": ("cause",),
    "connection_losses_total": ("cause",),
    "connection_events_total": ("kind",),
}


class Metric(NamedTuple):
    """A family: `kind` is gauge, counter or histogram."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


def _metrics(labels: tuple[str, ...], *rows: tuple[str, str, str]) -> list[Metric]:
    return [Metric(f"xtrader_{name}", kind, labels + _more(name), words) for name, kind, words in rows]


def _more(name: str) -> tuple[str, ...]:
    return MORE.get(name, ())


METRICS: Final = {
    one.name: one
    for one in (
        *_metrics(
            (),
            ("alive_state", "gauge", "1 while the event loops and journals turn (as /health)."),
            ("ready_state", "gauge", "1 while data flows for every subscription and the sinks take it (as /ready)."),
            ("facts_timestamp_seconds", "gauge", "When the facts were taken of which these metrics are made: every second."),
            ("start_timestamp_seconds", "gauge", "When the recorder was started."),
            ("wanted_subscriptions", "gauge", "Subscriptions that are to be recorded."),
            ("missing_workers", "gauge", "Recording processes that do not run."),
        ),
        *_metrics(("collector", "host", "version"), ("build_info", "gauge", "Always 1; says who and what it is.")),
        *_metrics(("exchange", "stream", "state"), ("subscriptions", "gauge", "Subscriptions by state.")),
        *_metrics(
            SUBSCRIPTION,
            ("subscription_live_state", "gauge", "1 while it is live; of instruments counted together: the share that is."),
            ("subscription_since_timestamp_seconds", "gauge", "Since when its state is what it is."),
            ("messages_total", "counter", "Messages recorded: applied book updates and snapshots, or trades."),
            ("last_message_timestamp_seconds", "gauge", "When its last message was received; absent before the first."),
            ("silence_limit_seconds", "gauge", "Silence that is usual for it at most; after that the venue is asked."),
            ("gaps_total", "counter", "Gaps that have begun, by cause; a cause has a line once there was one."),
            ("subscription_gaps_total", "counter", "Gaps that have begun, of all causes."),
            ("resyncs_total", "counter", "Times it was subscribed, or its snapshot asked for, anew on a connection that stood."),
            ("subscription_live_connections", "gauge", "Connections on which it is live."),
            ("shallow_book_state", "gauge", "1 while its book lacks levels that the venue would give. L2 only."),
            ("best_bid_price", "gauge", "Best bid of its book, in the venue's unit. L2 only."),
            ("best_ask_price", "gauge", "Best ask of its book, in the venue's unit. L2 only."),
        ),
        *_metrics(
            CONNECTION,
            ("connection_open_state", "gauge", "1 while it is open."),
            ("connection_since_timestamp_seconds", "gauge", "When it was opened, or lost, or asked for."),
            ("connection_last_frame_timestamp_seconds", "gauge", "When its last frame came; absent before the first."),
            ("connection_frames", "gauge", "Frames that came on the connection that is open now."),
            ("connection_subscriptions", "gauge", "Subscriptions that it carries."),
            ("connection_reconnects_total", "counter", "Times it was lost and made again."),
            ("connection_losses_total", "counter", "Times it was lost, by cause."),
            ("connection_replacements_total", "counter", "Times a new one took its place in time, without a loss."),
            ("connection_unsent_messages", "gauge", "Messages that wait for their turn to be sent."),
            ("connection_send_budget_ratio", "gauge", "Share of the venue's limit on sending that is used."),
            ("connection_connect_budget_ratio", "gauge", "Share of our part of the venue's limit on connecting that is used."),
            ("connection_events_total", "counter", "What its session counted since it was opened, by kind."),
            ("connection_unknown_total", "counter", "Messages and values of unknown kinds since it was opened."),
            ("connection_certificate_failures_total", "counter", "Times the venue's certificate was not to be trusted."),
            ("connection_credential_failures_total", "counter", "Times the venue refused the key or secret."),
        ),
        *_metrics(
            REST,
            ("rest_weight_limit", "gauge", "REST weight that we allow ourselves in an interval."),
            ("rest_weight_used", "gauge", "REST weight used in the interval, by us or whoever is behind the same address."),
            ("rest_weight_left", "gauge", "REST weight left in the interval."),
            ("rest_interval_seconds", "gauge", "The interval of the weights."),
            ("rest_waiting_requests", "gauge", "Requests that wait for weight."),
            ("rest_blocked_seconds", "gauge", "Seconds for which the venue told us to stay away, from now on."),
            ("rest_calls_total", "counter", "REST calls."),
            ("rest_failures_total", "counter", "REST calls without a usable answer."),
            ("rest_certificate_failures_total", "counter", "Of these, those with a certificate that is not to be trusted."),
        ),
        *_metrics(
            ("exchange",),
            ("receive_lag_seconds", "histogram", "From the venue's time of an event to its receipt; our clock's error is in it."),
            ("journal_delay_seconds", "histogram", "From the receipt of a message to its being written into the journal."),
            ("exchange_gaps_total", "counter", "Gaps that have begun in its subscriptions of now, by cause."),
            ("handling_seconds", "histogram", "From the receipt of a message to its records being handed on; one in 64 messages."),
            ("clock_offset_seconds", "gauge", "By how much this machine's clock is ahead of the venue's, at best knowledge."),
            ("clock_error_seconds", "gauge", "The clock's offset is right within so many seconds."),
        ),
        *_metrics(
            ("worker",),
            ("journal_bytes", "gauge", "Size of the journal."),
            ("journal_limit_bytes", "gauge", "Size at which recording pauses."),
            ("journal_free_bytes", "gauge", "Bytes free on the journal's file system."),
            ("journal_free_limit_bytes", "gauge", "Free bytes at which recording pauses."),
            ("journal_room_state", "gauge", "0 while recording pauses for want of room."),
            ("journal_written_bytes_total", "counter", "Offset after the last frame written."),
            ("journal_durable_bytes_total", "counter", "Offset up to which all is on the disk."),
            ("journal_silence_seconds", "gauge", "Seconds for which nothing was written, or that a commit takes already."),
            ("journal_records_total", "counter", "Records taken in."),
            ("journal_commit_seconds", "histogram", "How long it took to force what was written to the disk."),
            ("journal_damaged_stretches", "gauge", "Stretches that were found damaged at the start."),
        ),
        *_metrics(
            SINK,
            ("sink_alive_state", "gauge", "1 while its process runs and has spoken."),
            ("sink_failing_state", "gauge", "1 while something keeps it waiting, or its rows from being found."),
            ("sink_hidden_state", "gauge", "1 while rows that it took cannot be found: a suspended table, an upload that waits."),
            ("sink_rotate_seconds", "gauge", "How often it makes safe what it has taken."),
            ("sink_behind_bytes", "gauge", "Durable journal that it has not read yet."),
            ("sink_behind_seconds", "gauge", "How old the oldest of that is."),
            ("sink_held_bytes", "gauge", "Durable journal that is not safe in it yet."),
            ("sink_held_seconds", "gauge", "How old the oldest of that is."),
            ("sink_cursor_bytes", "gauge", "The journal's offset up to which all is safe in it."),
            ("sink_rows_total", "counter", "Rows written by its present process."),
            ("sink_parts_total", "counter", "Files or batches finished by its present process."),
            ("sink_retries_total", "counter", "Times it began again because rows were not taken."),
            ("sink_restarts_total", "counter", "Times its process died and was started again."),
            ("sink_set_aside_records_total", "counter", "Records that it can never take, in a file beside the journal."),
            ("sink_damaged_bytes_total", "counter", "Bytes of the journal that it had to skip."),
        ),
        *_metrics(
            PROCESS,
            ("process_cpu_seconds_total", "counter", "CPU time since it began."),
            ("process_memory_bytes", "gauge", "Resident memory."),
            ("process_memory_limit_bytes", "gauge", "Memory that it may have with what shares its control group."),
            ("process_open_descriptors", "gauge", "Open file descriptors."),
            ("process_descriptors_limit", "gauge", "File descriptors that it may have open."),
            ("process_loop_delay_seconds", "histogram", "By how much its event loop woke late."),
        ),
    )
}


def page() -> str:
    """The page of the documentation that lists them."""
    rows = []
    for one in METRICS.values():
        rows.append(f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.help} |")
    return PAGE + "\n".join(rows) + "\n"


PAGE: Final = """# Metrics

`GET /metrics` of a running recorder, in the text format of Prometheus. Made by `xtrader _metrics`; not written by hand.

Names and labels stay as they are; more may come. Times are seconds, Unix times where the name says `timestamp`. Counters begin at 0
when the process that counts is started again. `worker` is empty where there is only one recording process. Of instruments beyond
`XTRADER_METRICS_INSTRUMENTS` the label is `other`: counters are sums, times are the earliest, and prices are left out.

| name | type | labels | what |
|---|---|---|---|
"""
