"""What the dashboard of the database asks for is served by a real server."""

from __future__ import annotations

import re
import urllib.request

from tests.deploy.monitoring import expressions, named
from tests.sinks.questdb.server import Server


def test_every_metric_of_the_database_on_its_dashboard_is_served(server: Server) -> None:
    with urllib.request.urlopen(server.metrics_url, timeout=60) as answer:
        served = set(re.findall(r"^(\w+)", answer.read().decode(), re.MULTILINE))
    asked = {name for one in expressions("questdb") for name in named(one) if name.startswith("questdb_")}
    assert len(asked) > 10
    assert asked <= served
