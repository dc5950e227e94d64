"""The Kubernetes objects of a recorder that has no instance yet: what all instances share, as kustomize's bases.

Rule: a Deployment where old and new may run side by side; a StatefulSet where recorded files stay on a volume that one recorder at
a time can have.
"""

from __future__ import annotations

from xtrader.deploy.instance import DATA
from xtrader.deploy.workload import HEALTH, READY, READY_SECONDS, SECRETS, STOP_SECONDS, USER

NAME = "xtrader"
LABEL = {"app.kubernetes.io/name": NAME}
Object = dict[str, object]


def deployment() -> list[Object]:
    """For databases and object stores: the journal is on a volume that lives as long as the pod."""
    pod = _pod()
    pod["volumes"] = [
        {"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": _claim()}}},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    ]
    spec: Object = {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "minReadySeconds": READY_SECONDS,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": dict(LABEL)},
        "template": {"metadata": {"labels": dict(LABEL)}, "spec": pod},
    }
    budget: Object = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(),
        "spec": {"minAvailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": dict(LABEL)}},
    }
    workload: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(), "spec": spec}
    return [_account(), workload, budget, _policy()]


def stateful_set() -> list[Object]:
    """For files on a volume: one pod, which ends before the next begins."""
    pod = _pod()
    pod["volumes"] = [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}]
    spec: Object = {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "minReadySeconds": READY_SECONDS,
        "serviceName": NAME,
        "selector": {"matchLabels": dict(LABEL)},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "template": {"metadata": {"labels": dict(LABEL)}, "spec": pod},
        "volumeClaimTemplates": [
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": _claim()}
        ],
    }
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(),
        "spec": {"clusterIP": "None", "selector": dict(LABEL)},
    }
    workload: Object = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": _metadata(), "spec": spec}
    return [_account(), service, workload, _policy()]


def egress(ports: tuple[int, ...]) -> list[Object]:
    """Names anywhere, and what the recorder calls by TCP."""
    names = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return [{"ports": names}, {"ports": [{"protocol": "TCP", "port": port} for port in ports]}]


def ingress(port: int) -> list[Object]:
    """Whoever in the cluster asks how it is; nobody (0) where it answers only itself."""
    return [{"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": port}]}] if port else []


def _metadata() -> Object:
    return {"name": NAME, "labels": dict(LABEL)}


def _account() -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(), "automountServiceAccountToken": False}


def _policy() -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(),
        "spec": {
            "podSelector": {"matchLabels": dict(LABEL)},
            "policyTypes": ["Ingress", "Egress"],
            "egress": egress((443,)),
        },
    }


def _claim() -> Object:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "34Gi"}}}


def _pod() -> Object:
    alive = {"exec": {"command": list(HEALTH)}, "timeoutSeconds": 10}
    ready = {"exec": {"command": list(READY)}, "timeoutSeconds": 10}
    container: Object = {
        "name": NAME,
        "image": NAME,
        "imagePullPolicy": "IfNotPresent",
        "envFrom": [{"configMapRef": {"name": NAME}}],
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "startupProbe": {**alive, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**ready, "periodSeconds": 15, "failureThreshold": 3},
        "livenessProbe": {**alive, "periodSeconds": 60, "failureThreshold": 10},
        "volumeMounts": [{"name": "data", "mountPath": DATA}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": [NAME]}]},
    }
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [spread],
        "containers": [container],
    }


SECRETS_MOUNT = {"name": "secrets", "mountPath": SECRETS, "readOnly": True}
