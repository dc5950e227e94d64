"""`xtrader status`: how a running recorder is, by its own facts: what is ill first."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtrader.errors import ConfigError, XTraderError

if TYPE_CHECKING:
    from rich.console import Group

    from xtrader.ops.facts import Facts

PERIOD = 1.0
"""Seconds between two looks of --follow."""
NOT_READY = 1
"""Exit code where something is wrong."""


@click.command()
@click.argument("directory", metavar="[DIR]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON, one line.")
@click.option("--follow", "-f", is_flag=True, help="Go on, every second, until interrupted.")
def status(directory: str | None, as_json: bool, follow: bool) -> None:
    """Say how a running recorder is: what is ill first, since when and why.

    DIR is its output directory or its journal directory (default: those of the settings). Exit code 0 if it is ready, 1 if not, or
    if no recorder runs there.
    """
    from xtrader.ops.ask import Asking
    from xtrader.ops.health import is_ready

    place = journal_of(directory)
    if follow:
        _follow(place, as_json)
        return
    with Asking(place) as asking:
        facts = asking.facts()
    _print(facts, as_json)
    sys.exit(0 if is_ready(facts, time.time_ns()) else NOT_READY)


def journal_of(directory: str | None) -> Path:
    """The journal directory of the recorder that is meant. Raises ConfigError."""
    from xtrader.settings.environment import load_process

    if directory is not None:
        given = Path(directory).expanduser().absolute()
        if not given.is_dir():
            raise ConfigError(f"there is no directory '{directory}'; give the output or the journal directory of a recorder")
        for place in (given, given / ".journal"):
            if (place / "door").exists() or (place / "lock").exists():
                return place
    return load_process({"output_directory": directory}).journal_directory


def _print(facts: Facts, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    if as_json:
        click.echo(msgspec.json.encode(facts))
        return
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=160, highlight=False)
    console.print(shown(facts, time.time_ns()))


def _follow(place: Path, as_json: bool) -> None:
    """A recorder that is away is said to be so, and looked for again."""
    from rich.console import Console
    from rich.live import Live

    from xtrader.ops.ask import Asking, NobodyThere

    live = Live(console=Console(), auto_refresh=False, screen=False) if sys.stdout.isatty() and not as_json else None
    said = ""
    if live is not None:
        live.start()
    try:
        while True:
            try:
                with Asking(place) as asking:
                    while True:
                        facts = asking.facts()
                        said = ""
                        if live is None:
                            _print(facts, as_json)
                        else:
                            live.update(shown(facts, time.time_ns()), refresh=True)
                        time.sleep(PERIOD)
            except NobodyThere as error:
                if str(error) != said:
                    said = str(error)
                    click.echo(f"xtrader: {said}", err=True)
                time.sleep(PERIOD)
    except (KeyboardInterrupt, BrokenPipeError):
        raise XTraderError("interrupted") from None
    finally:
        if live is not None:
            live.stop()


def shown(facts: Facts, now: int) -> Group:
    """The facts as people read them: a line for the whole, what is wrong, subscriptions (the ill ones first), journal, sinks."""
    from rich.console import Group
    from rich.text import Text

    from xtrader.app.status import table
    from xtrader.ops.health import troubles

    found = troubles(facts, now)
    is_ready = not any(one.blocks for one in found)
    rate = sum(one.rate for one in facts.subscriptions)
    head = Text("ready" if is_ready else "NOT READY", style="bold green" if is_ready else "bold red")
    head.append(f"  {facts.live} of {facts.wanted} live, {rate:,.0f} messages/s, for {_long((now - facts.started) / 1e9)}, ", "")
    head.append(f"{facts.collector} on {facts.host}, xtrader {facts.versions.get('xtrader', '')}")
    lines = [head]
    for one in found:
        since = f" for {_long((now - one.since) / 1e9)}" if one.since else ""
        lines.append(Text(f"  {one.subject}: {one.kind}{since}: {one.words}", style="red" if one.blocks else "yellow"))
    parts = [table(facts, ill=frozenset(one.subject for one in found))]
    return Group(*lines, "", *parts, "", *(Text(line) for line in _below(facts)))


def _below(facts: Facts) -> list[str]:
    lines = []
    for journal in facts.journals:
        p99 = journal.commits.quantile(0.99)
        took = "" if p99 is None else f", commits p99 {p99 * 1000:.1f} ms"
        lines.append(f"journal {_size(journal.bytes)} of {_size(journal.bytes_max)}, {_size(journal.free)} free{took}")
    for sink in facts.sinks:
        name = sink.name if sink.worker is None else f"{sink.name} ({sink.worker})"
        behind = f"{_size(sink.behind_bytes)} ({sink.behind_seconds:.1f} s) behind"
        held = f"{_size(sink.held_bytes)} ({_long(sink.held_seconds)}) not safe yet"
        lines.append(f"sink {name}: {behind}, {held}, {sink.rows:,} rows, {sink.restarts} restarts, {sink.set_aside} set aside")
    for one in facts.exchanges:
        median, p99 = one.lag.quantile(0.5), one.lag.quantile(0.99)
        if median is not None and p99 is not None:
            lines.append(f"{one.exchange}: receive lag p50 {median * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
    for process in facts.processes:
        cpu = "" if process.cpu is None else f", {process.cpu:,.0f} s of CPU"
        memory = "" if process.memory is None else f", {_size(process.memory)}"
        lines.append(f"process {process.pid} {process.name}{cpu}{memory}")
    return lines


def _long(seconds: float) -> str:
    """A length of time in its two largest units."""
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    whole = max(int(seconds), 0)
    named: list[str] = []
    for name, length in units:
        count, whole = divmod(whole, length)
        if count or (name == "s" and not named):
            named.append(f"{count} {name}")
    return " ".join(named[:2])


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"
