"""`xtrader load DIR --sink questdb`: fills tables from a recording's Parquet files or from a journal, any number of times."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xtrader import sinks
from xtrader.cli.places import find_place, recorded
from xtrader.errors import ConfigError, SinkRetry

if TYPE_CHECKING:
    from xtrader.records.batches import Batch
    from xtrader.sinks.base import Sink
    from xtrader.sinks.refused import RefusedFile
    from xtrader.store.prove.recording_files import RecordingFiles
    from xtrader.store.read.part_list import Part

ROWS = 20_000
"""Rows between two commits."""


@click.command()
@recorded
@click.option("--sink", type=click.Choice(sinks.able("load")), required=True, help="Where rows go.")
def load(directory: str, sink: str) -> None:
    """Deliver a recording (Parquet files) or a journal (DIR/.journal). What is there already stays there once."""
    from xtrader.sinks.refused import RefusedFile
    from xtrader.store.prove.recording_files import recording_files

    place = find_place(directory)
    refused = Path(f"{sink}-refused.jsonl").absolute()
    with tempfile.TemporaryDirectory() as memory, recording_files(place.where) as files:
        arguments = {"memory": str(Path(memory, "state")), "set_aside": str(refused)}
        made = sinks.module(sink).make(arguments, "", place.settings.sink_options)
        aside = RefusedFile(refused, ("offset", "place"))
        aside.load()
        try:
            rows = deliver(found(files, made, aside), made)
        except SinkRetry as error:
            raise click.ClickException(f"{error}; run this again: what is there already stays there once") from None
    count = made.refused + aside.count
    click.echo(f"{rows:,} rows are in the tables" + (f", {count:,} were refused: see {refused}" if count else ""))
    for where, count in made.dropped.items():
        click.echo(f"{count:,} rows are older than {where} keeps: it drops them on arrival", err=True)


def found(files: RecordingFiles, sink: Sink, aside: RefusedFile) -> Iterator[Batch]:
    """The batches of a journal or of Parquet files; what a journal holds that the sink can make no rows of goes `aside`. Raises
    ConfigError where there are none."""
    from xtrader.pipeline.frames import segments

    if not files.root.is_dir():
        raise ConfigError(f"there is no directory '{files.name}'")
    if segments(files.root):
        return _journal(files.root, sink, aside)
    if parts := parts_in_force(files):
        return (batch for _, batch in labelled(files, parts))
    raise ConfigError(f"'{files.name}' holds neither Parquet files of a recording nor a journal")


def deliver(batches: Iterator[Batch], sink: Sink) -> int:
    """Deliver all of it; returns how many rows are proven to be there. Raises SinkRetry."""
    sink.open(0)
    offset = pending = 0
    for batch in batches:
        sink.write(batch)
        pending += max(1, len(batch))
        if pending >= ROWS:
            sink.commit(offset, offset + 1)
            offset, pending = offset + 1, 0
            sink.settle(offset, False)
    sink.commit(offset, offset + 1)
    if sink.settle(offset + 1, True) <= offset and sink.trouble:
        raise SinkRetry(sink.trouble)
    rows = sink.rows - sink.refused - sum(sink.dropped.values())
    sink.close()
    return rows


def parts_in_force(files: RecordingFiles) -> list[tuple[str, Part]]:
    """The parts of a recording, each with its collector, all of a stream and instrument together, in the order of their writing."""
    place = files.part_list()
    listed = place.listed()
    found = [(collector, part) for collector, own in listed.items() for parts in own.parts.values() for part in parts]
    for _, part in found:
        place.check(part.path)
    return sorted(found, key=lambda one: (one[1].stream, one[1].key, one[0], one[1].first_offset))


def labelled(files: RecordingFiles, parts: Iterable[tuple[str, Part]]) -> Iterator[tuple[str, Batch]]:
    """The batches of parts, each with its instrument's key; before those of a part comes a Session that names its collector."""
    from xtrader.records.batches import Session
    from xtrader.sinks.stored import batches

    root = files.part_list().root
    for collector, part in parts:
        path = part.path.removeprefix(f"{root}/")
        yield part.key, Session(0, collector, {}, [])
        with files.here(path):
            yield from ((part.key, batch) for batch in batches(str(files.root / path), part.stream, part.key))


def _journal(directory: Path, sink: Sink, aside: RefusedFile) -> Iterator[Batch]:
    from xtrader.pipeline import codec, poison
    from xtrader.pipeline.frames import Damaged, read_frames
    from xtrader.records.batches import RareBatch, Session, picked
    from xtrader.records.objects import records

    for item in read_frames(directory, 0):
        if isinstance(item, Damaged):
            click.echo(f"xtrader: journal bytes {item.offset} to {item.end} are damaged and left out", err=True)
            continue
        payload = codec.read_payload(item.payload)
        if payload.kind == codec.META:
            meta = codec.read_meta(payload)
            yield Session(payload.time, meta.collector, meta.venues, meta.instruments)
            continue
        try:
            batch = codec.read_batch(payload)
        except poison.UNREADABLE as error:
            aside.add(poison.about_frame(sink.name, item.offset, item.payload, error))
            continue
        if isinstance(batch, RareBatch) and (refused := poison.unfit(sink, batch)):
            # Columns of numbers are in the journal only as a table takes them.
            rows = list(records(batch))
            for place, reason in refused.items():
                aside.add(poison.about_record(sink.name, item.offset, place, rows[place], reason))
            batch = picked(batch, [place for place in range(len(rows)) if place not in refused])
        if batch is not None and not isinstance(batch, Session):
            yield batch
