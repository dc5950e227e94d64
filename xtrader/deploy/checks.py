"""Which validator judges which file of a deployment, and what it said.

Rule: a validator that is not installed is named, never passed over; what a silent one prints is a finding, whatever its exit code.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PASSED, FAILED, ABSENT = "passed", "failed", "not installed"
SECONDS = 300
"""The longest that a validator may take."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a validator said of a file or directory: `state` is PASSED, FAILED or ABSENT; `said` is its output, or how to get it."""

    path: Path
    validator: str
    state: str
    said: str


@dataclass(frozen=True, slots=True)
class Validator:
    """A program that judges files. `wants` says of a path whether it is for it; `command` is what is run, with `{path}` for the
    path, or `run` runs it where more is to be done; `silent`: any output is a finding; `get`: where it is to be had."""

    name: str
    program: str
    wants: Callable[[Path], bool]
    command: tuple[str, ...] = ()
    run: Callable[[Path], subprocess.CompletedProcess[str]] | None = None
    silent: bool = False
    get: str = ""


def check(directory: Path, validators: Sequence[Validator] | None = None) -> Iterator[Verdict]:
    """The verdicts on everything below a directory, in the order of its paths."""
    for path in sorted([directory, *directory.rglob("*")]):
        for one in VALIDATORS if validators is None else validators:
            if one.wants(path):
                yield _judge(one, path)


def _judge(one: Validator, path: Path) -> Verdict:
    if shutil.which(one.program) is None:
        return Verdict(path, one.name, ABSENT, one.get)
    try:
        done = one.run(path) if one.run else run([one.program, *(word.format(path=path) for word in one.command)])
    except subprocess.TimeoutExpired:
        return Verdict(path, one.name, FAILED, f"gave no answer within {SECONDS} s")
    said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))
    failed = done.returncode != 0 or (one.silent and said)
    return Verdict(path, one.name, FAILED if failed else PASSED, said if failed else "")


def run(words: Sequence[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program, and hear what it says."""
    return subprocess.run(words, input=given, capture_output=True, text=True, check=False, timeout=SECONDS)  # noqa: S603


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _is_compose(path: Path) -> bool:
    return path.suffix in (".yml", ".yaml") and re.search(r"^services:", _text(path), re.MULTILINE) is not None


def _is_workflow(path: Path) -> bool:
    return path.suffix in (".yml", ".yaml") and path.parent.name == "workflows" and path.parent.parent.name == ".github"


def _is_template(path: Path) -> bool:
    return path.suffix in (".json", ".yml", ".yaml") and "AWSTemplateFormatVersion" in _text(path)


def _is_kustomization(path: Path) -> bool:
    return (path / "kustomization.yaml").is_file() and path.parent.name == "overlays"


def _is_chart(path: Path) -> bool:
    return (path / "Chart.yaml").is_file()


def _is_unit(path: Path) -> bool:
    return path.suffix == ".service" and path.is_file()


def _kustomized(path: Path) -> subprocess.CompletedProcess[str]:
    return run(["kubectl", "kustomize", str(path)])


def _kubernetes(path: Path) -> subprocess.CompletedProcess[str]:
    made = _kustomized(path)
    if made.returncode:
        return made
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "objects.yaml")
        file.write_text(made.stdout, encoding="utf-8")
        done = run(["kubernetes-validate", "--strict", str(file)])
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, done.stderr if done.returncode else "")


def _policy(path: Path) -> subprocess.CompletedProcess[str]:
    made = _kustomized(path)
    if made.returncode:
        return made
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "objects.yaml").write_text(made.stdout, encoding="utf-8")
        return _checkov(scratch, "kubernetes")


def _checkov(directory: str, framework: str) -> subprocess.CompletedProcess[str]:
    return run(["checkov", "-d", directory, "--framework", framework, "--compact", "--quiet", "--skip-download"])


def _chart(path: Path) -> subprocess.CompletedProcess[str]:
    """With the values of its own examples, as there is no recorder without subscriptions."""
    examples = [word for file in sorted(path.glob("ci/*-values.yaml")) for word in ("-f", str(file))]
    return run(["helm", "lint", "--strict", "--quiet", str(path), *examples])


def _hcl(path: Path) -> subprocess.CompletedProcess[str]:
    """terraform reads the same language, from files of its own ending."""
    with tempfile.TemporaryDirectory() as scratch:
        file = shutil.copy(path, Path(scratch, "job.tf"))
        return run(["terraform", "fmt", "-check", "-diff", str(file)])


def _stacks(path: Path) -> bool:
    return path.is_dir() and any(map(_is_template, path.glob("*.json")))


def _drop_in(path: Path) -> subprocess.CompletedProcess[str]:
    """A drop-in alone is no unit: it is read with one that does nothing."""
    instance = path.parent.name.removesuffix(".d")
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "xtrader@.service").write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
        Path(scratch, path.parent.name).mkdir()
        shutil.copy(path, Path(scratch, path.parent.name, path.name))
        return run(["systemd-analyze", "verify", "--man=no", str(Path(scratch, instance))])


def _is_drop_in(path: Path) -> bool:
    return path.suffix == ".conf" and path.parent.name.endswith(".service.d")


VALIDATORS = (
    Validator(
        "docker compose config", "docker", _is_compose, ("compose", "-f", "{path}", "config", "-q"), get="Docker's plugin compose"
    ),
    Validator(
        "kubernetes-validate --strict",
        "kubernetes-validate",
        _is_kustomization,
        run=_kubernetes,
        get="pip install kubernetes-validate",
    ),
    Validator("checkov, Kubernetes", "checkov", _is_kustomization, run=_policy, get="pip install checkov"),
    Validator("helm lint --strict", "helm", _is_chart, run=_chart, get="https://helm.sh"),
    Validator("cfn-lint", "cfn-lint", _is_template, ("--", "{path}"), silent=True, get="pip install cfn-lint"),
    Validator(
        "checkov, CloudFormation",
        "checkov",
        _stacks,
        run=lambda path: _checkov(str(path), "cloudformation"),
        get="pip install checkov",
    ),
    Validator(
        "nomad (HCL by terraform fmt)", "terraform", lambda path: path.name.endswith(".nomad.hcl"), run=_hcl, get="terraform"
    ),
    Validator("systemd-analyze verify", "systemd-analyze", _is_drop_in, run=_drop_in, silent=True, get="systemd"),
    Validator("systemd-analyze verify", "systemd-analyze", _is_unit, ("verify", "--man=no", "{path}"), silent=True, get="systemd"),
    Validator("actionlint", "actionlint", _is_workflow, ("{path}",), get="https://github.com/rhysd/actionlint"),
    Validator("zizmor", "zizmor", _is_workflow, ("--offline", "--quiet", "{path}"), get="pip install zizmor"),
)
