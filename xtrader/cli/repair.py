"""`xtrader repair`: saves what can be saved of a damaged recording, and says what cannot."""

from __future__ import annotations

from pathlib import Path

import click

from xtrader.cli.verify import require_recording


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
def repair(directory: Path) -> None:
    """Make lists again, set broken files aside, finish a journal that was left. Exit code 1: something is lost for good."""
    from xtrader import logs
    from xtrader.clock import SystemClock
    from xtrader.config import collector_id, load_process
    from xtrader.pipeline.rotation import Rotation
    from xtrader.sinks.parquet import ParquetSink
    from xtrader.store.leftover import finish_journal, is_left
    from xtrader.store.repair import repair as mend
    from xtrader.venues import exchanges

    settings = load_process({"output_directory": str(directory)}, exchanges())
    logs.set_up(settings.log_level, settings.secrets, settings.warnings)
    has_journal = is_left(settings.journal_directory, ParquetSink.name)
    if not has_journal:
        require_recording(directory)
    repaired = mend(directory)
    for sentence in repaired.done:
        click.echo(sentence)
    if has_journal:
        collector = collector_id(settings)
        rotation = Rotation(settings.rotate_seconds, settings.rotate_bytes)
        end = finish_journal(settings.journal_directory, collector, ParquetSink(directory, collector), rotation, SystemClock())
        click.echo(f"The journal was finished: {end.rows:,} rows in {end.parts:,} parts, {end.damaged:,} bytes of it damaged.")
    for sentence in repaired.lost:
        click.echo(f"lost: {sentence}", err=True)
    if not repaired.done and not has_journal:
        click.echo("Nothing to repair.")
    if repaired.lost:
        raise SystemExit(1)
