"""The files of the platforms: what they hold, that the chart and kustomize agree, and what each platform's validator says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest

from tests.deploy import platforms, tools
from tests.deploy.tools import REFERENCE, ROOT
from xtrader.cli.main import main
from xtrader.deploy.checks import ABSENT, FAILED, VALIDATORS, Validator
from xtrader.deploy.checks import check as verdicts
from xtrader.deploy.instance import read_instances
from xtrader.deploy.targets import TARGETS
from xtrader.deploy.workload import FARGATE, STOP_SECONDS, image

FILES = sorted((ROOT / "deploy" / "instances").glob("*.env"))
STAND_IN = f"registry.example/xtrader@sha256:{'0' * 64}"
CHART = ROOT / "deploy" / "k8s" / "chart"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("rendered")
    for target in TARGETS:
        arguments = ["--target", target, "--image", REFERENCE, "--output", str(directory / target), *map(str, FILES)]
        assert main(["deploy", "render", *arguments]) == 0
    return directory


@pytest.mark.parametrize("target", ["k8s", "ecs", "nomad"])
def test_the_examples_are_what_is_made_of_the_instances(target: str) -> None:
    made = TARGETS[target](read_instances(FILES), image(STAND_IN)).files
    there = {str(path.relative_to(ROOT / "deploy" / target)) for path in (ROOT / "deploy" / target).rglob("*") if path.is_file()}
    assert {path for path in there if not path.startswith("chart/")} == made.keys()
    for path, text in made.items():
        assert (ROOT / "deploy" / target / path).read_text() == text, f"deploy/{target}/{path}: see deploy/README.md"
    values = ROOT / "deploy" / "k8s" / "values" / "a.yaml"
    assert (CHART / "ci" / "a-values.yaml").read_text() == values.read_text(), "the chart's example"


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_the_chart_gives_the_objects_of_kustomize(name: str, out: Path) -> None:
    tools.needed("kubectl", "helm")
    values = out / "k8s" / "values" / f"{name}.yaml"
    made = tools.run("helm", "template", name, CHART, "--namespace", "xtrader", "-f", values)

    def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
        return {(one["kind"], one["metadata"]["name"]): one for one in objects}

    by_helm = by_name(platforms.objects(made))
    by_kustomize = by_name(platforms.kustomized(out / "k8s", name))
    assert by_helm.keys() == by_kustomize.keys()
    assert {"ConfigMap", "ServiceAccount", "NetworkPolicy"} < {kind for kind, _ in by_helm}
    for key, one in by_kustomize.items():
        assert by_helm[key] == one


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("keepsFiles=maybe", "keepsFiles"),
        ("storage.sise=1Gi", "sise"),
        ("env.A-B=1", "env"),
        ("image.digest=sha256:12", "digest"),
        ("resources.limits.memory=lots", "memory"),
        ("replicas=2", "replicas"),
    ],
)
def test_the_chart_refuses_values_that_its_schema_does_not_know(option: str, said: str, out: Path) -> None:
    tools.needed("helm")
    with pytest.raises(AssertionError, match=said):
        tools.run("helm", "template", "a", CHART, "-f", out / "k8s" / "values" / "a.yaml", "--set", option)


def test_a_pod_is_restricted_drains_and_overlaps_only_where_it_may(out: Path) -> None:
    tools.needed("kubectl")
    for name, kind in (("a", "Deployment"), ("b", "Deployment"), ("c", "StatefulSet")):
        objects = platforms.kustomized(out / "k8s", name)
        (workload,) = (one for one in objects if one["kind"] in ("Deployment", "StatefulSet"))
        assert workload["kind"] == kind
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["terminationGracePeriodSeconds"] == STOP_SECONDS
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["image"] == REFERENCE
        assert not pod["enableServiceLinks"], "else variables of other services would be taken for settings"
        asked = {probe: container[f"{probe}Probe"]["exec"]["command"] for probe in ("startup", "readiness", "liveness")}
        alive = ["xtrader", "healthcheck"]
        assert asked == {"startup": alive, "liveness": alive, "readiness": ["xtrader", "status"]}
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == name
        for one in objects:
            selector = one.get("spec", {}).get("selector") or one.get("spec", {}).get("podSelector") or {}
            assert selector.get("matchLabels", selector).items() <= labels.items()
        if kind == "Deployment":
            assert workload["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
            (data,) = (volume for volume in pod["volumes"] if volume["name"] == "data")
            assert "ephemeral" in data


def test_another_value_makes_another_pod(tmp_path: Path) -> None:
    tools.needed("kubectl")
    found = set()
    for level in ("info", "debug"):
        file = tmp_path / "x.env"
        file.write_text(f"SUBSCRIPTIONS=L2:OKX_SWAP@BTCUSDT\nXTRADER_LOG={level}\n")
        arguments = ["--target", "k8s", "--image", REFERENCE, "--output", str(tmp_path / level), str(file)]
        assert main(["deploy", "render", *arguments]) == 0
        objects = platforms.kustomized(tmp_path / level, "x")
        (workload,) = (one for one in objects if one["kind"] == "StatefulSet")
        found.add(workload["spec"]["template"]["metadata"]["annotations"]["xtrader/settings"])
    assert len(found) == 2


def test_a_role_on_ecs_reaches_only_what_the_instance_needs(out: Path) -> None:
    for name in ("a", "b", "c"):
        resources = json.loads((out / "ecs" / f"{name}.json").read_text())["Resources"]
        policies = {role: json.dumps(resources[role]["Properties"].get("Policies", [])) for role in ("ExecutionRole", "TaskRole")}
        assert re.findall(r'"(\w+:[\w*]+)"\], "Resource": "\*"', policies["ExecutionRole"]) == ["ecr:GetAuthorizationToken"]
        assert ":*" not in policies["TaskRole"].replace("${AWS", "")
        assert ("ssm:GetParameters" in policies["ExecutionRole"]) == (name in "ac")
        assert ("s3:PutObject" in policies["TaskRole"]) == (name == "b")
        assert ("elasticfilesystem:ClientWrite" in policies["TaskRole"]) == (name == "c")
        others = {"a", "b", "c"} - {name}
        assert not any(f"parameter/xtrader/{other}/" in policies["ExecutionRole"] for other in others)
    assert "s3:::recordings/b/*" in json.dumps(json.loads((out / "ecs" / "b.json").read_text()))


def test_a_task_on_ecs_drains_overlaps_and_goes_back_by_itself(out: Path) -> None:
    for name in ("a", "b", "c"):
        resources = json.loads((out / "ecs" / f"{name}.json").read_text())["Resources"]
        task, service = resources["Task"]["Properties"], resources["Service"]["Properties"]
        assert int(task["Memory"]) in FARGATE[int(task["Cpu"])]
        (container,) = task["ContainerDefinitions"]
        assert container["StopTimeout"] == 120
        assert container["ReadonlyRootFilesystem"]
        deployment = service["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        share = (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"])
        assert share == ((0, 100) if name == "c" else (100, 200))


def requests(template: dict[str, Any]) -> list[tuple[str, Any]]:
    """The requests to ECS that a template stands for: names begin small, and what CloudFormation would put in is some text."""

    def small(node: Any) -> Any:
        if isinstance(node, dict):
            if any(key == "Ref" or key.startswith("Fn::") for key in node):
                return ["subnet-1"] if node == {"Ref": "Subnets"} else "text"
            special = {"EFSVolumeConfiguration": "efsVolumeConfiguration", "FilesystemId": "fileSystemId", "IAM": "iam"}
            plain = {"Options"}
            return {
                special.get(key, key[0].lower() + key[1:]): dict.fromkeys(value, "text") if key in plain else small(value)
                for key, value in node.items()
            }
        return [small(one) for one in node] if isinstance(node, list) else node

    kinds = {"AWS::ECS::TaskDefinition": "RegisterTaskDefinition", "AWS::ECS::Service": "CreateService"}
    return [(kinds[one["Type"]], small(one["Properties"])) for one in template["Resources"].values() if one["Type"] in kinds]


def test_ecs_would_take_the_task_and_the_service(out: Path) -> None:
    model = botocore.session.get_session().get_service_model("ecs")
    validate = botocore.validate.ParamValidator()
    for name in ("a", "b", "c"):
        found = requests(json.loads((out / "ecs" / f"{name}.json").read_text()))
        assert [operation for operation, _ in found] == ["RegisterTaskDefinition", "CreateService"]
        for operation, given in found:
            shape = model.operation_model(operation).input_shape
            report = validate.validate(given, shape)
            assert not report.has_errors(), report.generate_report()
            assert set(given) <= set(shape.members), f"{operation} knows no {set(given) - set(shape.members)}"


@pytest.mark.slow
def test_every_validator_passes_all_files(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.compose()
    tools.needed("kubectl", "helm", "terraform", "systemd-analyze", "cfn-lint", "checkov", "kubernetes-validate")
    for name, value in tools.environment().items():
        monkeypatch.setenv(name, value)
    (out / "chart").symlink_to(CHART)
    found = list(verdicts(out))
    assert [one for one in found if one.state != "passed"] == []
    judged = {one.validator for one in found}
    assert {"docker compose config", "cfn-lint", "kubernetes-validate --strict", "systemd-analyze verify"} < judged
    assert {"helm lint --strict", "checkov, Kubernetes", "checkov, CloudFormation", "nomad (HCL by terraform fmt)"} < judged


def test_the_workflows_pass_their_validators(monkeypatch: pytest.MonkeyPatch) -> None:
    tools.needed("actionlint", "zizmor")
    for name, value in tools.environment().items():
        monkeypatch.setenv(name, value)
    found = list(verdicts(ROOT / ".github"))
    assert [one for one in found if one.state != "passed"] == []
    assert {one.validator for one in found} == {"actionlint", "zizmor"}


def test_validators_find_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    tools.compose()
    tools.needed("terraform", "systemd-analyze", "cfn-lint")
    for name, value in tools.environment().items():
        monkeypatch.setenv(name, value)
    damage = {
        "compose/compose.yml": ("read_only:", "read_onlly:"),
        "ecs/a.json": ('"Cpu": "', '"Cpu": "1'),
        "nomad/xtrader-a.nomad.hcl": ('group "recorder" {', 'group "recorder" {{'),
        "systemd/etc/systemd/system/xtrader@a.service.d/instance.conf": ("MemoryMax=", "MemoryMaximum="),
    }
    for path, (good, bad) in damage.items():
        text = (out / path).read_text()
        assert good in text
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text.replace(good, bad, 1))
    quick = [one for one in VALIDATORS if one.program != "checkov"]
    found = {str(one.path.relative_to(tmp_path)): one for one in verdicts(tmp_path, quick)}
    assert {path: one.state for path, one in found.items()} == dict.fromkeys(damage, FAILED)
    assert "read_onlly" in found["compose/compose.yml"].said


def test_a_validator_that_is_not_installed_is_named_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "compose.yml").write_text("services: {}\n")
    absent = Validator("nobody has it", "xtrader-no-such-program", lambda path: path.suffix == ".yml", ("{path}",), get="nowhere")
    (one,) = verdicts(tmp_path, [absent])
    assert (one.state, one.said) == (ABSENT, "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["deploy", "check", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert re.search(r"^not installed +\S+compose.yml +docker compose config: ", said.out)
    assert said.err == "0 passed, 0 failed, 1 not installed\n"


def test_a_directory_without_anything_to_check_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "check", str(tmp_path)]) == 2
    assert "holds nothing that a validator is known for" in capsys.readouterr().err
    assert main(["deploy", "check", str(tmp_path / "none")]) == 2
    assert os.path.exists(tmp_path)
