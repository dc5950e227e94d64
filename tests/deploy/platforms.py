"""What a platform would give to a recorder: each reads its rendered files by that platform's own program or rules."""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.deploy import tools
from tests.needs import missing

Environment = dict[str, str]
UNIT = tools.ROOT / "deploy" / "systemd" / "xtrader@.service"


class Loader(yaml.SafeLoader):
    """As Kubernetes reads YAML: a lone = is a text, and not the merge key's odd sister of YAML 1.1."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:value"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def objects(text: str) -> list[dict[str, Any]]:
    """The objects of a stream of YAML documents."""
    return [one for one in yaml.load_all(text, Loader) if one]


def of_systemd(directory: Path, name: str) -> Environment:
    """What the unit sets, then the environment file by systemd's own reader, which wins."""
    if not UNIT.exists():
        missing(f"there is no {UNIT}")
    found = {}
    for line in re.findall(r"^Environment=(.*)$", UNIT.read_text(), re.MULTILINE):
        for word in line.replace("%i", name).split():
            key, _, value = word.partition("=")
            found[key] = value
    texts = ctypes.POINTER(ctypes.c_char_p)()
    library = tools.systemd()
    assert library.load_env_file(None, str(directory / "etc/xtrader" / f"{name}.env").encode(), ctypes.byref(texts)) == 0
    index = 0
    while (assignment := texts[index]) is not None:
        assert library.env_assignment_is_valid(assignment)
        key, _, value = assignment.decode().partition("=")
        found[key] = value
        index += 1
    return found


def of_compose(directory: Path, name: str) -> Environment:
    """As Compose itself understands its file."""
    document = json.loads(tools.run("docker", "compose", "-f", directory / "compose.yml", "config", "--format", "json"))
    service = document["services"][f"xtrader-{name}"]
    # What it prints is a file for itself again, with every $ doubled.
    return {key: value.replace("$$", "$") for key, value in service["environment"].items()}


def of_kubernetes(directory: Path, name: str) -> Environment:
    """The ConfigMap of which the pod has all its variables."""
    found = kustomized(directory, name)
    (config,) = (one for one in found if one["kind"] == "ConfigMap")
    (workload,) = (one for one in found if one["kind"] in ("Deployment", "StatefulSet"))
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
    assert "env" not in container
    data: Environment = config["data"]
    return data


def kustomized(directory: Path, name: str) -> list[dict[str, Any]]:
    """The objects of an instance, as kubectl would apply them."""
    return objects(tools.run("kubectl", "kustomize", directory / "overlays" / name))


def of_ecs(directory: Path, name: str) -> Environment:
    """The task definition's variables; its secrets are variables too."""
    template = json.loads((directory / f"{name}.json").read_text())
    (container,) = template["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    secrets = {one["Name"]: "from a store" for one in container.get("Secrets", ())}
    plain = {one["Name"]: one["Value"] for one in container["Environment"]}
    assert not plain.keys() & secrets.keys()
    assert plain.pop("TMPDIR") == "/data"
    return plain | secrets


def of_nomad(directory: Path, name: str) -> Environment:
    """The job's `env` block, by the reader of HCL that Terraform has; there it is an object of the same words."""
    text = (directory / f"xtrader-{name}.nomad.hcl").read_text()
    (block,) = re.findall(r"^ +env (\{\n.*?^      \})$", text, re.MULTILINE | re.DOTALL)
    scratch = directory / f"hcl-{name}"
    scratch.mkdir()
    (scratch / "main.tf").write_text(f'output "env" {{\n  value = {block}\n}}\n')
    tools.run("terraform", "apply", "-auto-approve", "-input=false", cwd=scratch)
    found: Environment = json.loads(tools.run("terraform", "output", "-json", "env", cwd=scratch))
    return {key: re.sub("^/secrets/", "/run/secrets/", value) for key, value in found.items()}


READERS: dict[str, Callable[[Path, str], Environment]] = {
    "systemd": of_systemd,
    "compose": of_compose,
    "k8s": of_kubernetes,
    "ecs": of_ecs,
    "nomad": of_nomad,
}
ROOTS = {
    "systemd": {
        "127.0.0.1:9090$": "0.0.0.0:9090",
        "/var/lib/xtrader/{name}": "/data",
        "/var/cache/xtrader/{name}": "/data/.cache/xtrader",
    },
    "nomad": {"/alloc/data": "/data"},
}
"""Where /data is elsewhere, and where a recorder answers that has no network of its own."""


def moved(target: str, name: str, value: object) -> object:
    """A setting's value with the platform's places called by those of a container."""
    for root, place in ROOTS.get(target, {}).items():
        if isinstance(value, str):
            value = re.sub("^" + root.format(name=name), place, value)
    return value


def require(target: str) -> None:
    """Skip where a platform's program is missing; fail in CI."""
    if target == "systemd":
        tools.systemd()
    elif target == "compose":
        tools.compose()
    elif target in ("k8s", "nomad"):
        tools.needed({"k8s": "kubectl", "nomad": "terraform"}[target])
