"""`xtrader roll`: another version of a recorder without a gap."""

from __future__ import annotations

import shlex
import signal
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from xtrader.errors import ConfigError

if TYPE_CHECKING:
    from xtrader.deploy.roll import Roll

PLATFORMS = ("systemd", "compose", "k8s", "ecs")


@click.command()
@click.argument("names", metavar="INSTANCE…", nargs=-1, required=True)
@click.option(
    "--to", "version", metavar="IMAGE|VERSION", help="The image, or under systemd the version: that of /opt/xtrader-VERSION."
)
@click.option("--back", is_flag=True, help="To what ran before.")
@click.option("--platform", type=click.Choice(PLATFORMS), default="systemd", show_default=True, help="Where it runs.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--ready", type=click.FloatRange(min=0.1), default=30, show_default=True, metavar="SECONDS", help="Ready for so long."
)
@click.option(
    "--within", type=click.FloatRange(min=1), default=600, show_default=True, metavar="SECONDS", help="Else it is undone."
)
@click.option("--stagger", type=click.FloatRange(min=0), default=0, metavar="SECONDS", help="Between two instances.")
@click.option("--file", "file", default="compose.yml", show_default=True, metavar="FILE", help="The Compose file.")
@click.option("--compose", default="docker compose", show_default=True, metavar="PROGRAM", help="Compose's program.")
@click.option("--namespace", default="xtrader", show_default=True, help="Of Kubernetes.")
def roll(
    names: tuple[str, ...],
    version: str | None,
    back: bool,
    platform: str,
    dry_run: bool,
    ready: float,
    within: float,
    stagger: float,
    file: str,
    compose: str,
    namespace: str,
) -> None:
    """Change the version of instances, one after the other: the new recorder starts beside the old one, and the old one is told to
    stop when the new one has been ready for some time.

    A new one that does not get ready is removed again, and the old one was never stopped (exit code 1). An instance that fails ends
    the row.
    """
    from xtrader.deploy.instance import instance_name
    from xtrader.deploy.roll import perform

    if back == (version is not None):
        raise ConfigError("say where to: either --to IMAGE|VERSION or --back")

    def plan(name: str) -> Roll:
        from xtrader.deploy import roll_cluster, roll_compose, roll_systemd
        from xtrader.deploy.workload import image

        wanted = str(image(version, "--to")) if version is not None and platform != "systemd" else version
        match platform:
            case "systemd":
                return roll_systemd.plan(name, wanted, ready, within)
            case "compose":
                return roll_compose.plan(name, wanted, ready, within, Path(file), shlex.split(compose))
            case "k8s":
                return roll_cluster.kubernetes(name, wanted, within, namespace)
            case _:
                return roll_cluster.ecs(name, wanted)

    for name in names:
        instance_name(name, "the name")
    signal.signal(signal.SIGTERM, _interrupt)
    for number, name in enumerate(names):
        made = plan(name)
        if dry_run:
            _print(name, made)
            continue
        if number:
            time.sleep(stagger)
        perform(made, lambda says, name=name: click.echo(f"{name}: {says}"))  # type: ignore[misc]
        click.echo(f"{name}: {made.new} records")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _print(name: str, made: Roll) -> None:
    click.echo(f"# {name}: {made.new} beside {made.old}")
    for title, steps in (("", made.start), ("# then", made.switch), ("# if it does not get ready", made.undo)):
        if title and steps:
            click.echo(title)
        for step in steps:
            click.echo(f"{step}")
