"""A roll where the platform itself runs old and new side by side: Kubernetes and ECS.

The rule: what they are told is another image; that the new recorder must be ready for 30 s first is in what `deploy render` made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from xtrader.deploy.roll import Roll, RollStep, ask
from xtrader.errors import ConfigError


def kubernetes(name: str, image: str | None, within: float, namespace: str, question: Callable[[Sequence[str]], str] = ask) -> Roll:
    """The roll of a Deployment; without an image back to what it had before. Raises ConfigError."""
    kubectl = ("kubectl", "-n", namespace)
    what = f"deployment/xtrader-{name}"
    if not question([*kubectl, "get", what, "--output", "name"]):
        stays = question([*kubectl, "get", f"statefulset/xtrader-{name}", "--output", "name"])
        why = (
            "it is a StatefulSet, which keeps its files on a volume that only one recorder can have"
            if stays
            else "kubectl finds none"
        )
        raise ConfigError(f"{what} in the namespace {namespace} cannot be rolled: {why}")
    wait = (*kubectl, "rollout", "status", what, f"--timeout={within:g}s")
    back = (*kubectl, "rollout", "undo", what)
    change = back if image is None else (*kubectl, "set", "image", what, f"xtrader={image}")
    return Roll(
        old=f"the pod of {what}",
        new=f"the new pod of {what}",
        start=(
            RollStep("go back to the version before" if image is None else f"give it the image {image}", change),
            RollStep("wait until the new pod is ready and the old one has ended", wait),
        ),
        undo=(RollStep("take the image back", back), RollStep("wait for that", wait)),
        switch=(),
    )


def ecs(name: str, image: str | None, question: Callable[[Sequence[str]], str] = ask) -> Roll:
    """The roll of an instance's stack, which CloudFormation and the service's circuit breaker undo by themselves. Raises
    ConfigError."""
    if image is None:
        raise ConfigError("--back needs to be told the image on ECS: name it with --to")
    stack = f"xtrader-{name}"
    query = ["aws", "cloudformation", "describe-stacks", "--stack-name", stack, "--query", "Stacks[0].Parameters"]
    answer = question([*query, "--output", "json"])
    try:
        keys = sorted(one["ParameterKey"] for one in json.loads(answer))
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f"there is no stack '{stack}' that this account may see; make it with: xtrader deploy render") from None
    kept = [f"ParameterKey={key},UsePreviousValue=true" for key in keys if key != "Image"]
    update = ("aws", "cloudformation", "update-stack", "--stack-name", stack, "--use-previous-template")
    rights = ("--capabilities", "CAPABILITY_IAM", "--parameters", f"ParameterKey=Image,ParameterValue={image}", *kept)
    wait = ("aws", "cloudformation", "wait")
    return Roll(
        old=f"the task of {stack}",
        new=f"the new task of {stack}",
        start=(
            RollStep(f"give it the image {image}", (*update, *rights)),
            RollStep(
                "wait until the new task is healthy and the old one has ended",
                (*wait, "stack-update-complete", "--stack-name", stack),
            ),
        ),
        undo=(RollStep("wait until CloudFormation has taken it back", (*wait, "stack-rollback-complete", "--stack-name", stack)),),
        switch=(),
    )
