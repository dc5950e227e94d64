"""`xtrader <sink> ddl`: the statements that make a sink's tables, for people whose database is managed by others."""

from __future__ import annotations

import click

from xtrader import sinks


def group(sink: str) -> click.Group:
    """The command that is called as the sink is, with what can be asked about its tables."""

    @click.group(sink, help=f"Look after the tables of the sink {sink}.")
    def tables() -> None: ...

    @tables.command(help="Print the statements that make the tables, as the settings have them.")
    def ddl() -> None:
        from xtrader.settings.environment import load_process

        for statement in sinks.module(sink).statements(load_process({}).sink_options):
            click.echo(statement + ";\n")

    return tables
