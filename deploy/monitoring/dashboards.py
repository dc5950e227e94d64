"""Makes grafana/dashboards/*.json: `python deploy/monitoring/dashboards.py`; a test holds the files to it.

The rule: a panel names only what a recorder serves or a rule records, and is asked of the instances chosen on top.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

OUT = Path(__file__).parent / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 24, 8
HERE = 'job="xtrader", instance=~"$instance"'
THERE = HERE + ', exchange=~"$exchange"'
BID, ASK = (f"xtrader_best_{side}_price{{{THERE}}}" for side in ("bid", "ask"))
LAST = f"xtrader_last_message_timestamp_seconds{{{THERE}}}"
STATES = {"0": ("no", "red"), "1": ("yes", "green")}

Json = dict[str, Any]


class Panel(NamedTuple):
    """`asked` are (expression, legend); `kind` is one of Grafana's; `bounds` are (from which value on, colour)."""

    title: str
    asked: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    about: str = ""
    bounds: Sequence[tuple[float, str]] = ()
    states: bool = False


class Variable(NamedTuple):
    name: str
    query: str


INSTANCE = Variable("instance", "label_values(xtrader_alive_state, instance)")
EXCHANGE = Variable("exchange", 'label_values(xtrader_subscriptions{instance=~"$instance"}, exchange)')


def quantile(share: float, metric: str, by: str, where: str = HERE) -> str:
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"


def rate(metric: str, by: str, where: str = HERE) -> str:
    return f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))"


def state(title: str, metric: str, where: str = HERE, legend: str = "{{instance}}", width: int = 8) -> Panel:
    return Panel(title, [(f"{metric}{{{where}}}", legend)], kind="state-timeline", states=True, width=width)


