"""Makes kubernetes.yaml, rules and scraping as objects of the Prometheus operator: `python deploy/monitoring/kubernetes.py`.

The rule: the rules are those of rules/, word for word; one object stands for all instances of a namespace.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
HEAD = """\
# Made of rules/ by kubernetes.py; not written by hand. Once for all instances, where the Prometheus operator is:
#
#   kubectl apply -f deploy/monitoring/kubernetes.yaml
#
# Your Prometheus must select these objects: see its podMonitorSelector and ruleSelector.
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: xtrader
  namespace: xtrader
  labels:
    app.kubernetes.io/name: xtrader
spec:
  # The rules know recorders by this name of the job.
  jobLabel: app.kubernetes.io/name
  selector:
    matchLabels:
      app.kubernetes.io/name: xtrader
  podTargetLabels: [app.kubernetes.io/instance]
  podMetricsEndpoints:
    - port: http
      interval: 5s
      scrapeTimeout: 4s
      relabelings:
        # Two pods of one instance are there while a new version is rolled out.
        - sourceLabels: [__meta_kubernetes_pod_name]
          targetLabel: instance
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: xtrader
  namespace: xtrader
  labels:
    app.kubernetes.io/name: xtrader
spec:
  groups:
"""


def text() -> str:
    """The objects as they stand in the file."""
    groups = [
        path.read_text(encoding="utf-8").split("\ngroups:\n")[1].strip("\n") for path in sorted((HERE / "rules").glob("*.yml"))
    ]
    lines = "\n\n".join(groups).splitlines()
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in lines)


if __name__ == "__main__":
    (HERE / "kubernetes.yaml").write_text(text(), encoding="utf-8")
