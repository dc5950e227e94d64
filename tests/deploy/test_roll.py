"""What `xtrader roll` would do on each platform, and that what fails before the old recorder is told to stop is undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from xtrader.deploy import roll_cluster, roll_compose, roll_systemd
from xtrader.deploy.roll import Roll, RollStep, RollUndone, RollUnfinished, ask, perform, restore
from xtrader.errors import ConfigError

IMAGE = "registry/xtrader:2"
Answers = dict[str, str]


def answering(answers: Answers) -> Callable[[Sequence[str]], str]:
    """A platform whose programs give these answers to commands that end so; else none."""
    return lambda command: next((said for end, said in answers.items() if " ".join(command).endswith(end)), "")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of a machine with the instance a, and two versions."""
    for version in ("1", "2"):
        program = tmp_path / f"opt/xtrader-{version}/bin/xtrader"
        program.parent.mkdir(parents=True)
        program.touch()
    (tmp_path / "etc/xtrader").mkdir(parents=True)
    (tmp_path / "etc/xtrader/a.env").write_text("SUBSCRIPTIONS=L2:OKX_SWAP@BTC-USDT-SWAP\n")
    return tmp_path


def under_systemd(machine: Path, version: str | None, *running: str) -> Roll:
    answers = {f"is-active xtrader@{one}": "active" for one in running}
    return roll_systemd.plan("a", version, 30, 600, answering(answers), machine)


def test_under_systemd_the_other_place_starts_ready_and_enabled_before_the_first_one_stops(machine: Path) -> None:
    roll = under_systemd(machine, "2", "a")
    commands = [" ".join(step.command) for step in (*roll.start, *roll.switch) if step.command]
    assert (roll.old, roll.new) == ("xtrader@a", "xtrader@a-next")
    assert [one for one in commands if "systemctl show" not in one] == [
        "systemctl daemon-reload",
        "systemctl start xtrader@a-next",
        "systemctl enable --quiet xtrader@a-next",
        "systemctl disable --quiet xtrader@a",
        "systemctl stop xtrader@a",
    ]
    files = {step.file.name: step.text or "" for step in roll.start if step.file is not None}
    assert "ExecStart=/opt/xtrader-2/bin/xtrader\n" in files["roll.conf"]
    assert "XTRADER_JOURNAL_DIRECTORY=/var/lib/xtrader/a-next/.journal\n" in files["a-next.place"]
    assert [step.text for step in roll.undo if step.file is not None] == [None, None]


def test_under_systemd_the_next_roll_goes_to_the_first_place_again_and_back_takes_what_a_place_had(machine: Path) -> None:
    for step in under_systemd(machine, "2", "a").start[:2]:
        assert step.file is not None
        step.file.parent.mkdir(parents=True, exist_ok=True)
        step.file.write_text(step.text or "")
    forth = under_systemd(machine, "1", "a-next")
    assert (forth.old, forth.new) == ("xtrader@a-next", "xtrader@a")
    back = under_systemd(machine, None, "a-next")
    assert [step.file for step in back.start if step.file is not None] == []
    assert back.new == "xtrader@a"
    assert under_systemd(machine, None, "a").new == "xtrader@a-next"


