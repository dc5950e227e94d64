"""`xtrader compact`: merges small parts into hourly or daily ones."""

from __future__ import annotations

from pathlib import Path

import click

from xtrader.cli.verify import require_recording

PERIODS = {"1h": 1, "1d": 24}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--every", type=click.Choice(list(PERIODS)), default="1h", show_default=True, help="How much time goes into one part."
)
def compact(directory: Path, every: str) -> None:
    """Merge closed parts, prove the result, then remove what it replaces. Safe beside a recorder, and to kill at any time."""
    from rich.console import Console
    from rich.progress import Progress

    from xtrader.store.mend.compact import HOUR
    from xtrader.store.mend.compact import compact as merge

    require_recording(directory)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("merging", total=None)
        done = merge(directory, PERIODS[every] * HOUR, lambda now, total: bar.update(task, completed=now, total=total))
    if done.removed:
        click.echo(f"Removed {done.removed:,} files that an interrupted run had left.")
    for problem in done.problems:
        click.echo(f"xtrader: {problem}", err=True)
    sizes = f"{done.bytes_before / 1e6:,.1f} MB to {done.bytes_after / 1e6:,.1f} MB"
    click.echo(
        f"Merged {done.merged:,} parts into {done.made:,} ({done.rows:,} rows, {sizes})." if done.merged else "Nothing to merge."
    )
    if done.problems:
        raise SystemExit(1)
