"""A roll with Compose: an instance has two services, its own and one named …-next, of which one runs.

The rule: a file beside compose.yml, `xtrader-roll-NAME.yml`, says which image each has and which one stands by; whoever starts all
of the project gives Compose both files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from xtrader.deploy.roll import Roll, RollStep, ask, restore
from xtrader.errors import ConfigError

NEXT = "-next"
STANDBY = "standby"
"""The profile of a service that does not run."""
JOURNAL = "/data/.journal-next"
NO_PORTS = "!reset []"
"""Two services cannot publish the same one; a tag of Compose's, which JSON has not."""


def plan(
    name: str,
    image: str | None,
    ready: float,
    within: float,
    file: Path,
    program: Sequence[str],
    question: Callable[[Sequence[str]], str] = ask,
) -> Roll:
    """The roll of an instance of a Compose file to an image; None: back to what the other service had. `program` is Compose's, such
    as `docker compose`. Raises ConfigError."""
    if not file.is_file():
        raise ConfigError(f"there is no '{file}': name the Compose file with --file")
    own = file.with_name(f"xtrader-roll-{name}.yml")
    plain = (*program, "-f", str(file))
    services = question([*plain, "config", "--services"]).split()
    service = next((one for one in (f"xtrader-{name}", name) if one in services), None)
    if service is None:
        raise ConfigError(
            f"'{file}' has no service xtrader-{name} or {name}; it has {', '.join(services) or 'none that can be read'}"
        )
    both = (*plain, "-f", str(own))
    places = (service, service + NEXT)
    running = set(question([*(both if own.is_file() else plain), "ps", "--services", "--status", "running"]).split())
    found = [one for one in places if one in running]
    if len(found) != 1:
        state = "neither" if not found else "each"
        raise ConfigError(f"{state} of {service} and {service}{NEXT} runs; exactly one must: {' '.join(both)} up or stop one")
    (old,) = found
    (new,) = set(places) - {old}
    images = _images(own)
    if image is None and new not in images and new != service:
        raise ConfigError(f"there is nothing to go back to: {new} never ran")
    if image is not None:
        images[new] = image
    undo = restore(own)
    return Roll(
        old=old,
        new=new,
        start=(
            RollStep(f"give {new} its image", file=own, text=_text(file, service, images, places)),
            RollStep(f"start {new} beside {old}", (*both, "up", "--detach", "--no-deps", new)),
            RollStep(
                f"wait until {new} has been ready for {ready:g} s",
                (*both, "exec", "-T", new, "xtrader", "status"),
                steady=ready,
                within=within,
            ),
        ),
        undo=(RollStep(f"stop {new}", (*both, "rm", "--stop", "--force", new)), undo),
        log=(*both, "logs", "--no-log-prefix", "--tail=3", new),
        switch=(
            RollStep(f"stop {old}, which finishes its files", (*both, "stop", old)),
            RollStep(f"remove {old}, which must not come back with the machine", (*both, "rm", "--force", old)),
            RollStep(f"let {old} stand by", file=own, text=_text(file, service, images, (new,))),
        ),
    )


def _images(own: Path) -> dict[str, str]:
    if not own.is_file():
        return {}
    try:
        services = json.loads(own.read_text(encoding="utf-8").replace(NO_PORTS, "[]"))["services"]
        return {str(one): str(found["image"]) for one, found in services.items() if "image" in found}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"'{own}' is not what xtrader roll wrote; remove it if no {NEXT} service runs") from None


def _text(file: Path, service: str, images: dict[str, str], running: Collection[str]) -> str:
    services: dict[str, Any] = {
        service: {},
        service + NEXT: {
            "extends": {"file": file.name, "service": service},
            "environment": {"XTRADER_JOURNAL_DIRECTORY": JOURNAL},
            "ports": NO_PORTS,
        },
    }
    for one, found in services.items():
        if one in images:
            found["image"] = images[one]
        if one not in running:
            found["profiles"] = [STANDBY]
    return json.dumps({"services": services}, indent=2).replace(f'"{NO_PORTS}"', NO_PORTS) + "\n"
