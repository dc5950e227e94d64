"""Every command: its help has examples that can be typed, and `--version` and `--help` wait for no command."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from xtrader.cli.commands import COMMANDS
from xtrader.cli.main import cli, main

HEAVY = ("numpy", "pyarrow", "structlog", "rich", "msgspec", "asyncio", "aiohttp", "websockets", "duckdb", "matplotlib")


def every(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not command.hidden:
            yield (*path, name), command
            if isinstance(command, click.Group):
                yield from every(command, (*path, name))


PATHS = {" ".join(path): command for path, command in every(cli)}


@pytest.mark.parametrize("path", ["", *PATHS])
def test_the_help_of_every_command_ends_with_two_examples_that_can_be_typed(
    path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*path.split(), "--help"]) == 0
    _, _, shown = capsys.readouterr().out.rpartition("Examples:\n")
    examples = [line.strip() for line in shown.splitlines() if line.strip()]
    assert len(examples) >= 2
    for example in examples:
        line = re.split(r" (?:>|&&) ", example)[0]
        program, *words = shlex.split(line)
        assert program == "xtrader"
        command: click.Command = cli
        context = click.Context(cli, info_name="xtrader")
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            found = command.get_command(context, words[0])
            assert found is not None, example
            command, words = found, words[1:]
        command.make_context("xtrader", words, parent=context)
        assert line.startswith(f"xtrader {path}".strip()), example


def test_commands_are_listed_as_they_are_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = re.findall(r"^  ([a-z-]+) {2,}\S", capsys.readouterr().out.partition("Commands:\n")[2], re.MULTILINE)
    assert listed == [name for name in PATHS if " " not in name]
    assert all(PATHS[name].name == name for name in listed)
    assert all(not entry.about for name, entry in COMMANDS.items() if name.startswith("_"))


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_version_and_help_wait_for_nothing_large(word: str) -> None:
    code = f"import sys; from xtrader.cli.main import main; main([{word!r}]); print([m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verfy", "x"], "'verfy' is no command of xtrader; did you mean verify?"),
        (["zzzzzz"], "'zzzzzz' is no command of xtrader; there are book, breaker, check, "),
    ],
)
def test_what_is_no_command_is_answered_with_what_was_meant(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    text = capsys.readouterr().err
    assert text.startswith(f"xtrader: {said}")
    assert text.count("\n") == 1
