"""`xtrader prune`: takes the oldest parts of a recording away, once they are proven."""

from __future__ import annotations

import os
import time

import click

from xtrader.cli.places import files_at, recorded
from xtrader.cli.progress import bar
from xtrader.errors import ConfigError

SHOWN = 5
"""Reasons why parts stay that are printed."""


@click.command()
@recorded
@click.option("--older-than", metavar="AGE", required=True, help="What to take away, by its last row, such as 90d, 12h.")
@click.option("--uploaded", is_flag=True, help="Only what is in the object store that this directory is uploaded to.")
@click.option("--yes", is_flag=True, help="Do it; otherwise it is only said what would be done.")
@click.option("--workers", type=click.IntRange(1, 512), default=None, help="Processes (default: one for each core).")
def prune(directory: str, older_than: str, uploaded: bool, yes: bool, workers: int | None) -> None:
    """Take away parts that are older than AGE, after proving them; never one that is damaged, or not uploaded where it should be,
    nor what is later than such a one. Coverage and instruments stay. Safe beside a recorder, and to kill at any time. Exit code
    1: some that are old enough stay.
    """
    from xtrader.clock import SECOND
    from xtrader.quantities import seconds
    from xtrader.store.mend.prune import plan, require_old_enough
    from xtrader.store.mend.prune import prune as take_away
    from xtrader.store.read.times import stamp
    from xtrader.venues import rules

    age = seconds(older_than)
    if age is None or age <= 0:
        raise ConfigError(f"--older-than '{older_than}' is no age: give text such as 90d or 12h")
    now = time.time_ns()
    before = now - round(age * SECOND)
    require_old_enough(before, now, 3600 * SECOND)
    with files_at(directory) as files:
        if uploaded and "://" in files.name:
            raise ConfigError(f"--uploaded is about a directory, and {files.name} is an object store")
        with bar("proving") as progress:
            found = plan(files, before, rules, uploaded=uploaded, workers=workers or os.cpu_count() or 1, progress=progress)
        for one in found.keeps[:SHOWN]:
            click.echo(f"xtrader: {one.line.path} {one.why}: it stays, and all that is later", err=True)
        if len(found.keeps) > SHOWN:
            click.echo(f"xtrader: and {len(found.keeps) - SHOWN:,} more", err=True)
        what = f"{len(found.lines):,} parts ({found.bytes / 1e6:,.1f} MB) of before {stamp(found.before)}"
        if yes:
            with bar("removing") as progress:
                take_away(files, found, progress)
            left = f", and {len(found.left):,} that an interrupted run had left" if found.left else ""
            click.echo(f"Removed {what}{left}." if found.lines or found.left else f"Nothing is older than {older_than}.")
        elif found.lines:
            click.echo(f"Would remove {what}. Nothing was removed: say --yes to do it.")
        else:
            click.echo(f"Nothing to remove that is older than {older_than}.")
    if found.keeps:
        raise SystemExit(1)
