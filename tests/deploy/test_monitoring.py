"""Rules, inhibitions and runbooks: what they name exists; by the judgement of Prometheus' own programs they do what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tests.deploy import platforms, tools
from tests.deploy.monitoring import FILES, LONGEST, RULES, loaded, named, needed, quick, rules, served_series
from xtrader.cli.main import cli
from xtrader.ops.metrics import METRICS

ALERTS = {one["alert"]: one for one in rules("alert")}
RECORDED = {one["record"] for one in rules("record")}
RUNBOOKS = (tools.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECRETS = {
    "XTRADER_ALERT_SLACK_URL": "https://hooks.example/canary",
    "XTRADER_ALERT_PAGERDUTY_KEY": "canary-of-a-key",
    "XTRADER_ALERT_EMAIL_PASSWORD": "it's a canary",
}
MAIL = {f"XTRADER_ALERT_EMAIL_{name}": f"{name.lower()}@example" for name in ("TO", "FROM", "USER")} | {
    "XTRADER_ALERT_EMAIL_SMARTHOST": "mail.example:587"
}


def rendered(**variables: str) -> subprocess.CompletedProcess[str]:
    """What alertmanager.sh makes of variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XTRADER_")} | variables
    command = ["sh", str(FILES / "alertmanager.sh"), "render"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def receivers(**variables: str) -> dict[str, dict[str, Any]]:
    done = rendered(**variables)
    assert (done.returncode, done.stderr) == (0, "")
    return {one.pop("name"): one for one in yaml.safe_load(done.stdout)["receivers"]}


def section(alert: str) -> str:
    """Its runbook."""
    found = re.search(rf"^### {alert}\n\n(.*?)(?=^###? |\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/operations.md has no section {alert}"
    return found[1]


def test_the_rules_pass_the_judgement_of_prometheus() -> None:
    needed("promtool")
    files = sorted(RULES.glob("*.yml"))
    judged = tools.run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *files)
    assert judged.count("SUCCESS") == len(files)
    assert "SUCCESS" in tools.run("promtool", "check", "config", FILES / "prometheus.yml")


@pytest.mark.parametrize("path", sorted((FILES / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_each_alert_fires_and_clears_as_its_test_says(path: Path) -> None:
    needed("promtool")
    assert "SUCCESS" in tools.run("promtool", "test", "rules", path)


def test_no_alert_is_without_a_test_of_when_it_fires() -> None:
    tested = {name for path in (FILES / "tests").glob("*.yml") for name in re.findall(r'alertname="(\w+)"', path.read_text())}
    assert set(ALERTS) - {"XtraderWatchdog"} == tested - {"XtraderWatchdog"}


def test_every_metric_that_a_rule_names_is_served_or_recorded() -> None:
    for one in (*ALERTS.values(), *rules("record")):
        unknown = named(one["expr"]) - served_series() - RECORDED - {"up"}
        assert not unknown, f"{one.get('alert') or one['record']} names {unknown}"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_to_do_and_why_it_is_not_noise(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning", "none")
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"].endswith(f"/docs/operations.md#{name.lower()}")
    written = "\n".join(path.read_text() for path in RULES.glob("*.yml"))
    assert re.search(rf"^ +# .+\n +- alert: {name}$", written, re.MULTILINE), "no comment says why it is not noise"
    assert "**Do**" in section(name)


def test_every_runbook_is_one_of_an_alert_and_names_only_what_exists() -> None:
    headings = set(re.findall(r"^### (Xtrader\w+)$", RUNBOOKS, re.MULTILINE))
    assert headings == set(ALERTS)
    listed = (tools.ROOT / ".env.example").read_text(encoding="utf-8") + (FILES / "alertmanager.sh").read_text()
    for name in ALERTS:
        text = section(name)
        for command, *rest in (found.split() for found in re.findall(r"`xtrader ([a-z][^`]*)`", text)):
            found = cli.get_command(click.Context(cli), command)
            assert found is not None, f"{name}: there is no xtrader {command}"
            options = {option for one in found.params for option in one.opts}
            assert {word for word in rest if word.startswith("-")} <= options, f"{name}: xtrader {command} {rest}"
        for variable in re.findall(r"`(XTRADER_[A-Z_]+|QUESTDB_[A-Z_]+)`", text):
            assert re.search(rf"\b{variable}\b", listed), f"{name}: there is no {variable}"
        for metric in re.findall(r"`(?:xtrader_)?((?:sink|process|connection|journal|rest)_\w+)`", text):
            assert f"xtrader_{metric}" in METRICS, f"{name}: there is no metric {metric}"
        for other in re.findall(r"`(Xtrader\w+)`", text):
            assert other in ALERTS


def test_times_are_all_that_is_shortened_to_try_the_alerts_out() -> None:
    for path in RULES.glob("*.yml"):
        before, after = yaml.safe_load(path.read_text()), yaml.safe_load(quick(path.read_text()))
        for group in (*before["groups"], *after["groups"]):
            group["interval"] = ""
            for rule in group["rules"]:
                for time in ("for", "keep_firing_for"):
                    assert group in before["groups"] or int(rule.get(time, "0s").rstrip("s")) <= LONGEST
                    rule.pop(time, None)
        assert before == after


def matched(matchers: list[str]) -> set[str]:
    """The alerts that all of them match; what a matcher of equality or of alternatives names must exist."""
    found = set(ALERTS)
    for matcher in matchers:
        name, operator, value = shlex.split(re.sub(r" *(!=|=~|!~|=) *", r" \1 ", matcher, count=1))
        assert name == "alertname"
        of = {alert for alert in ALERTS if re.fullmatch(value, alert)}
        assert all(any(re.fullmatch(one, alert) for alert in ALERTS) for one in value.split("|")), matcher
        found &= set(ALERTS) - of if operator.startswith("!") else of
    return found


def test_inhibitions_name_alerts_and_none_of_them_silences_its_own_cause() -> None:
    silenced: dict[str, set[str]] = {}
    for rule in yaml.safe_load((FILES / "alertmanager.yml").read_text())["inhibit_rules"]:
        causes, effects = matched(rule["source_matchers"]), matched(rule["target_matchers"])
        assert causes
        assert effects
        for effect in effects:
            silenced.setdefault(effect, set()).update(causes - {effect})
    # Raises CycleError: what silences alerts is silenced itself, so in a circle nobody would hear of any.
    TopologicalSorter(silenced).prepare()


def test_people_are_told_by_what_is_given_and_pages_are_kept_for_what_is_critical() -> None:
    needed("amtool")
    assert receivers() == {"people": {}, "pages": {}, "watchdog": {}}
    every = (
        SECRETS | MAIL | {"XTRADER_ALERT_WEBHOOK_URL": "http://w.example/x?a='b'", "XTRADER_ALERT_WATCHDOG_URL": "http://d.example"}
    )
    found = receivers(**every)
    assert {name: set(ways) for name, ways in found.items()} == {
        "people": {"webhook_configs", "slack_configs"},
        "pages": {"webhook_configs", "slack_configs", "pagerduty_configs", "email_configs"},
        "watchdog": {"webhook_configs"},
    }
    assert found["people"]["webhook_configs"][0]["url"] == "http://w.example/x?a='b'"
    assert found["pages"]["email_configs"][0]["auth_password"] == SECRETS["XTRADER_ALERT_EMAIL_PASSWORD"]
    assert "pagerduty_configs" in receivers(**every, XTRADER_ALERT_PAGES="all")["people"]
    for given in ({}, every):
        config = rendered(**given).stdout
        done = subprocess.run(["amtool", "check-config", "/dev/stdin"], input=config, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_secret_that_is_a_file_is_not_in_the_configuration(tmp_path: Path) -> None:
    files = {}
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value)
        files[f"{name}_FILE"] = str(tmp_path / name)
    done = rendered(**files, **MAIL)
    assert done.returncode == 0
    assert "canary" not in done.stdout
    for name in ("api_url_file", "routing_key_file", "auth_password_file"):
        assert f"{name}: '{tmp_path}" in done.stdout


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"XTRADER_ALERT_SLACK_URL": "x", "XTRADER_ALERT_SLACK_URL_FILE": "/x"}, "are both set; leave one away"),
        ({"XTRADER_ALERT_PAGERDUTY_KEY_FILE": "/none"}, "'/none' cannot be read"),
        ({"XTRADER_ALERT_EMAIL_TO": "a@b"}, "needs XTRADER_ALERT_EMAIL_FROM"),
        ({"XTRADER_ALERT_PAGES": "some"}, "critical or all"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(variables: dict[str, str], said: str) -> None:
    done = rendered(**variables)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_script_passes_its_validator() -> None:
    needed("shellcheck")
    assert tools.run("shellcheck", *sorted(FILES.glob("*.sh"))) == ""


def test_the_rules_of_kubernetes_are_the_same() -> None:
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    text = (FILES / "kubernetes.yaml").read_text(encoding="utf-8")
    assert text == loaded("kubernetes").text(), "make it anew: python deploy/monitoring/kubernetes.py"
    monitor, rule = platforms.objects(text)
    assert rule["spec"] == {"groups": [group for file in files for group in file["groups"]]}
    for kind, path in (("Deployment", "deployment"), ("StatefulSet", "stateful")):
        found = platforms.objects((tools.ROOT / f"deploy/k8s/base/{path}/objects.yaml").read_text())
        (workload,) = (one for one in found if one["kind"] == kind)
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    port = monitor["spec"]["podMetricsEndpoints"][0]["port"]
    assert f"- name: {port}\n" in (tools.ROOT / "deploy/k8s/overlays/a/workload.yaml").read_text()
