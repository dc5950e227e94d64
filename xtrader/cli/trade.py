"""`xtrader trade`: trades a recording with a strategy on paper, and shows what became of runs.

Rule: nothing here reaches a venue's trading address; a run that differs from what was expected ends with 3.
"""

from __future__ import annotations

import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xtrader.errors import ConfigError

if TYPE_CHECKING:
    from xtrader.trading.app import TradeOptions, TradeRun
    from xtrader.trading.stats.run_report import RunReport

DIFFERENT = 3
"""Exit code of a run whose decisions are not those that were expected."""
RUNS = "runs"


class TradeGroup(click.Group):
    """Without one of its words, `run` is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=TradeGroup, no_args_is_help=True)
def trade() -> None:
    """Trade a recording on paper: xtrader trade --strategy NAME [OPTIONS] DIR…

    Without one of the words below, `run` is meant: see `xtrader trade run --help`. Nothing leaves the machine.
    """


def runs_option(command: Any) -> Any:
    """Where runs are."""
    text = "Where the directories of runs are."
    return click.option("--runs", "runs_directory", metavar="DIR", default=RUNS, show_default=True, help=text)(command)


@trade.command("run")
@click.argument("places", metavar="DIR…", nargs=-1, required=True)
@click.option(
    "--mode",
    type=click.Choice(["replay", "paper", "simulated"]),
    default="replay",
    show_default=True,
    help="replay: trade a recording. paper (or simulated): follow the recorder that writes to DIR, until interrupted.",
)
@click.option("--shutdown-after", metavar="TIME", help="End a paper run after so long, such as 1h.")
@click.option("--strategy", required=True, metavar="NAME", help="A shipped strategy (simple_spread) or the path of a .py file.")
@click.option(
    "--market", "markets", multiple=True, metavar="INSTRUMENT", help="Only this one: key, alias or symbol. May be repeated."
)
@click.option("--from", "start", metavar="TIME", help="From this time on, such as 2026-11-21T12:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Before this time.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the strategy. May be repeated.")
@click.option("--strategy-config", metavar="FILE", help="TOML with its parameters (default: the one of its name beside it).")
@click.option("--limits", "limits_file", metavar="FILE", help="The limits (default: config/limits.toml, else the built-in ones).")
@click.option("--profile", default="", metavar="NAME", help="A profile of limits: standard or conservative.")
@click.option("--capital", multiple=True, metavar="ASSET=AMOUNT", help="What the account begins with (default USDT=10000).")
@click.option("--maker-bps", default="2", show_default=True, metavar="BPS", help="Fee of a maker; below 0 is a rebate.")
@click.option("--taker-bps", default="5", show_default=True, metavar="BPS", help="Fee of a taker.")
@click.option("--fee-asset", default="quote", show_default=True, help="What fees are paid in: quote, base (spot) or an asset.")
@click.option("--queue", default="risk_averse", show_default=True, metavar="MODEL", help="risk_averse, power(N) or log.")
@click.option("--attach-delay", default="60ms", show_default=True, metavar="TIME", help="From a record's receipt to the strategy.")
@click.option("--entry-delay", default="50ms", show_default=True, metavar="TIME", help="From the strategy to the venue.")
@click.option("--response-delay", default="50ms", show_default=True, metavar="TIME", help="From the venue back.")
@click.option("--delay-sigma", type=click.FloatRange(0, 3), default=0.0, help="Spread of the delays (lognormal); 0: constant.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the delays by chance.")
@click.option(
    "--expect-digest", default="", metavar="SHA256", help="End with 3 if the decisions are not these (the beginning is enough)."
)
@click.option("--run-directory", metavar="DIR", help="Where this run goes (default: a new one below --runs).")
@runs_option
def run(places: tuple[str, ...], **given: Any) -> None:
    """Trade the recordings in DIR… with a strategy."""
    from xtrader.trading.app import TradeOptions, amounts
    from xtrader.trading.paper.venue_rules import Fees

    expected = given["expect_digest"].lower()
    if expected and (set(expected) - set("0123456789abcdef") or len(expected) < 4):
        raise ConfigError(f"--expect-digest '{expected}' is no digest: give 4 or more of the hexadecimal digits that a run printed")
    options = TradeOptions(
        mode="paper" if given["mode"] == "simulated" else given["mode"],
        strategy=given["strategy"],
        places=places,
        markets=given["markets"],
        start=_moment(given["start"]),
        end=_moment(given["end"]),
        params=dict(_pair(text) for text in given["params"]),
        strategy_config=None if given["strategy_config"] is None else Path(given["strategy_config"]),
        limits_file=None if given["limits_file"] is None else Path(given["limits_file"]),
        profile=given["profile"],
        capital=amounts(given["capital"]) or None,
        fees=Fees(_bps("--maker-bps", given["maker_bps"]), _bps("--taker-bps", given["taker_bps"]), _asset(given["fee_asset"])),
        attach_delay=_delay("--attach-delay", given["attach_delay"]),
        entry_delay=_delay("--entry-delay", given["entry_delay"]),
        response_delay=_delay("--response-delay", given["response_delay"]),
        delay_sigma=given["delay_sigma"],
        queue=given["queue"],
        seed=given["seed"],
        runs=Path(given["runs_directory"]),
        directory=None if given["run_directory"] is None else Path(given["run_directory"]),
    )
    found = _run(options, given["shutdown_after"])
    _show(found.report)
    click.echo(f"everything is in {found.directory}")
    if expected and not found.report.digest.startswith(expected):
        click.echo(f"xtrader: the digest is {found.report.digest}, not {expected}: the decisions differ", err=True)
        sys.exit(DIFFERENT)


def _run(options: TradeOptions, shutdown_after: str | None) -> TradeRun:
    if options.mode == "replay":
        from xtrader.trading.app import replay

        if shutdown_after is not None:
            raise ConfigError("--shutdown-after is for paper runs; a replay ends with --to")
        return replay(options)
    from msgspec.structs import replace

    from xtrader.cli.looking import place
    from xtrader.cli.stopping import Stopping
    from xtrader.trading.halt_latch import read_latch
    from xtrader.trading.paper_run import paper

    seconds = None if shutdown_after is None else _seconds(shutdown_after)
    if len(options.places) == 1:
        where = place(options.places[0], None)
        options = replace(options, places=(str(where.directory),), journal=where.journal)
    with Stopping(seconds) as stopping:
        words = f"following the recorder of {options.places[0]}; an interrupt ends it with a report"
        if (halted := read_latch(options.runs).halted) is not None:
            words += f"\nhalted: {halted}; every order is refused until `xtrader breaker reset`"
        return paper(options, stopping.is_wanted, lambda: click.echo(words, err=True))


@trade.command("runs")
@runs_option
def runs_(runs_directory: str) -> None:
    """List the runs: when, what, what came of it, digest."""
    from xtrader.trading.log import run_files
    from xtrader.trading.stats.run_report import printed

    root = Path(runs_directory)
    found = run_files.runs(root) if root.is_dir() else []
    if not found:
        click.echo(f"there are no runs in '{root}'", err=True)
        return
    for path, manifest in found:
        net = "did not end"
        if manifest.ended:
            net = f"net {printed(_report(path).net)}"
        strategy = Path(manifest.strategy).stem
        click.echo(f"{manifest.created}  {manifest.mode:<7} {strategy:<16} {net:<24} {manifest.digest[:12]:<12}  {path.name}")


@trade.command()
@click.argument("run_name", metavar="RUN")
@click.option("--json", "json_file", metavar="FILE", help="Write all of it as JSON (- for standard output).")
@click.option("--html", "html_file", metavar="FILE", help="Write it as a page that needs nothing else.")
@runs_option
def report(run_name: str, json_file: str | None, html_file: str | None, runs_directory: str) -> None:
    """Show what a run came to."""
    from xtrader.trading.log import run_files

    path = run_files.find_run(Path(runs_directory), run_name)
    found = _report(path)
    if json_file == "-":
        click.echo((path / run_files.REPORT).read_text(encoding="utf-8"), nl=False)
        return
    if json_file is not None:
        Path(json_file).write_bytes((path / run_files.REPORT).read_bytes())
    if html_file is not None:
        from xtrader.trading.stats.report_page import report_page

        Path(html_file).write_text(report_page(found), encoding="utf-8")
    _show(found)


@trade.command()
@click.argument("run_name", metavar="RUN")
@runs_option
def verify(run_name: str, runs_directory: str) -> None:
    """Decide a run again from its inputs: 0 if every decision is the same, 1 if one differs, 2 if that cannot be found out."""
    from xtrader.trading.log import run_files
    from xtrader.trading.verify_run import verify_run

    found = verify_run(run_files.find_run(Path(runs_directory), run_name))
    if found.first is None:
        until = "" if found.is_whole else "; the run did not end"
        click.echo(f"the same: {found.rows} rows of decisions, orders and fills, digest {found.digest}{until}")
        return
    number, then, now = found.first
    click.echo(f"row {number} differs after {found.rows} that are the same")
    click.echo(f"  then: {then or 'nothing'}\n  now:  {now or 'nothing'}")
    sys.exit(1)


@trade.command()
@click.option("--limits", "limits_file", metavar="FILE", help="The limits (default: config/limits.toml, else the built-in ones).")
@click.option("--profile", default="", metavar="NAME", help="A profile of limits: standard or conservative.")
def limits(limits_file: str | None, profile: str) -> None:
    """Show the limits in force, each with who set it."""
    from xtrader.trading.app import limits_of

    found = limits_of(None if limits_file is None else Path(limits_file), profile)
    width = max(map(len, found.values))
    for key, one in found.values.items():
        click.echo(f"{key:<{width}}  {one.value:>10f}  {one.source}")
    click.echo(f"SHA-256 {found.digest}")


def _report(path: Path) -> RunReport:
    import msgspec

    from xtrader.trading.log import run_files
    from xtrader.trading.stats.run_report import RunReport

    try:
        return msgspec.json.decode((path / run_files.REPORT).read_bytes(), type=RunReport)
    except FileNotFoundError:
        raise ConfigError(f"the run '{path.name}' did not end: it has no report, only its log") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"'{path / run_files.REPORT}' is no report of a run: {error}") from None


def _show(found: RunReport) -> None:
    """The report for people."""
    from xtrader.trading.stats.report_text import report_lines

    for line in report_lines(found):
        click.echo(line)


def _moment(text: str | None) -> int | None:
    from xtrader.store.read.times import nanoseconds

    return None if text is None else nanoseconds(text)


def _pair(text: str) -> tuple[str, str]:
    name, is_given, value = text.partition("=")
    if not is_given or not name:
        raise ConfigError(f"--param '{text}' is no parameter: give NAME=VALUE, such as order_size=0.01")
    return name.strip().replace("-", "_"), value.strip()


def _bps(option: str, text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not -100 <= found <= 1000:
        raise ConfigError(f"{option} '{text}' is no fee: give basis points from -100 to 1000, such as 5")
    return found


def _asset(text: str) -> str:
    return text if text in ("quote", "base") else text.upper()


def _seconds(text: str) -> float:
    from xtrader.quantities import seconds

    found = seconds(text)
    if not found:
        raise ConfigError(f"--shutdown-after '{text}' is no time: give one such as 90s or 1h")
    return found


def _delay(option: str, text: str) -> int:
    from xtrader.quantities import seconds

    found = seconds(text)
    if found is None or found > 60:
        raise ConfigError(f"{option} '{text}' is no delay: give a time up to a minute, such as 50ms")
    return round(found * 10**9)
