"""`xtrader _serve`: health, metrics and the page, served by HTTP in a process of its own, started by the recorder."""

from __future__ import annotations

import click


@click.command("_serve", hidden=True)
def serve() -> None:
    """Serve HTTP for a recorder. Started by the recorder, not by people."""
    from xtrader import logs
    from xtrader.ops.http.serve import read_spec
    from xtrader.ops.http.serve import serve as serve_http

    spec = read_spec()
    if spec is None:
        return
    logs.set_up(spec.log_level, (spec.token,) if spec.token else (), log_to=spec.log_to)
    serve_http(spec, logs.set_levels)
