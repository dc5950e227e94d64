"""Tables from the results: for the terminal, and for docs/performance.md, of which the measured part is written from JSON.

The rule: a ratio is the median of the ratios of single rounds, so that what disturbs a round disturbs both sides of it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from bench.contenders import CONTENDERS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Pair(NamedTuple):
    """What is compared, and how many times the peer's CPU ours should at least be worth, by traffic."""

    what: str
    ours: str
    peer: str
    wanted: dict[str, float]


FILES, JOURNAL, BEST = "xtrader, Parquet", "xtrader, journal", "xtrader, best"
RATIO = "CPU of the second by that of the first"
BINANCE, OKX = "Binance mix", "OKX books"
PAIRS = (
    Pair("Parquet / cryptofeed 3.0.1, Parquet by column lists", FILES, "cryptofeed 3.0.1, columns", {BINANCE: 4, OKX: 3}),
    Pair("Parquet / cryptofeed 3.0.1, Parquet by dicts", FILES, "cryptofeed 3.0.1, dicts", {BINANCE: 5, OKX: 4}),
    Pair("journal / cryptofeed 3.0.1, null callback", JOURNAL, "cryptofeed 3.0.1, null", {BINANCE: 4}),
    Pair("journal / cryptofeed 2.4.1, null callback", JOURNAL, "cryptofeed 2.4.1, null", {BINANCE: 3}),
    Pair("QuestDB, all levels / cryptofeed 3.0.1, QuestDB, top 10", "xtrader, QuestDB", "cryptofeed 3.0.1, questdb", {BINANCE: 6}),
    Pair("journal / nautilus, actor with managed book", JOURNAL, "nautilus 2.0.0rc7, managed", {BINANCE: 1.8, OKX: 1}),
    Pair("Parquet / nautilus, Feather", FILES, "nautilus 2.0.0rc7, feather", {BINANCE: 7, OKX: 5}),
    Pair("Parquet / nautilus, Feather promoted to Parquet", FILES, "nautilus 2.0.0rc7, promoted", {BINANCE: 9, OKX: 6}),
    Pair("best prices / cryptofeed 3.0.1, best prices", BEST, "cryptofeed 3.0.1, best", {}),
    Pair("best prices / nautilus, best prices", BEST, "nautilus 2.0.0rc7, best", {}),
    Pair("bare decode / Parquet (at most)", "decode", FILES, {BINANCE: 4, OKX: 4}),
)


def table(results: dict[str, Any]) -> str:
    """Everything as markdown: contenders by traffic, ratios, what was left out."""
    parts = []
    for traffic, contenders in results["throughput"].items():
        rows = [_contender(name, rounds) for name, rounds in _ordered(contenders)]
        heads = ("", "CPU us per message", "lowest-highest", "messages per CPU s", "MiB", "lost")
        parts.append(f"### {traffic}\n\n{_markdown(heads, rows)}")
    traffics = list(results["throughput"])
    rows = [[pair.what, *(_ratio(results["throughput"][traffic], pair, traffic) for traffic in traffics)] for pair in PAIRS]
    parts.append(f"### Side by side\n\n{_markdown((RATIO, *traffics), rows)}")
    if results.get("latency"):
        parts.append(_latency(results["latency"]))
    if results.get("paced"):
        parts.append(_paced(results["paced"]))
    if results.get("curves"):
        parts += _curves(results["curves"])
    if results["left_out"]:
        parts.append("Left out: " + "; ".join(f"{name}: {why}" for name, why in results["left_out"].items()) + ".")
    return "\n\n".join(parts)


def _latency(rates: dict[str, list[dict[str, list[float]]]]) -> str:
    rows = []
    for rate, rounds in rates.items():
        for way in rounds[0] if rounds else ():
            p50, p99 = (statistics.median(one[way][place] for one in rounds) for place in (0, 1))
            rows.append([f"{int(rate):,}", way, f"{p50:,.0f}", f"{p99:,.0f}"])
    return "### Latency, microseconds\n\n" + _markdown(("messages a second", "way", "p50", "p99"), rows)


def _paced(costs: dict[str, list[float]]) -> str:
    floor = costs.get("socket", [])
    rows = []
    for name, mine in costs.items():
        if not mine or not floor:
            continue
        ratio = statistics.median(one / least for one, least in zip(mine, floor, strict=False))
        rows.append([name, f"{statistics.median(mine):.1f}", f"{ratio:.2f}"])
    heads = ("", "CPU us per message", "times the bare socket")
    return "### One message at a time, 4,000 a second\n\n" + _markdown(heads, rows)


