"""`xtrader repair`: saves what can be saved of a damaged recording, and says what cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from xtrader.cli.places import find_place, recorded, require_local, require_recording


@click.command()
@recorded
def repair(directory: str) -> None:
    """Make lists again, set broken files aside, finish a journal that was left. Exit code 1: something is lost for good."""
    from xtrader.clock import SystemClock
    from xtrader.pipeline.rotation import Rotation
    from xtrader.settings.directories import collector_id
    from xtrader.sinks.parquet.sink import ParquetSink
    from xtrader.store.mend.finish_journal import finish_journal, is_left
    from xtrader.store.mend.repair import repair as mend
    from xtrader.store.prove.recording_files import RecordingFiles

    place = find_place(directory)
    require_local(place.where, "repair")
    settings, root = place.settings, Path(place.where)
    journals = [path for path in _journals(settings.journal_directory) if is_left(path, ParquetSink.name)]
    if not journals:
        require_recording(RecordingFiles(root, place.journal), place)
    repaired = mend(root)
    for sentence in repaired.done:
        click.echo(sentence)
    refused = 0
    for journal in journals:
        collector = collector_id(replace(settings, journal_directory=journal, collector=None))
        rotation = Rotation(settings.rotate_seconds, settings.rotate_bytes)
        end = finish_journal(journal, collector, ParquetSink(root, collector), rotation, SystemClock())
        click.echo(f"{journal} was finished: {end.rows:,} rows in {end.parts:,} parts, {end.damaged:,} bytes of it damaged.")
        refused += end.refused
        if end.refused:
            where = journal / f"{ParquetSink.name}-refused.jsonl"
            click.echo(f"lost: {end.refused:,} records that no file can hold; they are in {where}", err=True)
    for sentence in repaired.lost:
        click.echo(f"lost: {sentence}", err=True)
    if not repaired.done and not journals:
        click.echo("Nothing to repair.")
    if repaired.lost or refused:
        raise SystemExit(1)


def _journals(directory: Path) -> list[Path]:
    """The journal, and those of several recording processes below it."""
    below = sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
    return [directory, *below]
