"""The metrics of a recorder: what is in them, how many, how fast, and the page that lists them."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.needs import missing
from tests.ops.made import NOW, facts, sink, subscription
from tests.ops.served import answers, ask, served, variables
from tests.pipeline.loops import in_loop
from tests.running import in_sync, recorder, stop
from xtrader.emulator.server import Emulator
from xtrader.ops.exposition import TYPE, text
from xtrader.ops.facts import ConnectionFacts, ExchangeFacts, Facts, Histogram
from xtrader.ops.metrics import METRICS, page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def samples(of: Facts | None, instruments: int = 1000, now: int = NOW) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Name and labels -> value, as the library reads them."""
    found = {}
    for family in text_string_to_metric_families(text(of, now, instruments).decode()):
        for one in family.samples:
            place = (one.name, frozenset(one.labels.items()))
            assert place not in found
            found[place] = one.value
    return found


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return (f"xtrader_{name}", frozenset(labels.items()))


def many(count: int) -> Facts:
    names = [f"{stream}:BINANCE_FUTURES@S{n}USDT" for n in range(count // 2) for stream in ("L2", "TRADES")]
    return facts(*(subscription(name, gaps={"disconnect": 2}, bid=1.5, ask=1.6, book="ok") for name in names))


def test_each_fact_is_a_metric_that_the_library_reads() -> None:
    lag = Histogram((2, *[0] * 19, 3, 0, 1), 0.5, 0.1)
    found = samples(
        facts(
            subscription(gaps={"silent": 2}, resyncs=4, messages=7),
            subscription('TRADES:X@"odd\\name\n', state="gap", ts_last=0),
            sinks=(sink(error="no room"), sink("tables", error="suspended", hidden=True, rotate_seconds=1.0)),
            exchanges=(ExchangeFacts("X", "production", lag, Histogram(), Histogram(), 0.25, 0.1),),
        )
    )
    known = {"exchange": "OKX_SWAP", "instrument": "BTC-USDT-SWAP", "stream": "L2"}
    odd = {"exchange": "X", "instrument": '"odd\\name\n', "stream": "TRADES"}
    assert found[of("messages_total", **known)] == 7
    assert found[of("gaps_total", **known, cause="silent")] == 2
    assert found[of("subscription_gaps_total", **known)] == 2
    assert found[of("subscription_gaps_total", **odd)] == 0
    assert found[of("exchange_gaps_total", exchange="OKX_SWAP", cause="silent")] == 2
    assert found[of("exchange_gaps_total", exchange="OKX_SWAP", cause="venue_gap")] == 0
    assert found[of("subscription_live_state", **known)] == 1
    assert found[of("subscription_live_state", **odd)] == 0
    assert of("last_message_timestamp_seconds", **odd) not in found
    assert found[of("subscriptions", exchange="X", stream="TRADES", state="gap")] == 1
    assert found[of("sink_failing_state", sink="files", worker="")] == 1
    assert found[of("sink_hidden_state", sink="files", worker="")] == 0
    assert found[of("sink_hidden_state", sink="tables", worker="")] == 1
    assert found[of("sink_rotate_seconds", sink="tables", worker="")] == 1
    assert found[of("alive_state")] == 1
    assert found[of("ready_state")] == 0
    assert found[of("clock_offset_seconds", exchange="X")] == 0.25
    assert found[of("receive_lag_seconds_count", exchange="X")] == 6
    assert found[of("receive_lag_seconds_bucket", exchange="X", le="+Inf")] == 6
    assert found[of("receive_lag_seconds_bucket", exchange="X", le=repr(2**20 / 1e9))] == 5
    assert found[of("receive_lag_seconds_bucket", exchange="X", le=repr(2**14 / 1e9))] == 2


def test_instruments_beyond_the_limit_are_counted_together() -> None:
    whole, few = samples(many(100)), samples(many(100), instruments=3)
    names = {dict(labels)["instrument"] for _, labels in few if "instrument" in dict(labels)}
    assert len(names) == 4
    assert "other" in names
    rest = {"exchange": "BINANCE_FUTURES", "instrument": "other", "stream": "L2"}
    assert few[of("messages_total", **rest)] == 47
    for name in ("xtrader_messages_total", "xtrader_gaps_total"):
        assert sum(v for (n, _), v in few.items() if n == name) == sum(v for (n, _), v in whole.items() if n == name)
    assert few.keys() - whole.keys() == {place for place in few if dict(place[1]).get("instrument") == "other"}


def test_what_a_session_does_not_know_and_why_nobody_is_let_in_is_counted_for_each_connection() -> None:
    place = ("OKX_SWAP/0", "OKX_SWAP", "okx.example")
    counts = {"unknown": 2, "unknown_side": 3, "applied": 7}
    one = ConnectionFacts(*place, "open", NOW, NOW, 5, 1, 0, {}, 0, "", 0, 0.1, 0.2, counts, None, 4, 1)
    found = samples(facts(connections=(one,)))
    labels = {"exchange": "OKX_SWAP", "connection": "OKX_SWAP/0", "worker": ""}
    names = ("unknown", "certificate_failures", "credential_failures")
    assert [found[of(f"connection_{name}_total", **labels)] for name in names] == [5, 4, 1]


def test_of_a_recorder_that_is_away_it_is_only_said_that_it_is_not_alive() -> None:
    assert samples(None) == {of("alive_state"): 0, of("ready_state"): 0}
    assert samples(facts(), now=NOW + 60 * 10**9)[of("alive_state")] == 0


def test_the_page_lists_all_metrics() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make it anew: xtrader _metrics > docs/metrics.md"


def test_a_thousand_subscriptions_take_little_time() -> None:
    made = many(1000)
    times = []
    for _ in range(20):
        began = time.process_time()
        written = text(made, NOW, 1000)
        times.append(time.process_time() - began)
    print(f"metrics of 1,000 subscriptions: {len(written) >> 10} KiB in {min(times) * 1e3:.1f} ms of CPU")
    assert min(times) < 0.1


@in_loop
async def test_what_a_running_recorder_serves_is_what_the_page_lists(tmp_path: Path) -> None:
    async with Emulator(["OKX_SWAP", "BINANCE_FUTURES"], instruments=1, rate=200) as emulator:
        given = {**emulator.variables, **variables(DERIBIT_CLIENT_ID="me", DERIBIT_CLIENT_SECRET="canary-of-a-secret")}
        async with recorder(tmp_path, "L2:OKX_SWAP@BTC-USDT-SWAP,TRADES:BINANCE_FUTURES@BTCUSDT", given) as process:
            url = await served(tmp_path)
            await in_sync(tmp_path)
            await answers(f"{url}/metrics", lambda one: one.status == 200 and "\nxtrader_ready_state 1\n" in one.text)
            answer = await ask(f"{url}/metrics")
            assert await stop(process) == 0
    assert answer.headers["Content-Type"] == TYPE
    assert "canary" not in answer.text
    families = list(text_string_to_metric_families(answer.text))
    kinds = {one.name.removesuffix("_total"): one.kind for one in METRICS.values()}
    assert {one.name: one.type for one in families} == {one.name: kinds[one.name] for one in families}
    assert all(one.documentation and math.isfinite(sample.value) for one in families for sample in one.samples)
    absent = set(METRICS) - {one.name + ("_total" if one.type == "counter" else "") for one in families}
    # Nothing was lost, and what is not known has no line.
    lacking = ("gaps_total", "connection_losses_total", "connection_events_total", "clock_offset_seconds", "clock_error_seconds")
    assert absent <= {f"xtrader_{name}" for name in lacking}
    if (promtool := shutil.which("promtool")) is None:
        missing("promtool is not installed (Debian: prometheus)")
    checked = subprocess.run([promtool, "check", "metrics"], input=answer.text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