def _curves(curves: dict[str, dict[str, Any]]) -> list[str]:
    parts = []
    rows = [
        [f"{int(rate):,}", f"{one['cores']:.3f}", f"{one['cores'] / int(rate) * 1e6:.1f}", f"{one['memory'] >> 20}", *_p50_p99(one)]
        for rate, one in curves["rate"].items()
    ]
    heads: tuple[str, ...] = (
        "messages a second",
        "cores",
        "CPU us per message",
        "MiB",
        "sent to handed on: p50",
        "p99",
        "sent to journaled: p50",
        "p99",
    )
    parts.append("### One instrument, by rate (Binance mix, the whole recorder)\n\n" + _markdown(heads, rows))
    rows = [
        [
            f"{int(count):,}",
            str(one["messages_a_second"]),
            f"{one['cores']:.3f}",
            f"{one['memory'] >> 20}",
            str(one["files"]),
            str(one["seconds_to_sync"]),
        ]
        for count, one in curves["instruments"].items()
    ]
    heads = ("instruments", "messages a second", "cores", "MiB", "files", "seconds to sync")
    parts.append("### By instruments (OKX books and trades, the whole recorder)\n\n" + _markdown(heads, rows))
    rows = [[levels, f"{one['cpu_us']:.1f}", f"{one['bytes_per_level']:.2f}"] for levels, one in curves["levels"].items()]
    heads = ("levels of a depth message", "CPU us per message", "Parquet bytes per level")
    parts.append("### By levels (Binance mix, to finished Parquet; every second message is a trade)\n\n" + _markdown(heads, rows))
    complete = len(curves["levels"]) > 1 and "33" in curves["levels"] and len(curves["instruments"]) > 1
    return [*parts, _sizing(curves)] if complete else parts


def _sizing(curves: dict[str, Any]) -> str:
    """What a recorder needs, from the ends of the curves: straight lines through them."""
    (few, least), (many, most) = ((int(levels), one["cpu_us"]) for levels, one in _ends(curves["levels"]))
    # Every second message is a trade, so a depth message is twice the average less a trade's share, which is in the constant.
    a_level = 2 * (most - least) / (many - few)
    constant = least - a_level * few / 2
    (one_instrument, low), (instruments, high) = ((int(count), one["memory"]) for count, one in _ends(curves["instruments"]))
    each = (high - low) / (instruments - one_instrument) / 2**10
    return (
        "### Sizing\n\n"
        f"- CPU: {constant:.1f} us a message and {a_level:.2f} us a level, to finished Parquet, all processes together.\n"
        f"- Memory: {low / 2**20:.0f} MiB and {each:.0f} KiB an instrument.\n"
        f"- Disk: {curves['levels']['33']['bytes_per_level']:.2f} bytes a level in Parquet, and the journal until it is there."
    )


def _ends(curve: dict[str, Any]) -> tuple[tuple[str, Any], tuple[str, Any]]:
    ordered = sorted(curve.items(), key=lambda item: int(item[0]))
    return ordered[0], ordered[-1]


def _p50_p99(one: dict[str, list[float]]) -> list[str]:
    return [f"{one[way][place]:,.0f}" for way in ("sent to handed on", "sent to journaled") for place in (0, 1)]


def write(results: dict[str, Any]) -> None:
    """Put the measured part into docs/performance.md."""
    machine = results["machine"]
    size = f"{machine['cores']} cores, {machine['memory_gib']} GiB"
    head = f"Taken {results['date']} on {machine['cpu']}, {size}, Linux {machine['kernel']}.\n\n" + "\n".join(
        f"- {name}: {versions}" for name, versions in sorted(results["versions"].items())
    )
    what = "\n".join(f"| {contender.name} | {contender.what} |" for contender in CONTENDERS)
    measured = f"{head}\n\n### Who takes part\n\n| contender | set-up |\n|---|---|\n{what}\n\n{table(results)}"
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}", encoding="utf-8")


def _ordered(contenders: dict[str, list[dict[str, Any]]]) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    return ((one.name, contenders[one.name]) for one in CONTENDERS if one.name in contenders)


def _contender(name: str, rounds: list[dict[str, Any]]) -> list[str]:
    good = [row for row in rounds if "error" not in row]
    if not good:
        return [name, "does not count", rounds[0]["error"].splitlines()[0][:90], "", "", ""]
    costs = sorted(row["cpu_us"] for row in good)
    middle = statistics.median(costs)
    missing = [row["lost"] for row in good if row["lost"]]
    lost = ", ".join(f"{count} {what}" for what, count in missing[0].items()) if missing else "0"
    memory = max(row["memory"] for row in good) >> 20
    return [name, f"{middle:.2f}", f"{costs[0]:.2f}-{costs[-1]:.2f}", f"{1e6 / middle:,.0f}", str(memory), lost]


def _ratio(contenders: dict[str, list[dict[str, Any]]], pair: Pair, traffic: str) -> str:
    both = zip(contenders.get(pair.ours, ()), contenders.get(pair.peer, ()), strict=False)
    ratios = [peer["cpu_us"] / ours["cpu_us"] for ours, peer in both if "error" not in ours and "error" not in peer]
    if not ratios:
        return "-"
    wanted = pair.wanted.get(traffic)
    return f"{statistics.median(ratios):.2f}" + (f" (wanted {wanted:g})" if wanted else "")


def _markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    texts = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([texts[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *texts[1:]])
