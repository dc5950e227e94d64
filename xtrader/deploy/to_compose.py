"""Compose: one file with a hardened service for each instance, its values inline, its secrets as files.

Rule: nothing is taken from the shell or a `.env` beside it, so that the same file means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from xtrader.deploy import quoting
from xtrader.deploy.instance import DATA, Instance
from xtrader.deploy.rendered import Rendered
from xtrader.deploy.workload import HEALTH, PROCESSES, SECRETS, STOP_SECONDS, USER, Image, needs


def render(instances: Sequence[Instance], image: Image) -> Rendered:
    """compose.yml. Raises ConfigError."""
    services = {f"xtrader-{one.name}": _service(one, image) for one in instances}
    document: dict[str, object] = {"name": "xtrader", "services": services}
    document["volumes"] = {f"data-{one.name}": {} for one in instances}
    secrets = {f"{one.name}-{name}": {"file": f"./secrets/{one.name}/{name}"} for one in instances for name in one.secrets}
    if secrets:
        document["secrets"] = secrets
    made = Rendered(
        {
            "compose.yml": "# Made by xtrader deploy render: change the instances' files, and render again.\n"
            + quoting.yaml(document)
        }
    )
    for one in instances:
        for name in one.secrets:
            made.todo.append(f"install -D -m 0400 -o {USER} -g {USER} FILE secrets/{one.name}/{name}    # beside compose.yml")
    made.todo.append("docker compose -f compose.yml up -d")
    return made


def _service(one: Instance, image: Image) -> dict[str, object]:
    needed = needs(one)
    values = quoting.quoted(one, one.environment(secrets=SECRETS), "Compose", quoting.compose)
    service: dict[str, object] = {
        "image": str(image),
        "restart": "always",
        "stop_grace_period": f"{STOP_SECONDS}s",
        "user": f"{USER}:{USER}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp:mode=1777,size=64m"],  # noqa: S108
        "volumes": [f"data-{one.name}:{DATA}"],
        "mem_limit": f"{needed.memory_most}m",
        "pids_limit": PROCESSES,
        "healthcheck": {"test": ["CMD", *HEALTH], "interval": "30s", "timeout": "10s", "retries": 3, "start_period": "60s"},
        "logging": {"driver": "json-file", "options": {"max-size": "50m", "max-file": "5"}},
        "environment": values,
    }
    if one.secrets:
        service["secrets"] = [{"source": f"{one.name}-{name}", "target": f"{SECRETS}/{name}"} for name in one.secrets]
    return service
