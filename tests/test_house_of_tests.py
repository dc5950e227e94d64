"""The rules of the tests themselves, read from their source: what they share is in helpers, and nothing is judged by a clock."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.covered import COVERED

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


def test_each_source_file_has_its_test_or_is_listed_with_the_one_that_covers_it() -> None:
    """The mirror: xtrader/a/b.py has tests/a/test_b.py (or tests/test_a_b.py), else a place in the table of tests/covered.py."""
    package = TESTS.parent / "xtrader"
    listed = {source: test for test, sources in COVERED.items() for source in sources}
    assert len(listed) == sum(map(len, COVERED.values())), "a file is listed twice"
    assert [test for test in COVERED if not (TESTS / test).is_file()] == []
    assert [source for source in listed if not (package / source).is_file()] == []
    for path in sorted(package.rglob("*.py")):
        source = path.relative_to(package)
        if path.stem not in ("__init__", "__main__"):
            own = any((TESTS / name).is_file() for name in names_of_tests(source))
            assert own or str(source) in listed, f"{source} has no test of its name: write one or list it in tests/covered.py"
            assert not (own and str(source) in listed), f"{source} has a test of its name: take it out of tests/covered.py"


def names_of_tests(source: Path) -> tuple[Path, Path]:
    """Beside its mirror, or with the name of its package before its own."""
    return source.parent / f"test_{source.stem}.py", source.parent.parent / f"test_{source.parent.name}_{source.stem}.py"
