"""`xtrader compact`: merges small parts into hourly or daily ones."""

from __future__ import annotations

import click

from xtrader.cli.places import files_at, recorded
from xtrader.cli.progress import bar

PERIODS = {"1h": 1, "1d": 24}


@click.command()
@recorded
@click.option(
    "--every", type=click.Choice(list(PERIODS)), default="1h", show_default=True, help="How much time goes into one part."
)
def compact(directory: str, every: str) -> None:
    """Merge closed parts, prove the result, then remove what it replaces. Of what several collectors recorded, as while one took
    another's place, each row stays with one of them. Safe beside a recorder, and to kill at any time."""
    from xtrader.store.mend.compact import HOUR
    from xtrader.store.mend.compact import compact as merge
    from xtrader.store.mend.compact_bucket import compact_bucket
    from xtrader.store.prove.recording_files import BucketFiles

    with files_at(directory) as files, bar("merging") as progress:
        if isinstance(files, BucketFiles):
            done = compact_bucket(files, PERIODS[every] * HOUR, progress)
        else:
            done = merge(files.root, PERIODS[every] * HOUR, progress)
    if done.removed:
        click.echo(f"Removed {done.removed:,} files that an interrupted run had left.")
    for problem in done.problems:
        click.echo(f"xtrader: {problem}", err=True)
    sizes = f"{done.bytes_before / 1e6:,.1f} MB to {done.bytes_after / 1e6:,.1f} MB"
    click.echo(
        f"Merged {done.merged:,} parts into {done.made:,} ({done.rows:,} rows, {sizes})." if done.merged else "Nothing to merge."
    )
    if done.repeated:
        click.echo(f"Left out {done.repeated:,} rows that another collector has too.")
    if done.problems:
        raise SystemExit(1)
