"""What the page on running it tells people to do can be done: its commands and metrics exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from xtrader.cli.main import cli

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "operations.md").read_text(encoding="utf-8")
METRICS = (DOCS / "metrics.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", PAGE) + [line.strip() for line in PAGE.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bxtrader_[a-z_]+[a-z]\b", PAGE)) - {"xtrader_NAME"}))
def test_a_metric_that_the_page_names_exists(name: str) -> None:
    assert f"`{re.sub('_(bucket|sum|count)$', '', name)}`" in METRICS


@pytest.mark.parametrize("line", sorted({line for line in CODE if re.match(r"xtrader [a-z]", line)}))
def test_a_command_that_the_page_names_exists_with_its_options(line: str) -> None:
    words = re.sub(r"\s+#.*", "", line).split("|")[0].split(">")[0].split()[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"there is no command '{name}' in: {line}"
        command = found
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, line