@pytest.mark.parametrize(
    ("version", "running", "sentence"),
    [
        ("3", ("a",), "there is no /opt/xtrader-3/bin/xtrader: make it first"),
        ("2", (), "neither of xtrader@a and xtrader@a-next runs"),
        ("2", ("a", "a-next"), "each of xtrader@a and xtrader@a-next runs"),
        (None, ("a",), "there is nothing to go back to"),
    ],
)
def test_under_systemd_what_cannot_be_rolled_is_refused(
    machine: Path, version: str | None, running: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        under_systemd(machine, version, *running)


def test_a_fixed_name_of_the_collector_is_refused_as_two_would_have_it(machine: Path) -> None:
    (machine / "etc/xtrader/a.env").write_text("XTRADER_COLLECTOR_ID=one\n")
    with pytest.raises(ConfigError, match="would be that of two recorders at once"):
        under_systemd(machine, "2", "a")


def with_compose(directory: Path, image: str | None, running: str) -> Roll:
    answers = {"config --services": "xtrader-a\nxtrader-b", "ps --services --status running": running}
    return roll_compose.plan("a", image, 30, 600, directory / "compose.yml", ["docker", "compose"], answering(answers))


def test_with_compose_the_other_service_is_beside_the_first_one_until_it_is_ready(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("services: {}\n")
    roll = with_compose(tmp_path, IMAGE, "xtrader-a\nxtrader-b")
    assert (roll.old, roll.new) == ("xtrader-a", "xtrader-a-next")
    first, last = (
        json.loads((step.text or "").replace("!reset ", ""))["services"]
        for step in (*roll.start, *roll.switch)
        if step.file is not None
    )
    assert first["xtrader-a-next"]["image"] == IMAGE
    assert not any("profiles" in one for one in first.values())
    assert [name for name, one in last.items() if "profiles" in one] == ["xtrader-a"]
    with pytest.raises(ConfigError, match="nothing to go back to"):
        with_compose(tmp_path, None, "xtrader-a")
    (tmp_path / "xtrader-roll-a.yml").write_text(roll.switch[-1].text or "")
    assert with_compose(tmp_path, None, "xtrader-a-next").new == "xtrader-a"
    with pytest.raises(ConfigError, match="neither of xtrader-a and xtrader-a-next runs"):
        with_compose(tmp_path, IMAGE, "xtrader-b")


def test_a_cluster_is_told_the_image_and_takes_it_back(tmp_path: Path) -> None:
    roll = roll_cluster.kubernetes("a", IMAGE, 600, "xtrader", answering({"deployment/xtrader-a --output name": "deployment/a"}))
    assert "xtrader=registry/xtrader:2" in roll.start[0].command
    assert roll.undo[0].command[-3:] == ("rollout", "undo", "deployment/xtrader-a")
    with pytest.raises(ConfigError, match="it is a StatefulSet"):
        roll_cluster.kubernetes("a", IMAGE, 600, "xtrader", answering({"statefulset/xtrader-a --output name": "a"}))
    parameters = json.dumps([{"ParameterKey": "Image"}, {"ParameterKey": "Vpc"}])
    roll = roll_cluster.ecs("a", IMAGE, answering({"--output json": parameters}))
    assert roll.start[0].command[-2:] == (
        "ParameterKey=Image,ParameterValue=registry/xtrader:2",
        "ParameterKey=Vpc,UsePreviousValue=true",
    )
    with pytest.raises(ConfigError, match="there is no stack 'xtrader-a'"):
        roll_cluster.ecs("a", IMAGE, answering({}))
    with pytest.raises(ConfigError, match="name it with --to"):
        roll_cluster.ecs("a", None, answering({}))


def made(tmp_path: Path, *start: str, steady: str = "true", switch: str = "true") -> Roll:
    """A roll whose steps leave their names in a file `done`."""
    log = f"echo {{}} >>{tmp_path}/done; {{}}"
    begin = tuple(RollStep(one, ("sh", "-c", log.format("start", one))) for one in start)
    wait = RollStep("wait", ("sh", "-c", steady), steady=0.2, within=0.5)
    undo = RollStep("undo", ("sh", "-c", log.format("undo", "true")))
    return Roll(
        "old",
        "new",
        (*begin, wait),
        (undo,),
        (RollStep("switch", ("sh", "-c", log.format("switch", switch))),),
        ("echo", "no settings"),
    )


def done(tmp_path: Path) -> list[str]:
    return (tmp_path / "done").read_text().split()


def test_the_old_one_ends_when_the_new_one_has_been_ready_for_some_time(tmp_path: Path) -> None:
    perform(made(tmp_path, "true"), lambda _: None)
    assert done(tmp_path) == ["start", "switch"]


@pytest.mark.parametrize(
    ("start", "steady", "why"),
    [
        (("echo no such image >&2; exit 3",), "true", "ended with 3: no such image"),
        (("true",), "false", "not ready for 0.2 s within 0.5 s"),
    ],
)
def test_what_does_not_get_ready_is_undone_and_the_old_one_was_never_touched(
    tmp_path: Path, start: tuple[str, ...], steady: str, why: str
) -> None:
    with pytest.raises(RollUndone, match=why) as raised:
        perform(made(tmp_path, *start, steady=steady), lambda _: None)
    assert str(raised.value).startswith("undone, old records on: ")
    assert str(raised.value).endswith("; new said: no settings")
    assert done(tmp_path) == ["start", "undo"]


def test_one_that_is_ready_now_and_then_is_not_ready(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    with pytest.raises(RollUndone, match="not ready"):
        perform(made(tmp_path, "true", steady=f"if rm {flag} 2>/dev/null; then false; else touch {flag}; fi"), lambda _: None)
    assert done(tmp_path) == ["start", "undo"]


def test_what_fails_after_the_switch_is_told_and_the_new_one_stays(tmp_path: Path) -> None:
    with pytest.raises(RollUnfinished, match="new records, but old is not put away"):
        perform(made(tmp_path, "true", switch="false"), lambda _: None)
    assert done(tmp_path) == ["start", "switch"]


def test_a_file_that_a_roll_wrote_is_put_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "roll.conf"
    path.write_text("before\n")
    roll = Roll("old", "new", (RollStep("write", file=path, text="after\n"), RollStep("fail", ("false",))), (restore(path),), ())
    with pytest.raises(RollUndone):
        perform(roll, lambda _: None)
    assert path.read_text() == "before\n"


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match="'no-such-program' is not installed here"):
        ask(["no-such-program"])
