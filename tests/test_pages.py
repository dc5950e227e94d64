"""What README and docs tell people to type: every line of `xtrader` is one that the program takes, and every Python block compiles.

XTRADER_DOCS=1 also builds the site, strictly, where mkdocs-material is installed.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from xtrader.cli.main import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PLACEHOLDERS = {"…": "x", "FILE…": "file", "compose|k8s|ecs|systemd|nomad": "compose"}


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of each fenced block."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def lines(page: Path) -> Iterator[str]:
    """Lines that call the program, without what a shell does with them; continued lines as one."""
    for language, text in blocks(page):
        if language not in ("", "sh", "bash", "console"):
            continue
        for line in text.replace("\\\n", " ").splitlines():
            words = re.split(r"\s#\s|\s[|;&]+\s|\s>\s?|\s&$|;\s", line.strip())[0]
            if re.match(r"(\$ )?xtrader( |$)", words):
                yield words.removeprefix("$ ")


TYPED = [(page, line) for page in PAGES for line in lines(page)]


def test_there_are_lines_to_check() -> None:
    assert len(TYPED) > 60


@pytest.mark.parametrize(("page", "line"), TYPED, ids=[f"{page.name}:{number}" for number, (page, _) in enumerate(TYPED)])
def test_every_line_of_the_program_is_one_that_it_takes(page: Path, line: str) -> None:
    _, *words = shlex.split(line)
    words = [PLACEHOLDERS.get(word, word) for word in words]
    command: click.Command = cli
    context = click.Context(cli, info_name="xtrader")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{page.name}: {line}"
        command, words = found, words[1:]
    if {"--help", "--version"} & set(words):
        return
    try:
        command.make_context("xtrader", words, parent=context)
    except click.UsageError as error:
        pytest.fail(f"{page.name}: {line}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_is_python(page: Path) -> None:
    for language, text in blocks(page):
        is_signature = text.startswith(("open(", "live(", "listen(")) or "(self" in text.split("\n")[0]
        if language == "python" and not is_signature:
            try:
                ast.parse(text)
            except SyntaxError as error:
                pytest.fail(f"{page.name}: {error.msg}, line {error.lineno} of: {text}")


def test_every_page_is_in_the_sites_list() -> None:
    listed = set(re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")} == listed


@pytest.mark.skipif(not os.environ.get("XTRADER_DOCS"), reason="XTRADER_DOCS is not set")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "site" / "search" / "search_index.json").is_file()
    assert not re.search(r'src="https?://|<link[^>]+href="https?://', (tmp_path / "site" / "index.html").read_text())
