"""A roll under systemd: an instance has two places, the units xtrader@NAME and xtrader@NAME-next, of which one runs.

The rule: both read /etc/xtrader/NAME.env and write into /var/lib/xtrader/NAME, each with its own journal. The one that is enabled
starts with the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from xtrader.deploy.roll import Roll, RollStep, ask, restore
from xtrader.errors import ConfigError

NEXT = "-next"
ETC, STATE, PROGRAMS = "etc/xtrader", "/var/lib/xtrader", "opt/xtrader"


def plan(
    name: str,
    version: str | None,
    ready: float,
    within: float,
    question: Callable[[Sequence[str]], str] = ask,
    root: Path = Path("/"),
) -> Roll:
    """The roll of an instance to a version, which is that of an environment /opt/xtrader-VERSION, or a path of one; None: back to
    what the other place had. `root` is where the machine's files are. Raises ConfigError."""
    settings = root / ETC / f"{name}.env"
    if not settings.is_file():
        raise ConfigError(f"there is no instance '{name}' here: {settings} is missing")
    if "\nXTRADER_COLLECTOR_ID=" in "\n" + settings.read_text(encoding="utf-8", errors="replace"):
        raise ConfigError(f"XTRADER_COLLECTOR_ID in {settings} would be that of two recorders at once: leave it away")
    places = (name, name + NEXT)
    running = [one for one in places if question(["systemctl", "is-active", f"xtrader@{one}"]) == "active"]
    if len(running) != 1:
        state = "neither" if not running else "each"
        raise ConfigError(f"{state} of xtrader@{name} and xtrader@{name}{NEXT} runs; exactly one must: systemctl start or stop one")
    (old,) = running
    (new,) = set(places) - {old}
    drop_in = root / f"etc/systemd/system/xtrader@{new}.service.d/roll.conf"
    own = root / ETC / f"{new}.place"
    writes = []
    if version is not None:
        writes.append(
            RollStep(f"give {new} the version {version}", file=drop_in, text=_drop_in(name, new, _program(root, name, version)))
        )
    elif new != name and not drop_in.is_file():
        raise ConfigError(f"there is nothing to go back to: xtrader@{new} never ran")
    if new != name:
        text = f"XTRADER_JOURNAL_DIRECTORY={STATE}/{new}/.journal\nXTRADER_HTTP=\n"
        writes.append(RollStep(f"give {new} a journal of its own", file=own, text=text))
    reload = RollStep("tell systemd", ("systemctl", "daemon-reload"))
    unit, before = f"xtrader@{new}", f"xtrader@{old}"
    is_ready = f"systemctl show --property=StatusText --value {unit} | grep -q '^recording, all '"
    return Roll(
        old=before,
        new=unit,
        start=(
            *writes,
            reload,
            RollStep(f"start {unit} beside {before}", ("systemctl", "start", unit)),
            RollStep(f"wait until {unit} has been ready for {ready:g} s", ("sh", "-c", is_ready), steady=ready, within=within),
            RollStep(f"let {unit} start with the machine", ("systemctl", "enable", "--quiet", unit)),
        ),
        undo=(
            RollStep(f"stop {unit}", ("systemctl", "disable", "--quiet", "--now", unit)),
            *(restore(step.file) for step in writes if step.file is not None),
            reload,
        ),
        log=("journalctl", "--no-pager", "--output=cat", "--lines=3", f"--unit={unit}"),
        switch=(
            RollStep(f"let {before} start no more with the machine", ("systemctl", "disable", "--quiet", before)),
            RollStep(f"stop {before}, which finishes its files", ("systemctl", "stop", before)),
        ),
    )


def _program(root: Path, name: str, version: str) -> str:
    path = version if version.startswith("/") else f"/{PROGRAMS}-{version}"
    program = f"{path}/bin/xtrader"
    if not (root / program.lstrip("/")).is_file():
        raise ConfigError(
            f"there is no {program}: make it first, with `PREFIX={path} deploy/systemd/install.sh --upgrade {name}` from a "
            "checkout of that version"
        )
    return program


def _drop_in(name: str, place: str, program: str) -> str:
    lines = [
        f"# Made by xtrader roll: {place} is a place of the instance {name}.",
        "[Unit]",
        "AssertPathExists=",
        f"AssertPathExists=/{ETC}/{name}.env",
        "[Service]",
        "ExecStart=",
        f"ExecStart={program}",
        f"Environment=XTRADER_OUTPUT_DIRECTORY={STATE}/{name}",
        "EnvironmentFile=",
        f"EnvironmentFile=/{ETC}/{name}.env",
        f"EnvironmentFile=-/{ETC}/{place}.place",
        "LoadCredential=",
        f"LoadCredential=xtrader:/{ETC}/{name}.secrets",
        f"ReadWritePaths={STATE}/{name}",
    ]
    return "\n".join(lines) + "\n"
