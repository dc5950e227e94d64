"""The rules of the tests themselves, read from their source: what they share is in helpers, and nothing is judged by a clock."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))


def test_nothing_is_imported_from_a_module_of_tests() -> None:
    """Whoever imports one imports its tests too, and whoever moves it breaks others: what is shared is in a helper beside it."""
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found += [f"{path.relative_to(TESTS)}: {one}" for one in modules if is_test(one)]
    assert found == []


def is_test(module: str) -> bool:
    path = TESTS.parent.joinpath(*module.split(".")).with_suffix(".py")
    return module.startswith("tests.") and path.name.startswith("test_") and path.exists()


def test_no_wait_is_a_verdict_on_the_machine() -> None:
    """A limit of some seconds is one: tests/waiting.py has the limit. A wait that shall be in vain is short, any other patient."""
    found = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if path.name not in ("waiting.py", "test_waiting.py"):
            limits = re.findall(r"(?:asyncio\.timeout|wait_for)\((?:.*, )?([\d.]+)\)", text)
            judged = re.findall(r"assert time\.monotonic\(\) <.*", text)
            found += [
                f"{path.relative_to(TESTS)}: {one}" for one in [*judged, *(limit for limit in limits if 1 < float(limit) < 60)]
            ]
    assert found == []
