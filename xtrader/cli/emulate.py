"""`xtrader emulate`: the venues on loopback, with faults, for trying a recorder (this one or another) against them.

Rule: standard output holds nothing but `export NAME=value` lines, complete once everything listens.
"""

from __future__ import annotations

from pathlib import Path

import click

CHANCES = 20
"""Faults that `--fault-seed` arms."""
HORIZON = 500
"""Messages of a subscription within which they strike."""


@click.command()
@click.argument("exchanges", nargs=-1, required=True, metavar="EXCHANGE…")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port of the first; the next follow (default: any).")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed makes the same markets.")
@click.option("--instruments", type=click.IntRange(min=1), default=4, show_default=True, help="For each exchange.")
@click.option("--rate", type=click.FloatRange(min=0), default=1000.0, show_default=True, help="Messages a second, over everything.")
@click.option("--operations", type=click.FloatRange(min=1), default=8.0, show_default=True, help="Orders behind a book message.")
@click.option("--truth", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write all to DIR/truth.jsonl.")
@click.option("--fault", "faults", multiple=True, metavar="SPEC", help="KIND:[L2:|TRADES:]EXCHANGE[@INSTRUMENT][:after=N…]")
@click.option("--fault-seed", type=int, metavar="N", help=f"{CHANCES} faults by chance; the same seed draws the same ones.")
def emulate(
    exchanges: tuple[str, ...],
    port: int,
    seed: int,
    instruments: int,
    rate: float,
    operations: float,
    truth: Path | None,
    faults: tuple[str, ...],
    fault_seed: int | None,
) -> None:
    """Serve emulated exchanges on this machine until stopped.

    Prints the variables that point xtrader at them, as lines for a shell: send them to a file and source it.
    """
    from xtrader.emulator.__main__ import run, serve
    from xtrader.emulator.faults import parse
    from xtrader.emulator.server import Emulator

    emulator = Emulator(
        [exchange.upper() for exchange in exchanges],
        seed=seed,
        instruments=instruments,
        rate=rate,
        operations=operations,
        port=port,
        truth_directory=truth,
        faults=[parse(text) for text in faults],
    )
    if fault_seed is not None:
        for fault in emulator.draw(fault_seed, CHANCES, HORIZON):
            click.echo(f"fault {fault}", err=True)
            emulator.add(fault)
    run(serve(emulator))
