"""Nomad: a job for each instance, with a canary where old and new may run side by side.

Rule: secrets come from Nomad's own variables, into files that only the recorder can read.
"""

from __future__ import annotations

from collections.abc import Sequence

from xtrader.deploy import quoting
from xtrader.deploy.instance import DATA, Instance
from xtrader.deploy.rendered import Rendered
from xtrader.deploy.workload import PROCESSES, READY, READY_SECONDS, STOP_SECONDS, USER, Image, needs, refuse_fixed_collector


def render(instances: Sequence[Instance], image: Image) -> Rendered:
    """xtrader-NAME.nomad.hcl for each. Raises ConfigError."""
    made = Rendered()
    for one in instances:
        refuse_fixed_collector(one, "Nomad")
        made.files[f"xtrader-{one.name}.nomad.hcl"] = _job(one, image)
        if one.secrets:
            pairs = " ".join(f"{name}=@FILE" for name in one.secrets)
            made.todo.append(f"nomad var put nomad/jobs/xtrader-{one.name} {pairs}")
        if one.keeps_files:
            made.todo.append(
                f'on one client: client {{ host_volume "xtrader-{one.name}" {{ path = "…" }} }}, a directory of user {USER}'
            )
        made.todo.append(f"nomad job run xtrader-{one.name}.nomad.hcl")
    return made


def _job(one: Instance, image: Image) -> str:
    needed = needs(one)
    root = DATA if one.keeps_files else "/alloc/data"
    values = quoting.quoted(one, one.environment(root, "/secrets"), "Nomad", quoting.hcl)
    width = max(map(len, values))
    variables = "\n".join(f"        {name:{width}} = {text}" for name, text in values.items())
    volume = _VOLUME.format(name=one.name) if one.keeps_files else _DISK.format(disk=needed.disk)
    mount = _MOUNT.format(data=DATA) if one.keeps_files else ""
    templates = "".join(_TEMPLATE.format(name=name, job=one.name, user=USER) for name in one.secrets)
    canary = _STAYS if one.keeps_files else _CANARY
    return _JOB.format(
        name=one.name,
        file=one.file.name,
        canary=canary,
        ready=READY_SECONDS,
        stop=STOP_SECONDS,
        volume=volume,
        mount=mount,
        image=quoting.hcl(str(image)),
        user=USER,
        processes=PROCESSES,
        variables=variables,
        templates=templates,
        ready_command=READY[0],
        words=", ".join(map(quoting.hcl, READY[1:])),
        cpu=needed.cpu * 2,
        memory=needed.memory,
        most=needed.memory_most,
    )


_JOB = """\
# The instance {name}, made of {file}: change that, and render again.
job "xtrader-{name}" {{
  type = "service"

  update {{
    max_parallel      = 1
{canary}    min_healthy_time  = "{ready}s"
    healthy_deadline  = "5m"
    progress_deadline = "10m"
    auto_revert       = true
  }}

  group "recorder" {{
    count = 1
{volume}
    restart {{
      attempts = 10
      interval = "10m"
      delay    = "5s"
      mode     = "delay"
    }}

    task "xtrader" {{
      driver       = "docker"
      user         = "{user}:{user}"
      kill_signal  = "SIGTERM"
      kill_timeout = "{stop}s"

      config {{
        image           = {image}
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = {processes}
      }}
{mount}
      env {{
{variables}
      }}
{templates}
      service {{
        name     = "xtrader-{name}"
        provider = "consul" # Nomad's own services know no script checks: without Consul leave this block away

        check {{
          type     = "script"
          command  = "{ready_command}"
          args     = [{words}]
          interval = "30s"
          timeout  = "10s"
        }}
      }}

      resources {{
        cpu        = {cpu}
        memory     = {memory}
        memory_max = {most}
      }}
    }}
  }}
}}
"""
_CANARY = "    canary            = 1\n    auto_promote      = true\n"
_STAYS = "    canary            = 0 # recorded files stay on the volume, which one recorder at a time can have\n"
_DISK = """
    ephemeral_disk {{
      size = {disk}
    }}
"""
_VOLUME = """
    volume "data" {{
      type   = "host"
      source = "xtrader-{name}"
    }}
"""
_MOUNT = """
      volume_mount {{
        volume      = "data"
        destination = "{data}"
      }}
"""
_TEMPLATE = """
      template {{
        data        = "{{{{ with nomadVar \\"nomad/jobs/xtrader-{job}\\" }}}}{{{{ .{name} }}}}{{{{ end }}}}"
        destination = "secrets/{name}"
        perms       = "0400"
        uid         = {user}
        gid         = {user}
      }}
"""
