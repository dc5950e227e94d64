"""The platforms by name, each with what renders for it."""

from __future__ import annotations

from collections.abc import Mapping

from xtrader.deploy import to_compose, to_ecs, to_kubernetes, to_nomad, to_systemd
from xtrader.deploy.rendered import Target

TARGETS: Mapping[str, Target] = {
    "compose": to_compose.render,
    "ecs": to_ecs.render,
    "k8s": to_kubernetes.render,
    "systemd": to_systemd.render,
    "nomad": to_nomad.render,
}
