"""What venues and sinks have against their own variables, those that are not used today included.

Rule: a value that cannot be used is told at the start, and not on the day on which somebody needs it. What is not given is not
looked at, so no module is imported for it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

from xtrader import sinks, venues
from xtrader.errors import ConfigError

if TYPE_CHECKING:
    from xtrader.settings.load import Settings, Sources
    from xtrader.sinks.base import SinkRun


def sink_run(settings: Settings) -> SinkRun:
    """What the sinks may know of a run."""
    from xtrader.sinks.base import SinkRun

    upload = settings.upload
    return SinkRun(
        journal=settings.journal_directory,
        output=settings.output_directory,
        upload="" if upload is None else upload.url,
        keep_local=upload is None or upload.keep_local,
        rotate_seconds=settings.rotate_seconds,
        rotate_bytes=settings.rotate_bytes,
        options=settings.sink_options,
    )


def check_options(sources: Sources, settings: Settings) -> None:
    """Raise ConfigError, which says where it was given, for a variable of a venue or a sink that cannot be used."""
    try:
        for exchange in _given_exchanges(settings):
            venues.market(exchange, settings.venue_options)
        for name in _given_sinks(settings):
            sinks.module(name).spec(sink_run(settings))
    except ConfigError as error:
        raise ConfigError(_placed(sources, str(error))) from None


def _given_exchanges(settings: Settings) -> Iterator[str]:
    """Those of which an option is given, if their module can be imported."""
    for exchange, module in venues.exchanges().items():
        own = {*venues.variables_of(module), f"XTRADER_{exchange}_WS_URL", f"XTRADER_{exchange}_REST_URL"}
        if own & set(settings.venue_options) and importlib.util.find_spec(module) is not None and _is_sound(exchange):
            yield exchange


def _is_sound(exchange: str) -> bool:
    try:
        venues.module(exchange)
    except ConfigError:
        return False
    return True


def _given_sinks(settings: Settings) -> Iterator[str]:
    for name in sinks.names():
        if set(sinks.variables_of(name)) & set(settings.sink_options):
            try:
                sinks.module(name)
            except ConfigError:
                continue
            yield name


def _placed(sources: Sources, sentence: str) -> str:
    """The sentence, with where the variable was given that it begins with."""
    word, space, rest = sentence.partition(" ")
    name = word.rstrip(":,")
    given = next((layer for layer in sources.layers if layer.texts.get(name)), None)
    return sentence if given is None or given.file is None else f"{name}{given.place(name)}{word[len(name) :]}{space}{rest}"
