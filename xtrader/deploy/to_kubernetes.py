"""Kubernetes: kustomize's bases, an overlay for each instance, and the values with which the Helm chart gives the same objects.

Rule: a secret is named, never held: the user makes it, and the pod has it as files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from xtrader.deploy import kubernetes_objects as objects
from xtrader.deploy import quoting
from xtrader.deploy.instance import Instance
from xtrader.deploy.kubernetes_objects import NAME, Object
from xtrader.deploy.rendered import Rendered
from xtrader.deploy.workload import SECRETS, Image, Needs, needs, refuse_fixed_collector
from xtrader.errors import ConfigError

NAMESPACE = "xtrader"
MOST_BYTES = 900_000
CHECKSUM = "xtrader/settings"
"""An annotation of the pod: the SHA-256 of its variables, so that another value makes another pod."""
BASES = {"deployment": objects.deployment, "stateful": objects.stateful_set}
KUSTOMIZATION: Object = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def render(instances: Sequence[Instance], image: Image) -> Rendered:
    """base/*, overlays/NAME/*, values/NAME.yaml and namespace.yaml. Raises ConfigError."""
    made = Rendered({"namespace.yaml": quoting.yaml(namespace())})
    made.files |= {path: text for kind in {_base(one) for one in instances} for path, text in base(kind).items()}
    made.todo.append("kubectl apply -f namespace.yaml")
    for one in instances:
        refuse_fixed_collector(one, "Kubernetes")
        made.files |= _overlay(one, image)
        made.files[f"values/{one.name}.yaml"] = quoting.yaml(values(one, image))
        if one.secrets:
            given = " ".join(f"--from-file={name}=FILE" for name in one.secrets)
            made.todo.append(f"kubectl -n {NAMESPACE} create secret generic {NAME}-{one.name} {given}")
        kind = "deployment" if _base(one) == "deployment" else "statefulset"
        made.todo.append(
            f"kubectl apply -k overlays/{one.name} && kubectl -n {NAMESPACE} rollout status {kind}/{NAME}-{one.name}"
            f"    # or: helm upgrade --install {one.name} deploy/k8s/chart -n {NAMESPACE} -f values/{one.name}.yaml"
        )
    return made


def namespace() -> Object:
    """The namespace, which lets in only pods of the restricted kind."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def base(kind: str) -> dict[str, str]:
    """A base of kustomize by path: `deployment` or `stateful`."""
    documents = "---\n".join(quoting.yaml(one) for one in BASES[kind]())
    kustomization = KUSTOMIZATION | {"resources": ["objects.yaml"]}
    return {f"base/{kind}/objects.yaml": documents, f"base/{kind}/kustomization.yaml": quoting.yaml(kustomization)}


def values(one: Instance, image: Image) -> Object:
    """What the chart is given for an instance."""
    needed = needs(one)
    return {
        "image": {"name": image.name, "tag": image.tag, "digest": image.digest},
        "keepsFiles": one.keeps_files,
        "env": _variables(one),
        "secret": f"{NAME}-{one.name}" if one.secrets else "",
        "storage": {"size": f"{needed.disk // 1024}Gi", "className": ""},
        "resources": _resources(needed),
        "egressPorts": list(one.ports),
        "httpPort": one.answers_at,
    }


def _variables(one: Instance) -> dict[str, str]:
    return quoting.quoted(one, one.environment(secrets=SECRETS), "Kubernetes", quoting.kubernetes)


def _base(one: Instance) -> str:
    return "stateful" if one.keeps_files else "deployment"


def _overlay(one: Instance, image: Image) -> dict[str, str]:
    kind = _base(one)
    found = _variables(one)
    if len("".join(found.values()).encode()) > MOST_BYTES:
        raise ConfigError(f"'{one.file}' is too long for a ConfigMap of Kubernetes; part it into two instances")
    named = {"name": NAME, "newName": image.name} | ({"newTag": image.tag} if image.tag and not image.digest else {})
    kustomization: Object = KUSTOMIZATION | {
        "namespace": NAMESPACE,
        "nameSuffix": f"-{one.name}",
        "labels": [{"pairs": {"app.kubernetes.io/instance": one.name}, "includeSelectors": True}],
        "resources": [f"../../base/{kind}", "settings.yaml"],
        "images": [named | ({"digest": image.digest} if image.digest else {})],
        "patches": [{"path": "workload.yaml"}, {"path": "policy.yaml"}],
    }
    config: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "labels": dict(objects.LABEL)},
        "data": found,
    }
    policy: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME},
        "spec": {"egress": objects.egress(one.ports)} | ({"ingress": objects.ingress(one.answers_at)} if one.answers_at else {}),
    }
    directory = f"overlays/{one.name}"
    return {
        f"{directory}/kustomization.yaml": quoting.yaml(kustomization),
        f"{directory}/settings.yaml": quoting.yaml(config),
        f"{directory}/workload.yaml": quoting.yaml(_workload(one, found)),
        f"{directory}/policy.yaml": quoting.yaml(policy),
    }


def _workload(one: Instance, variables: Mapping[str, str]) -> Object:
    """A strategic merge patch: memory, disk, secrets, and the checksum of the settings."""
    needed = needs(one)
    claim = {"resources": {"requests": {"storage": f"{needed.disk // 1024}Gi"}}}
    container: Object = {"name": NAME, "resources": _resources(needed)}
    if one.answers_at:
        container["ports"] = [{"name": "http", "containerPort": one.answers_at, "protocol": "TCP"}]
    pod: Object = {"containers": [container]}
    volumes: list[Object] = []
    if not one.keeps_files:
        volumes.append({"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}})
    if one.secrets:
        container["volumeMounts"] = [dict(objects.SECRETS_MOUNT)]
        volumes.append({"name": "secrets", "secret": {"secretName": f"{NAME}-{one.name}", "defaultMode": 0o440}})
    if volumes:
        pod["volumes"] = volumes
    template = {"metadata": {"annotations": {CHECKSUM: checksum(variables)}}, "spec": pod}
    spec: Object = {"template": template}
    if one.keeps_files:
        whole = {"accessModes": ["ReadWriteOnce"], **claim}
        spec["volumeClaimTemplates"] = [
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": whole}
        ]
    kind = "StatefulSet" if one.keeps_files else "Deployment"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": NAME}, "spec": spec}


def checksum(variables: Mapping[str, str]) -> str:
    """Of NAME=value lines, sorted by name; the chart makes the same."""
    return hashlib.sha256("".join(f"{name}={variables[name]}\n" for name in sorted(variables)).encode()).hexdigest()


def _resources(needed: Needs) -> Object:
    return {
        "requests": {"cpu": f"{needed.cpu}m", "memory": f"{needed.memory}Mi"},
        "limits": {"cpu": str(needed.cpu_most // 1000), "memory": f"{needed.memory_most}Mi"},
    }
