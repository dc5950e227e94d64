"""Dashboards, and the programs that show them: what is committed is what the code makes, and names only what is served."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import tools
from tests.deploy.monitoring import FILES, expressions, loaded, named, needed, rules, served_series

NAMES = ("overview", "venues", "storage", "questdb")


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FILES / "grafana" / "dashboards" / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_is_committed_is_what_the_code_makes(name: str) -> None:
    found = (FILES / "grafana" / "dashboards" / f"{name}.json").read_text(encoding="utf-8")
    code = loaded("dashboards")
    assert set(code.DASHBOARDS) == set(NAMES)
    assert found == code.text(name), "make it anew: python deploy/monitoring/dashboards.py"


@pytest.mark.parametrize("name", NAMES)
def test_every_expression_is_understood_and_names_what_is_served_or_recorded(name: str, tmp_path: Path) -> None:
    needed("promtool")
    recorded = {one["record"] for one in rules("record")}
    found = expressions(name)
    for expression in found:
        unknown = {one for one in named(expression) if not one.startswith("questdb_")} - served_series() - recorded - {"ALERTS"}
        assert not unknown, f"'{expression}' names {unknown}"
    group = {"name": "panels", "rules": [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(found)]}
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [group]}))
    tools.run("promtool", "check", "rules", tmp_path / "panels.yml")


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_their_place_and_ask_the_source_that_is_provided(name: str) -> None:
    (source,) = yaml.safe_load((FILES / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(name)["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == source["uid"]
    provider = yaml.safe_load((FILES / "grafana/provisioning/dashboards/xtrader.yml").read_text())["providers"][0]
    assert provider["options"]["path"] == "/etc/xtrader/dashboards"


def composed(file: Path, *profiles: str, **variables: str) -> dict[str, Any]:
    """What Compose makes of a file."""
    words = [word for profile in profiles for word in ("--profile", profile)]
    environment = {name: value for name, value in tools.environment().items() if not name.startswith("XTRADER_")} | variables
    command = ["docker", "compose", "-f", str(file), *words, "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


def test_nothing_of_it_is_to_be_reached_from_another_machine() -> None:
    tools.compose()
    alone = composed(FILES / "compose.yml", PROMETHEUS_RETENTION="7d", PROMETHEUS_PORT="9099")
    assert {name: one["network_mode"] for name, one in alone.items()} == dict.fromkeys(
        ("prometheus", "alertmanager", "grafana"), "host"
    )
    assert {"--web.listen-address=127.0.0.1:9099", "--storage.tsdb.retention.time=7d"} <= set(alone["prometheus"]["command"])
    assert "--web.listen-address=127.0.0.1:9093" in alone["alertmanager"]["command"]
    assert alone["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert alone["grafana"]["environment"]["PROMETHEUS_URL"] == "http://prometheus:9099"


def test_beside_recorders_in_compose_each_has_the_port_that_is_said(tmp_path: Path) -> None:
    tools.compose()
    for directory in ("compose", "monitoring"):
        shutil.copytree(tools.ROOT / "deploy" / directory, tmp_path / directory)
    (tmp_path / "compose" / "a.env").write_text("SUBSCRIPTIONS=L2:OKX_SWAP@BTCUSDT\n")
    services = composed(tmp_path / "compose" / "compose.yml", "monitoring", "questdb")
    ports = {name: {(one["host_ip"], one["published"], one["target"]) for one in of["ports"]} for name, of in services.items()}
    assert ports == {
        "a": {("127.0.0.1", "9190", 9090)},
        "questdb": {("127.0.0.1", "9000", 9000)},
        "prometheus": {("127.0.0.1", "9090", 9090)},
        "alertmanager": {("127.0.0.1", "9093", 9093)},
        "grafana": {("127.0.0.1", "3000", 3000)},
    }
    (recorders,) = yaml.safe_load((tmp_path / "compose/monitoring/recorders.yml").read_text())
    assert {one.partition(":")[0] for one in recorders["targets"]} <= set(services)
    (targets,) = [one for one in services["prometheus"]["volumes"] if one["target"] == "/etc/prometheus/targets"]
    assert targets["source"] == str(tmp_path / "compose" / "monitoring")


def started(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What grafana.sh does in front of a Grafana that says which file it has for the password."""
    grafana = tmp_path / "grafana"
    grafana.write_text('#!/bin/sh\necho "$GF_SECURITY_ADMIN_PASSWORD__FILE"\n')
    grafana.chmod(0o755)
    given = {"PATH": os.environ["PATH"], "GRAFANA": str(grafana), "GRAFANA_DATA": str(tmp_path), **variables}
    return subprocess.run(["sh", str(FILES / "grafana.sh")], env=given, capture_output=True, text=True, check=False)


def test_the_password_of_grafana_is_made_once_and_is_nobodys_default(tmp_path: Path) -> None:
    found = tmp_path / "admin-password"
    assert started(tmp_path).stdout.splitlines()[-1] == str(found)
    password = found.read_text()
    assert len(password.strip()) >= 20
    assert found.stat().st_mode & 0o077 == 0
    started(tmp_path)
    assert found.read_text() == password


def test_the_password_of_grafana_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = started(tmp_path, GRAFANA_ADMIN_PASSWORD_FILE=str(tmp_path / "mine"))
    assert done.stdout == f"{tmp_path / 'mine'}\n"
    assert not (tmp_path / "admin-password").exists()
    done = started(tmp_path, GRAFANA_ADMIN_PASSWORD_FILE="/none")
    assert (done.returncode, done.stderr) == (2, "grafana.sh: GRAFANA_ADMIN_PASSWORD_FILE: '/none' cannot be read\n")
