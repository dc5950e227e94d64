"""`xtrader demo`: records from venues emulated on loopback, then shows what the files hold. Needs no network.

Rule: the recorder is the real one; only the addresses of the venues differ.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click

from xtrader.errors import ConfigError, XTraderError

EXCHANGES = ("BINANCE_SPOT", "BINANCE_FUTURES", "OKX_SWAP", "DERIBIT")
INSTRUMENTS = (
    "BINANCE_SPOT@BTCUSDT",
    "BINANCE_FUTURES@BTCUSDT",
    "BINANCE_FUTURES@ETHUSDT",
    "OKX_SWAP@BTCUSDT",
    "OKX_SWAP@ETHUSDT",
    "DERIBIT@BTC-PERPETUAL",
)
START = 30.0
"""Seconds that the emulator has to come up."""
LONGEST = 90.0
WIDTH = 140
"""Columns where nobody says how many there are."""


@click.command()
@click.option("--seconds", type=float, default=20.0, show_default=True, help="How long to record.")
@click.option("--output-directory", metavar="DIR", help="Where the files go (default: a new temporary directory, which is kept).")
@click.option("--verbose", is_flag=True, help="Show the recorder's log.")
def demo(seconds: float, output_directory: str | None, verbose: bool) -> None:
    """Record from emulated venues for a few seconds; needs no network."""
    from xtrader import logs
    from xtrader.app.compose import record
    from xtrader.cli import outcome
    from xtrader.cli.verify import verify
    from xtrader.settings.directories import check_directories
    from xtrader.settings.environment import bypass_proxies
    from xtrader.settings.load import load

    if not 1 <= seconds <= LONGEST:
        raise ConfigError(f"--seconds {seconds:g} is not between 1 and {LONGEST:g}")
    directory = output_directory or tempfile.mkdtemp(prefix="xtrader-demo-")
    step = ToldSteps()
    step("starting emulated exchanges on this machine, no network needed: " + ", ".join(EXCHANGES))
    subscriptions = ",".join(f"{stream}:{name}" for name in INSTRUMENTS for stream in ("L2", "TRADES"))
    flags = {"subscriptions": subscriptions, "output_directory": directory, "shutdown_after": seconds, "verbose": verbose}
    bypass_proxies("127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="xtrader-demo-cache-") as cache, emulator() as variables:
        environ = {
            **variables,
            "XTRADER_CACHE_DIRECTORY": cache,
            "XTRADER_HTTP": "off",
            "XTRADER_LOG": "info" if verbose else "warn",
        }
        settings = load(flags, environ, None)
        logs.set_up(settings.log_level, settings.secrets, settings.warnings)
        check_directories(settings)
        step(f"recording books and trades of {len(INSTRUMENTS)} instruments for {seconds:g} s, with the real recorder")
        code = record(settings)
    if code == 0:
        step("reading what the files hold")
        show(settings.output_directory)
        step(f"proving it from the files alone: xtrader verify {directory}")
        code = outcome.run(verify, [directory], "xtrader verify")
        step("done: the recording is proven complete" if code == 0 else "done: see what verify found")
        say_how_to_open(settings.output_directory)
    sys.exit(code)


class ToldSteps:
    """Says what happens now, and how many seconds after the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, what: str) -> None:
        click.echo(f"[{time.monotonic() - self._began:5.1f} s] {what}")


@contextlib.contextmanager
def emulator() -> Iterator[dict[str, str]]:
    """Run the emulated venues in a process of their own; gives the variables that point to them."""
    command = [sys.executable, "-m", "xtrader.emulator", *EXCHANGES, "--port", "0", "--instruments", "4", "--rate", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:  # noqa: S603
        too_late = threading.Timer(START, process.kill)
        too_late.start()
        try:
            variables = _read_variables(process)
            too_late.cancel()
            yield variables
        finally:
            too_late.cancel()
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()


def show(directory: Path) -> None:
    """Print what the files in `directory` hold. Raises XTraderError where that is nothing."""
    from rich.console import Console

    from xtrader.cli.contents import draw, read_contents

    holdings = read_contents(directory)
    if not any(one.rows for one in holdings):
        raise XTraderError(f"nothing was recorded into '{directory}'")
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(draw(holdings))


def say_how_to_open(directory: Path) -> None:
    """Print one line for each of the usual readers."""
    click.echo(
        f"\nThe files are in {directory}. Open them with one of\n"
        f'  pandas.read_parquet("{directory}/stream=TRADES", dtype_backend="pyarrow")\n'
        f'  polars.scan_parquet("{directory}/stream=L2", hive_partitioning=True).collect()\n'
        f"  duckdb.sql(\"FROM '{directory}/stream=COVERAGE/**/*.parquet'\")\n"
        f'  xtrader.open("{directory}").trades("OKX_SWAP@BTCUSDT").to_pandas()'
    )


def _read_variables(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    variables: dict[str, str] = {}
    while len(variables) < 2 * len(EXCHANGES):
        line = process.stdout.readline()
        if not line:
            raise XTraderError(f"the emulated venues did not start (exit code {process.wait()})")
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            variables[name] = value.strip("'\"")
    return variables
