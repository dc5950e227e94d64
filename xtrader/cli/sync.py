"""`xtrader sync`: brings a recording, or a range of it, from an object store into a directory, and proves it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from xtrader.cli.looking import time_range
from xtrader.cli.places import files_at
from xtrader.cli.progress import bar
from xtrader.cli.verify import print_report
from xtrader.errors import ConfigError


@click.command()
@click.argument("url", metavar="URL")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--from", "start", metavar="TIME", help="Only what was received from this time on, such as 2026-11-21T12:00:00Z.")
@click.option("--to", "end", metavar="TIME", help="Only what was received before this time.")
@click.option("--workers", type=click.IntRange(1, 512), default=None, help="Processes (default: one for each core).")
def sync(url: str, directory: Path, start: str | None, end: str | None, workers: int | None) -> None:
    """Bring a recording, or a range of it, from an object store into DIR, and prove it. Run again, it goes on where it was, or
    brings what is new. Whole files come, so a range is a little more than was asked for. Exit codes as of `verify`.
    """
    from xtrader.clock import FOREVER
    from xtrader.sinks.bounds import Bounds
    from xtrader.store.mend.sync import sync as bring
    from xtrader.store.prove.recording_files import BucketFiles, RecordingFiles
    from xtrader.store.prove.verify import verify
    from xtrader.venues import rules

    begin, until = time_range(start, end)
    if "://" not in url:
        raise ConfigError(f"'{url}' is no URL of an object store such as s3://bucket/prefix: a directory is copied by `cp -a`")
    with files_at(url) as files, bar("fetching") as progress:
        if not isinstance(files, BucketFiles):
            raise ConfigError(f"'{url}' is no URL of an object store")
        brought = bring(files, directory, Bounds(begin or 0, FOREVER if until is None else until), progress)
    removed = f", {brought.removed:,} that the store has merged were removed" if brought.removed else ""
    files_brought = f"{brought.fetched:,} files ({brought.bytes / 1e6:,.1f} MB)"
    click.echo(f"{files_brought} were brought to {directory}, {brought.there:,} were there{removed}")
    with bar("verifying") as progress:
        report = verify(RecordingFiles(directory), rules, workers or os.cpu_count() or 1, progress)
    print_report(report)
    sys.exit(report.exit_code)