OVERVIEW = [
    Panel("Recording", [(f"xtrader_alive_state{{{HERE}}}", "{{instance}}")], kind="stat", states=True, width=6),
    Panel("Ready", [(f"xtrader_ready_state{{{HERE}}}", "{{instance}}")], kind="stat", states=True, width=6),
    Panel(
        "Subscriptions that are not live",
        [(f'sum by (instance) (xtrader_subscriptions{{{HERE}, state!="live"}})', "{{instance}}")],
        kind="stat",
        width=6,
        bounds=[(0, "green"), (1, "red")],
    ),
    Panel(
        "Alerts that fire",
        [('count(ALERTS{alertstate="firing", alertname!="XtraderWatchdog"}) or vector(0)', "")],
        kind="stat",
        width=6,
        bounds=[(0, "green"), (1, "red")],
    ),
    Panel("Message Processing Rate", [(rate("xtrader_messages_total", "instance, exchange"), "{{instance}} {{exchange}}")], "cps"),
    Panel(
        "Gaps in five minutes, by cause",
        [
            (
                f"sum by (exchange, cause) (increase(xtrader_exchange_gaps_total{{{HERE}}}[5m])) > 0 or vector(0)",
                "{{exchange}} {{cause}}",
            )
        ],
    ),
    Panel(
        "Receive lag, p99",
        [(quantile(0.99, "xtrader_receive_lag_seconds", "instance, exchange"), "{{instance}} {{exchange}}")],
        "s",
    ),
    Panel(
        "Receipt to journal, p99",
        [(quantile(0.99, "xtrader_journal_delay_seconds", "instance, exchange"), "{{instance}} {{exchange}}")],
        "s",
    ),
    Panel("Sinks: behind", [(f"xtrader_sink_behind_seconds{{{HERE}}}", "{{instance}} {{sink}}")], "s"),
    Panel(
        "Journal full in",
        [
            (
                f"xtrader:journal_seconds_to_full{{{HERE}}} or xtrader:disk_seconds_to_full{{{HERE}}} or vector(31536000)",
                "{{instance}}",
            )
        ],
        "s",
    ),
    Panel(
        "CPU, of a core",
        [(rate("xtrader_process_cpu_seconds_total", "instance, process"), "{{instance}} {{process}}")],
        "percentunit",
    ),
    Panel(
        "Memory", [(f"sum by (instance, process) (xtrader_process_memory_bytes{{{HERE}}})", "{{instance}} {{process}}")], "bytes"
    ),
    Panel(
        "Event loop late, p99",
        [(quantile(0.99, "xtrader_process_loop_delay_seconds", "instance, process"), "{{instance}} {{process}}")],
        "s",
    ),
    Panel("Open files", [(f"xtrader_process_open_descriptors{{{HERE}}}", "{{instance}} {{process}}")]),
    Panel("Running since", [(f"1000 * xtrader_start_timestamp_seconds{{{HERE}}}", "{{instance}}")], "dateTimeFromNow", "stat"),
    Panel(
        "Versions",
        [(f"xtrader_build_info{{{HERE}}}", "{{instance}} {{version}} on {{host}}, collector {{collector}}")],
        kind="table",
    ),
]
VENUE = [
    state("Connections", "xtrader_connection_open_state", THERE, "{{instance}} {{connection}}"),
    state("Subscriptions", "xtrader_subscription_live_state", THERE, "{{stream}} {{instrument}}", width=16),
    Panel(
        "Messages",
        [(f"sum by (stream, instrument) (rate(xtrader_messages_total{{{THERE}}}[$__rate_interval]))", "{{stream}} {{instrument}}")],
        "cps",
    ),
    Panel(
        "Silent for",
        [
            (
                f"xtrader_facts_timestamp_seconds{{{HERE}}} - on (instance) group_right () {LAST}",
                "{{stream}} {{instrument}}",
            )
        ],
        "s",
    ),
    Panel("Usual silence", [(f"xtrader_silence_limit_seconds{{{THERE}}}", "{{stream}} {{instrument}}")], "s"),
    Panel(
        "Gaps since the start",
        [
            (f"xtrader_subscription_gaps_total{{{THERE}}}", "{{stream}} {{instrument}}"),
            (f"xtrader_resyncs_total{{{THERE}}}", "resyncs {{stream}} {{instrument}}"),
        ],
    ),
    Panel(
        "Receive lag",
        [
            (quantile(share, "xtrader_receive_lag_seconds", "exchange", THERE), f"{{{{exchange}}}} p{share:.0%}".replace("%", ""))
            for share in (0.5, 0.95, 0.99)
        ],
        "s",
    ),
    Panel(
        "Clock ahead of the venue's",
        [
            (f"xtrader_clock_offset_seconds{{{THERE}}}", "{{instance}} {{exchange}}"),
            (f"xtrader_clock_error_seconds{{{THERE}}}", "right within {{instance}} {{exchange}}"),
        ],
        "s",
    ),
    Panel(
        "Spread",
        [
            (
                f"20000 * ({ASK} - {BID}) / ({ASK} + {BID})",
                "{{exchange}} {{instrument}}",
            )
        ],
        "bps",
        about="In hundredths of a percent of the mid price; 100 is much for what is traded.",
        bounds=[(0, "green"), (100, "red")],
    ),
    Panel(
        "Best prices",
        [
            (BID, "bid {{instrument}}"),
            (ASK, "ask {{instrument}}"),
        ],
    ),
    Panel("Lost connections", [(f"sum by (connection) (xtrader_connection_reconnects_total{{{THERE}}})", "{{connection}}")]),
    Panel(
        "Limits: sending, connecting",
        [
            (f"xtrader_connection_send_budget_ratio{{{THERE}}}", "sending {{connection}}"),
            (f"xtrader_connection_connect_budget_ratio{{{THERE}}}", "connecting {{connection}}"),
        ],
        "percentunit",
    ),
    Panel(
        "REST weight",
        [(f"xtrader_rest_weight_used{{{HERE}}} / (xtrader_rest_weight_limit{{{HERE}}} > 0)", "{{instance}} {{host}}")],
        "percentunit",
        bounds=[(0, "green"), (0.8, "red")],
    ),
    Panel(
        "REST calls",
        [(rate("xtrader_rest_calls_total", "host"), "{{host}}"), (rate("xtrader_rest_failures_total", "host"), "failed {{host}}")],
        "cps",
    ),
    Panel("What is not known", [(f"xtrader_connection_unknown_total{{{THERE}}}", "{{connection}}")]),
]
STORAGE = [
    Panel(
        "Journal",
        [(f"xtrader_journal_bytes{{{HERE}}}", "{{instance}}"), (f"xtrader_journal_limit_bytes{{{HERE}}}", "limit {{instance}}")],
        "bytes",
    ),
    Panel(
        "Free on its disk",
        [
            (f"xtrader_journal_free_bytes{{{HERE}}}", "{{instance}}"),
            (f"xtrader_journal_free_limit_bytes{{{HERE}}}", "least {{instance}}"),
        ],
        "bytes",
    ),
    state("Room", "xtrader_journal_room_state"),
    Panel("Written", [(f"rate(xtrader_journal_written_bytes_total{{{HERE}}}[$__rate_interval])", "{{instance}}")], "Bps"),
    Panel("Records", [(f"rate(xtrader_journal_records_total{{{HERE}}}[$__rate_interval])", "{{instance}}")], "cps"),
    Panel(
        "Commit",
        [
            (quantile(share, "xtrader_journal_commit_seconds", "instance"), f"{{{{instance}}}} p{share:.0%}".replace("%", ""))
            for share in (0.5, 0.99)
        ],
        "s",
    ),
    Panel("Not written for", [(f"xtrader_journal_silence_seconds{{{HERE}}}", "{{instance}}")], "s"),
    Panel(
        "Not durable yet",
        [(f"xtrader_journal_written_bytes_total{{{HERE}}} - xtrader_journal_durable_bytes_total{{{HERE}}}", "{{instance}}")],
        "bytes",
    ),
    state("Sinks run", "xtrader_sink_alive_state", HERE, "{{instance}} {{sink}}"),
    Panel(
        "Sinks that wait",
        [
            (f"xtrader_sink_failing_state{{{HERE}}}", "{{instance}} {{sink}}"),
            (f"xtrader_sink_hidden_state{{{HERE}}}", "not to be found {{instance}} {{sink}}"),
        ],
    ),
    Panel("Not read yet", [(f"xtrader_sink_behind_bytes{{{HERE}}}", "{{instance}} {{sink}}")], "bytes"),
    Panel("Not safe yet", [(f"xtrader_sink_held_bytes{{{HERE}}}", "{{instance}} {{sink}}")], "bytes"),
    Panel(
        "Oldest that is not safe",
        [
            (f"xtrader_sink_held_seconds{{{HERE}}}", "{{instance}} {{sink}}"),
            (f"xtrader_sink_rotate_seconds{{{HERE}}}", "made safe every, {{instance}} {{sink}}"),
        ],
        "s",
    ),
    Panel("Rows", [(f"rate(xtrader_sink_rows_total{{{HERE}}}[$__rate_interval])", "{{instance}} {{sink}}")], "cps"),
    Panel("Files or batches", [(f"xtrader_sink_parts_total{{{HERE}}}", "{{instance}} {{sink}}")]),
    Panel(
        "Tried again, died",
        [
            (f"xtrader_sink_retries_total{{{HERE}}}", "tried again {{instance}} {{sink}}"),
            (f"xtrader_sink_restarts_total{{{HERE}}}", "died {{instance}} {{sink}}"),
        ],
    ),
    Panel(
        "Set aside, skipped",
        [
            (f"xtrader_sink_set_aside_records_total{{{HERE}}}", "records {{instance}} {{sink}}"),
            (f"xtrader_sink_damaged_bytes_total{{{HERE}}}", "bytes {{instance}} {{sink}}"),
        ],
    ),
]
OTHER = 'job="questdb"'
DATABASE = [
    state("Recorders' sinks run", "xtrader_sink_alive_state", HERE + ', sink="questdb"', width=6),
    Panel("Rows not to be found", [(f'xtrader_sink_hidden_state{{{HERE}, sink="questdb"}}', "{{instance}}")], width=6),
    Panel(
        "Suspended tables",
        [(f"questdb_suspended_tables{{{OTHER}}}", "")],
        kind="stat",
        width=6,
        bounds=[(0, "green"), (1, "red")],
    ),
    Panel("Unhandled errors", [(f"questdb_unhandled_errors_total{{{OTHER}}}", "")], kind="stat", width=6),
    Panel(
        "Rows that recorders send",
        [(rate("xtrader_sink_rows_total", "instance", HERE + ', sink="questdb"'), "{{instance}}")],
        "cps",
    ),
    Panel("Oldest that is not safe", [(f'xtrader_sink_held_seconds{{{HERE}, sink="questdb"}}', "{{instance}}")], "s"),
    Panel(
        "Received",
        [
            (rate("questdb_line_http_recv_bytes", "instance", OTHER), "by HTTP"),
            (rate("questdb_line_tcp_recv_bytes", "instance", OTHER), "by TCP"),
        ],
        "Bps",
    ),
    Panel(
        "Write-ahead log",
        [
            (rate("questdb_wal_written_rows_total", "instance", OTHER), "written"),
            (rate("questdb_wal_apply_written_rows_total", "instance", OTHER), "applied"),
        ],
        "cps",
    ),
    Panel(
        "Transactions not applied yet", [(f"questdb_wal_apply_seq_txn{{{OTHER}}} - questdb_wal_apply_writer_txn{{{OTHER}}}", "")]
    ),
    Panel(
        "Rows written",
        [
            (rate("questdb_committed_rows_total", "instance", OTHER), "committed"),
            (rate("questdb_physically_written_rows_total", "instance", OTHER), "physically"),
        ],
        "cps",
        about="More rows physically than committed: data comes out of order, and is written again.",
    ),
    Panel(
        "Commits",
        [
            (rate("questdb_commits_total", "instance", OTHER), "all"),
            (rate("questdb_o3_commits_total", "instance", OTHER), "out of order"),
        ],
        "cps",
    ),
    Panel(
        "Connections",
        [
            (f"questdb_{kind}_connections{{{OTHER}}}", name)
            for kind, name in (("line_http", "ILP, HTTP"), ("line_tcp", "ILP, TCP"), ("pg_wire", "SQL"))
        ],
    ),
    Panel("Queries that failed", [(rate("questdb_query_error_counter_total", "instance", OTHER), "")], "cps"),
]
DASHBOARDS = {
    "overview": ("xtrader: overview", [INSTANCE], OVERVIEW),
    "venues": ("xtrader: venues", [INSTANCE, EXCHANGE], VENUE),
    "storage": ("xtrader: storage", [INSTANCE], STORAGE),
    "questdb": ("xtrader: QuestDB", [INSTANCE], DATABASE),
}


