"""Which alerts fire, asked of a Prometheus.

The rule: nobody waits long for it, and one that does not answer is itself an answer.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.errors import ConfigError

PATIENCE: Final = 5.0
LONGEST: Final = 8 << 20
SHOWN: Final = 20


class FiringAlert(msgspec.Struct):
    """As Prometheus tells it."""

    state: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class _Alerts(msgspec.Struct):
    alerts: list[FiringAlert] = []


class _AlertsAnswer(msgspec.Struct):
    data: _Alerts


def firing(url: str) -> Iterator[Diagnosis]:
    """The alerts that fire at a Prometheus. Raises ConfigError for what is no URL."""
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--alerts '{url}' is not the URL of a Prometheus, such as http://127.0.0.1:9091")
    about = "alerts"
    try:
        # It is one of ours, on our own network: no proxy stands between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url.rstrip('/')}/api/v1/alerts", timeout=PATIENCE) as answer:
            found = msgspec.json.decode(answer.read(LONGEST), type=_AlertsAnswer).data.alerts
    except (OSError, urllib.error.URLError, http.client.HTTPException, msgspec.MsgspecError) as error:
        yield wrong(about, f"the Prometheus at {url} does not answer: {error}", "nobody is woken while it is down: start it")
        return
    fire = [one for one in found if one.state == "firing"]
    for one in fire[:SHOWN]:
        name = one.labels.get("alertname", "unnamed")
        words = one.annotations.get("summary") or one.annotations.get("description") or "it fires"
        remedy = one.annotations.get("runbook_url") or "docs/operations.md says what to do for it"
        yield (warning if one.labels.get("severity") in ("info", "warning") else wrong)(f"alert {name}", words, remedy)
    if not fire:
        yield ok(about, f"none of {len(found)} fires" if found else "none fires")
