"""`xtrader _metrics`: makes the page of the documentation that lists all metrics."""

from __future__ import annotations

import click


@click.command("_metrics", hidden=True)
def metrics() -> None:
    """Print docs/metrics.md."""
    from xtrader.ops.metrics import page

    click.echo(page(), nl=False)