def dashboard(name: str) -> Json:
    """A dashboard as Grafana takes it."""
    title, variables, panels = DASHBOARDS[name]
    return {
        "uid": f"xtrader-{name}",
        "title": title,
        "tags": ["xtrader"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_variable(one) for one in variables]},
        "links": [{"type": "dashboards", "tags": ["xtrader"], "title": "xtrader", "includeVars": True, "keepTime": True}],
        "annotations": {"list": [_restarts()]},
        "panels": list(_placed(panels)),
    }


def _variable(one: Variable) -> Json:
    query = {"query": one.query, "refId": one.name}
    choice = {"includeAll": True, "multi": True, "current": {"text": "All", "value": "$__all"}, "allValue": ".+"}
    return {"name": one.name, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2, "sort": 1, **choice}


def _restarts() -> Json:
    asked = 'changes(xtrader_start_timestamp_seconds{job="xtrader", instance=~"$instance"}[1m]) > 0'
    return {
        "name": "started again",
        "datasource": SOURCE,
        "enable": True,
        "expr": asked,
        "iconColor": "orange",
        "titleFormat": "{{instance}}",
    }


def _placed(panels: Sequence[Panel]) -> list[Json]:
    """Row by row, each as wide as it says."""
    made = []
    x = y = 0
    for number, one in enumerate(panels, start=1):
        if x + one.width > WIDTH:
            x, y = 0, y + HEIGHT
        made.append({"id": number, "gridPos": {"x": x, "y": y, "w": one.width, "h": HEIGHT}, **_panel(one)})
        x += one.width
    return made


def _panel(one: Panel) -> Json:
    is_table = one.kind == "table"
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": expression,
            "legendFormat": legend,
            **({"instant": True, "format": "table"} if is_table else {}),
        }
        for number, (expression, legend) in enumerate(one.asked)
    ]
    defaults: Json = {"unit": one.unit}
    if one.states:
        options = {value: {"text": text, "color": color, "index": int(value)} for value, (text, color) in STATES.items()}
        defaults["mappings"] = [{"type": "value", "options": options}]
        # A share of instruments that are counted together.
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": "red", "value": None}, {"color": "green", "value": 1}]}
    elif one.bounds:
        steps = [{"color": color, "value": None if not number else value} for number, (value, color) in enumerate(one.bounds)]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if one.kind == "timeseries":
            defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    found: Json = {"type": one.kind, "title": one.title, "datasource": SOURCE, "targets": targets}
    found["fieldConfig"] = {"defaults": defaults, "overrides": []}
    if one.about:
        found["description"] = one.about
    if one.kind == "timeseries":
        found["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return found


def text(name: str) -> str:
    """A dashboard as it stands in its file."""
    return json.dumps(dashboard(name), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for one in DASHBOARDS:
        (OUT / f"{one}.json").write_text(text(one), encoding="utf-8")
