"""systemd: for each instance /etc/xtrader/NAME.env, its image, and a drop-in of xtrader@NAME.service with its memory.

Rule: the units in deploy/systemd say where data are and hand over /etc/xtrader/NAME.secrets; an environment file holds no secret.
"""

from __future__ import annotations

from collections.abc import Sequence

from xtrader.deploy import quoting
from xtrader.deploy.instance import Instance
from xtrader.deploy.rendered import Rendered
from xtrader.deploy.workload import Image, needs

STATE = "/var/lib/xtrader"


def render(instances: Sequence[Instance], image: Image) -> Rendered:
    """Files as they lie below /. Raises ConfigError for values that systemd cannot carry."""
    made = Rendered(todo=["copy etc/ to / on the host; deploy/systemd/install.sh puts the units there"])
    for one in instances:
        values = quoting.quoted(one, one.given(f"{STATE}/{one.name}"), "systemd", quoting.systemd)
        head = f"# The instance {one.name}, made of {one.file.name}: change that, and render again.\n"
        made.files[f"etc/xtrader/{one.name}.env"] = head + "".join(f"{name}={text}\n" for name, text in values.items())
        made.files[f"etc/xtrader/{one.name}.image"] = f"IMAGE={image}\n"
        made.files[f"etc/systemd/system/xtrader@{one.name}.service.d/instance.conf"] = head + _drop_in(one)
        made.todo += [f"install -D -m 0600 FILE /etc/xtrader/{one.name}.secrets/{name}" for name in one.secrets]
        kept = sorted(name for name, text in values.items() if text.startswith('"'))
        if kept:
            made.todo.append(
                f"# not xtrader-container@{one.name}: docker run --env-file would keep the quotes of {', '.join(kept)}"
            )
    names = " ".join(f"xtrader@{one.name}" for one in instances)
    made.todo.append(f"systemctl daemon-reload && systemctl enable --now {names}    # or, from the image: xtrader-container@…")
    return made


def _drop_in(one: Instance) -> str:
    needed = needs(one)
    return f"[Service]\nMemoryHigh={needed.memory_most * 9 // 10}M\nMemoryMax={needed.memory_most}M\n"
