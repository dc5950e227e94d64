"""`xtrader questdb ddl`: the statements that make the tables, for people whose database is managed by others."""

from __future__ import annotations

import click

from xtrader.config import load_process
from xtrader.sinks.questdb.conf import target
from xtrader.sinks.questdb.tables import COLUMNS, create
from xtrader.venues import exchanges


@click.group()
def questdb() -> None:
    """Look after the QuestDB sink's tables."""


@questdb.command()
def ddl() -> None:
    """Print the statements that make the tables. The prefix comes from QUESTDB_TABLE_PREFIX."""
    prefix = target(load_process({}, exchanges()).questdb_options).prefix
    for table in COLUMNS:
        click.echo(create(table, prefix) + ";\n")
