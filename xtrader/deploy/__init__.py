"""Instances of the recorder on platforms: one `.env` each becomes what systemd, Compose, Kubernetes, ECS or Nomad take."""
