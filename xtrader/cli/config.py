"""`xtrader config show`: the settings of a recording here, and where each comes from; of secrets only whether they are set."""

from __future__ import annotations

from typing import Any

import click

from xtrader.cli.options import recording_options


@click.group()
def config() -> None:
    """Say which settings a recording would use."""


@config.command()
@recording_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(as_json: bool, **flags: object) -> None:
    """Print every setting, its value and where it comes from: a flag, the environment, a line of .env or of the
    file that --config names, or the default, in this order.

    Intervals are seconds, sizes bytes. Nothing is recorded, connected or made.
    """
    import msgspec

    from xtrader.settings.effective import effective
    from xtrader.settings.environment import process_sources

    settings, found = effective(process_sources(flags))
    if as_json:
        said = {"settings": {one.name: _described(one) for one in found}, "warnings": settings.warnings}
        click.echo(msgspec.json.format(msgspec.json.encode(said)))
        return
    rows = [(one.name, _text(one), one.source + (f" ({one.variable})" if one.variable else "")) for one in found]
    name, value = (max(len(row[column]) for row in rows) for column in (0, 1))
    for row in rows:
        click.echo(f"{row[0]:{name}}  {row[1]:{min(value, 40)}}  {row[2]}")
    for warning in settings.warnings:
        click.echo(f"xtrader: {warning}", err=True)


def _described(one: Any) -> dict[str, object]:
    said: dict[str, object] = {"set": one.is_set} if one.secret else {"value": one.value}
    return said | {"source": one.source} | ({"variable": one.variable} if one.variable else {})


def _text(one: Any) -> str:
    if one.secret:
        return "(set)" if one.is_set else "(not set)"
    if one.value is None or one.value == "":
        return "-"
    return str(one.value).lower() if isinstance(one.value, bool) else " ".join(str(one.value).split())
