"""The commands of `xtrader`: where each is, what it does in one line, and how it is used. `--help` shows all of it.

Rule: a command is imported when it is called, so that `--version` and `--help` wait for none of them.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import click

from xtrader import sinks


class CommandEntry(NamedTuple):
    """`place` is `module:attribute` in xtrader.cli, `about` one line, `examples` whole command lines."""

    place: str
    about: str
    examples: tuple[str, ...] = ()


RECORDING: Final = (
    'xtrader --subscriptions "L2:OKX_SWAP@BTCUSDT,TRADES:BINANCE_FUTURES@ETHUSDT" --output-directory ./data',
    "xtrader --config xtrader.toml --shutdown-after 60 --log-file recorder.log",
)
COMMANDS: Final[Mapping[str, CommandEntry]] = {
    "demo": CommandEntry(
        "demo:demo",
        "Record from emulated venues for a few seconds; needs no network.",
        ("xtrader demo", "xtrader demo --seconds 60 --output-directory ./demo"),
    ),
    "emulate": CommandEntry(
        "emulate:emulate",
        "Serve emulated exchanges on this machine until stopped.",
        (
            "xtrader emulate OKX_SWAP BINANCE_FUTURES --port 9310 > venues.env",
            "xtrader emulate DERIBIT --port 9310 --fault lost:L2:DERIBIT@BTC-PERPETUAL --truth ./truth",
        ),
    ),
    "plan": CommandEntry(
        "plan:plan",
        "Show what recording the subscriptions would do, without connecting.",
        (
            'xtrader plan --subscriptions "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT"',
            "xtrader plan --config xtrader.toml --json",
        ),
    ),
    "venues": CommandEntry(
        "venues:venues",
        "Say what can be recorded of which exchange, and what its numbers prove.",
        ("xtrader venues", "xtrader venues --json"),
    ),
    "renormalise": CommandEntry(
        "renormalise:renormalise",
        "Make the same Parquet files from raw recordings.",
        (
            "xtrader renormalise raw/OKX_SWAP-0.raw --output-directory ./data",
            "xtrader renormalise depth.csv.gz --exchange BINANCE_FUTURES --output-directory ./data",
        ),
    ),
    "book": CommandEntry(
        "book:book",
        "Show the book of an instrument, as it is now or as it was recorded.",
        (
            "xtrader book OKX_SWAP@BTCUSDT ./data --live",
            "xtrader book OKX_SWAP@BTCUSDT ./data --at 2026-11-21T12:00:00Z --format json",
        ),
    ),
    "trades": CommandEntry(
        "trades:trades",
        "Show the trades of an instrument, ordered by when they were received.",
        (
            "xtrader trades OKX_SWAP@BTCUSDT ./data --last 20 --follow",
            "xtrader trades OKX_SWAP@BTCUSDT ./data --from 2026-11-21T12:00",
        ),
    ),
    "trade": CommandEntry(
        "trade:trade",
        "Trade a recording on paper with a strategy.",
        (
            "xtrader trade --strategy simple_spread ./data --market OKX_SWAP@BTCUSDT --param order_size=0.01",
            "xtrader trade --mode paper --strategy my_maker.py ./data",
        ),
    ),
    "strategy": CommandEntry(
        "strategy:strategy",
        "Begin a strategy of your own.",
        ("xtrader strategy new my_maker", "xtrader strategy new my_maker --directory ./strategies"),
    ),
    "breaker": CommandEntry(
        "breaker:breaker",
        "Show or reset what halted paper trading.",
        ("xtrader breaker show", "xtrader breaker reset --reason 'the feed of the venue was wrong'"),
    ),
    "plot": CommandEntry(
        "plot:plot",
        "Draw prices, spread, trades, depth and gaps over a range of time.",
        (
            "xtrader plot OKX_SWAP@BTCUSDT ./data --output btc.html",
            "xtrader plot OKX_SWAP@BTCUSDT ./data --from 2026-11-21 --every 1m --output btc.png",
        ),
    ),
    "export": CommandEntry(
        "export:export",
        "Write what was recorded into a CSV or Parquet file.",
        (
            "xtrader export TRADES:OKX_SWAP@BTCUSDT ./data --output trades.csv.gz --from 2026-11-21 --to 2026-11-22",
            "xtrader export L2:OKX_SWAP@BTCUSDT s3://bucket/prefix --output book.csv.gz --columns tardis",
        ),
    ),
    "verify": CommandEntry(
        "verify:verify",
        "Prove a recording: files, manifest, sequences, books and coverage.",
        ("xtrader verify ./data", "xtrader verify ./data --json --workers 4"),
    ),
    "coverage": CommandEntry(
        "coverage:coverage",
        "Draw when each subscription was live.",
        ("xtrader coverage ./data", "xtrader coverage ./data --date 2026-11-21 --html coverage.html"),
    ),
    "report": CommandEntry(
        "report:report",
        "Say of a day what was covered, what is missing and why.",
        ("xtrader report ./data --date 2026-11-21", "xtrader report ./data --date 2026-11-21 --html day.html --json day.json"),
    ),
    "compact": CommandEntry(
        "compact:compact",
        "Merge small files, prove the result, then remove what it replaces.",
        ("xtrader compact ./data", "xtrader compact ./data --every 1d"),
    ),
    "repair": CommandEntry(
        "repair:repair",
        "Make lists again, set broken files aside, finish a journal that was left.",
        ("xtrader repair ./data", "xtrader repair ./data && xtrader verify ./data"),
    ),
    "sync": CommandEntry(
        "sync:sync",
        "Bring a recording, or a range of it, home from an object store, and prove it.",
        (
            "xtrader sync s3://bucket/prefix ./data",
            "xtrader sync s3://bucket/prefix ./noon --from 2026-11-21T12:00:00Z --to 2026-11-21T13:00:00Z",
        ),
    ),
    "prune": CommandEntry(
        "prune:prune",
        "Take away old parts that are proven, and uploaded if they are to be.",
        ("xtrader prune ./data --older-than 90d", "xtrader prune ./data --older-than 90d --uploaded --yes"),
    ),
    "load": CommandEntry(
        "load:load",
        "Deliver a recording or a journal into a sink.",
        (
            f"xtrader load ./data --sink {sinks.able('load')[-1]}",
            f"xtrader load ./data/.journal --sink {sinks.able('load')[-1]}",
        ),
    ),
    "status": CommandEntry(
        "status:status",
        "Say how a running recorder is: what is ill first, since when and why.",
        ("xtrader status", "xtrader status ./data --follow"),
    ),
    "resync": CommandEntry(
        "orders:resync",
        "Have a running recorder begin a subscription anew.",
        ("xtrader resync OKX_SWAP@BTCUSDT", "xtrader resync L2:OKX_SWAP@BTC-USDT-SWAP ./data"),
    ),
    "reconnect": CommandEntry(
        "orders:reconnect",
        "Have a running recorder make a connection anew.",
        ("xtrader reconnect OKX_SWAP/0", "xtrader reconnect BINANCE_FUTURES/1 ./data"),
    ),
    "log-level": CommandEntry(
        "orders:log_level",
        "Have a running recorder log more or less.",
        ("xtrader log-level feed debug", "xtrader log-level all warn ./data"),
    ),
    "stop": CommandEntry(
        "orders:stop", "Have a running recorder finish its files and end.", ("xtrader stop", "xtrader stop ./data")
    ),
    "config": CommandEntry(
        "config:config", "Say which settings a recording would use.", ("xtrader config show", "xtrader config show --json")
    ),
    "doctor": CommandEntry(
        "doctor:doctor",
        "Examine everything that recording depends on, and say what to do.",
        ("xtrader doctor", 'xtrader doctor --live --subscriptions "L2:OKX_SWAP@BTCUSDT"'),
    ),
    "check": CommandEntry(
        "check:check",
        "Answer the questions of a routine, and keep the answers.",
        ("xtrader check daily ./data", "xtrader check weekly ./data --kept"),
    ),
    "deploy": CommandEntry(
        "deploy:deploy",
        "Make the files with which platforms run recorders.",
        (
            'xtrader deploy new a --subscriptions "L2:OKX_SWAP@BTCUSDT"',
            "xtrader deploy render --target compose instances/a.env --image registry/xtrader@sha256:… --output out",
        ),
    ),
    "roll": CommandEntry(
        "roll:roll",
        "Change the version of a deployed recorder without a gap.",
        (
            "xtrader roll a --to registry/xtrader:1.1.0 --platform compose --dry-run",
            "xtrader roll a b --to 1.1.0 --stagger 60",
        ),
    ),
    "healthcheck": CommandEntry(
        "healthcheck:healthcheck",
        "Exit 0 while the recorder writes its journal, else 1.",
        ("xtrader healthcheck", "xtrader healthcheck ./data --within 30"),
    ),
    "_deliver": CommandEntry("deliver:deliver", ""),
    "_serve": CommandEntry("serve:serve", ""),
    "_metrics": CommandEntry("metrics:metrics", ""),
    "_reference": CommandEntry("reference:reference", ""),
    "_worker": CommandEntry("worker:worker", ""),
}
"""In the order of `--help`; those that begin with _ are started by the recorder, and not listed."""
FURTHER: Final[Mapping[str, tuple[str, ...]]] = {
    "trade run": (
        "xtrader trade run --strategy simple_spread ./data --from 2026-11-21 --to 2026-11-22",
        "xtrader trade run --strategy my_maker.py ./data --expect-digest 3f9a03c1",
    ),
    "trade runs": ("xtrader trade runs", "xtrader trade runs --runs ./elsewhere"),
    "trade report": (
        "xtrader trade report 20261121T120000Z-simple_spread-1",
        "xtrader trade report 20261121T120000Z-simple_spread-1 --json report.json",
    ),
    "trade verify": (
        "xtrader trade verify 20261121T120000Z-simple_spread-1",
        "xtrader trade verify 20261121T120000Z-simple_spread-1 --runs ./elsewhere",
    ),
    "strategy new": COMMANDS["strategy"].examples,
    "breaker show": ("xtrader breaker show", "xtrader breaker show --runs ./elsewhere"),
    "breaker reset": (
        "xtrader breaker reset --reason 'the feed of the venue was wrong'",
        "xtrader breaker reset --reason 'a test' --runs ./elsewhere",
    ),
    "trade limits": ("xtrader trade limits", "xtrader trade limits --profile conservative"),
    "config show": COMMANDS["config"].examples,
    "deploy new": (
        COMMANDS["deploy"].examples[0],
        'xtrader deploy new b --subscriptions "TRADES:DERIBIT@BTC-PERPETUAL" --set XTRADER_CONNECTIONS=2',
    ),
    "deploy render": (
        COMMANDS["deploy"].examples[1],
        "xtrader deploy render --target k8s instances/a.env instances/b.env --image registry/xtrader@sha256:… --output out",
    ),
    "deploy check": ("xtrader deploy check out", "xtrader deploy check out --json"),
}
"""Examples of commands below commands."""


def with_examples(command: click.Command, examples: tuple[str, ...]) -> click.Command:
    """The command with the examples at the end of its help, below whatever its own end says."""
    if examples:
        shown = "\b\nExamples:\n" + "\n".join(f"  {one}" for one in examples)
        command.epilog = f"{command.epilog}\n\n{shown}" if command.epilog else shown
    return command


class LazyGroup(click.Group):
    """Imports a command when it is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All names, the hidden ones included."""
        return [*COMMANDS, *self._tables()]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of a name, None if there is none."""
        if name in self.commands:
            return self.commands[name]
        if name in self._tables():
            from xtrader.cli.tables import group

            made: click.Command = group(name)
            examples: tuple[str, ...] = (f"xtrader {name} ddl", f"xtrader {name} ddl > tables.sql")
            further: Mapping[str, tuple[str, ...]] = {f"{name} ddl": examples}
        elif name in COMMANDS:
            module, _, attribute = COMMANDS[name].place.partition(":")
            made = getattr(importlib.import_module(f"xtrader.cli.{module}"), attribute)
            examples, further = COMMANDS[name].examples, FURTHER
        else:
            return None
        self.commands[name] = with_examples(made, examples)
        for below, command in getattr(made, "commands", {}).items():
            with_examples(command, further.get(f"{name} {below}", ()))
        return made

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; what is no command is answered with what was perhaps meant."""
        if args and self.get_command(context, args[0]) is None:
            named = [name for name in self.list_commands(context) if not name.startswith("_")]
            near = difflib.get_close_matches(args[0], named, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(named))}"
            raise click.UsageError(f"'{args[0]}' is no command of xtrader; {hint}", context)
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of `--help`."""
        rows = [(name, entry.about) for name, entry in COMMANDS.items() if entry.about]
        rows += [(name, f"Look after the tables of the sink {name}.") for name in self._tables()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _tables(self) -> tuple[str, ...]:
        return sinks.able("statements")
