"""`xtrader deploy`: new instances, their files for each platform, and whether those files are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from xtrader.errors import ConfigError

TARGETS = ("compose", "k8s", "ecs", "systemd", "nomad")


@click.group()
def deploy() -> None:
    """Make the files with which platforms run recorders: one image, one .env for each instance."""


@deploy.command()
@click.argument("name")
@click.option("--subscriptions", metavar="LIST", required=True, help="STREAM:EXCHANGE@INSTRUMENT, comma separated.")
@click.option("--sink", metavar="NAME", help="Where rows go, as for recording.")
@click.option("--set", "settings", metavar="VARIABLE=VALUE", multiple=True, help="Any further setting; may be repeated.")
@click.option("--directory", metavar="DIR", default="instances", show_default=True, help="Where instances are kept.")
def new(name: str, subscriptions: str, sink: str | None, settings: tuple[str, ...], directory: str) -> None:
    """Make the instance NAME: a file DIR/NAME.env, checked as the recorder would check it."""
    from xtrader.deploy.made import make_instance

    given = {"SUBSCRIPTIONS": subscriptions} | ({"XTRADER_SINK": sink} if sink else {})
    for text in settings:
        variable, equals, value = text.partition("=")
        if not equals or not variable:
            raise ConfigError(f"--set '{text}' is not VARIABLE=VALUE")
        given[variable] = value
    one = make_instance(Path(directory), name, given)
    kept = "files stay on its volume" if one.keeps_files else "old and new may run side by side"
    count = len(one.subscriptions)
    what = f"{count} subscription{'s' if count > 1 else ''} into {', '.join(one.settings.sinks)}"
    click.echo(f"{one.file}: {what}; {kept}")


@deploy.command()
@click.option("--target", type=click.Choice(TARGETS), required=True, help="The platform.")
@click.option("--image", "reference", metavar="REF", required=True, help="The image, best by digest: registry/xtrader@sha256:….")
@click.option("--output", metavar="DIR", required=True, help="Where the files go; existing ones of these names are replaced.")
@click.argument("instances", metavar="INSTANCE.env…", nargs=-1, required=True)
def render(target: str, reference: str, output: str, instances: Sequence[str]) -> None:
    """Make the files of a platform for instances, all with the same effective settings."""
    from xtrader.deploy.instance import read_instances
    from xtrader.deploy.made import write
    from xtrader.deploy.targets import TARGETS as RENDER
    from xtrader.deploy.workload import image

    chosen = image(reference)
    made = RENDER[target](read_instances([Path(one) for one in instances]), chosen)
    for path in write(Path(output), made.files):
        click.echo(path)
    if not chosen.digest:
        click.echo(f"xtrader: '{reference}' is a tag, which may move; name the image by its digest", err=True)
    click.echo("\nThen:\n" + "\n".join(f"  {one}" for one in made.todo), err=True)


@deploy.command()
@click.argument("directory", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def check(directory: str, as_json: bool) -> None:
    """Judge every file below DIR by its own validator, as far as it is installed here.

    Exit code 1: one of them found something. Those that are not installed are named, and fail nothing.
    """
    import msgspec

    from xtrader.deploy.checks import ABSENT, FAILED, PASSED
    from xtrader.deploy.checks import check as verdicts

    if not Path(directory).is_dir():
        raise ConfigError(f"'{directory}' is not a directory")
    found = []
    for one in verdicts(Path(directory)):
        found.append(one)
        if not as_json:
            said = f"\n{one.said}" if one.state == FAILED else f": {one.said}" if one.said else ""
            click.echo(f"{one.state:14}{one.path}  {one.validator}{said}")
    if not found:
        raise ConfigError(f"'{directory}' holds nothing that a validator is known for; make files with: xtrader deploy render")
    if as_json:
        rows = [{"path": str(one.path), "validator": one.validator, "state": one.state, "said": one.said} for one in found]
        click.echo(msgspec.json.format(msgspec.json.encode(rows)))
    counts = {state: sum(one.state == state for one in found) for state in (PASSED, FAILED, ABSENT)}
    click.echo(", ".join(f"{count} {state}" for state, count in counts.items()), err=True)
    if counts[FAILED]:
        click.get_current_context().exit(1)
