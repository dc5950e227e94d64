"""The rules of the house, read from the imports and the source: who may know whom, and what never appears where."""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from xtrader import sinks
from xtrader.venues import exchanges

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "xtrader"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 400

# Part of the package -> (what it may import from xtrader, what from others). Longest name first counts; a part may always import
# itself. This is the table of docs/architecture.md.
BASE = ("model", "errors")
TABLE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "errors": ((), ()),
    "clock": ((), ()),
    "durable": ((), ()),
    "quantities": ((), ()),
    "pauses": ((), ()),
    "declared": ((), ()),
    "diagnosis": ((), ("msgspec",)),
    "model": (("errors",), ("msgspec",)),
    "venues": ((*BASE, "declared"), ("msgspec", "cryptography")),
    "records": (BASE, ("msgspec", "numpy", "pyarrow")),
    "recordings": (BASE, ("msgspec", "pyarrow")),
    "feed": (
        (*BASE, "clock", "durable", "ops.facts", "ops.measure", "pauses", "venues"),
        ("msgspec", "structlog"),
    ),
    "feed.link": ((*BASE, "clock", "venues.base"), ("structlog", "websockets")),
    "feed.rest": (
        (*BASE, "clock", "feed.budget", "feed.clock_offset", "ops.facts", "pauses", "venues.base"),
        ("structlog", "aiohttp", "tenacity"),
    ),
    "renormalise": (
        (*BASE, "clock", "venues", "recordings", "feed.coverage", "feed.redundant", "feed.silence"),
        ("msgspec",),
    ),
    "pipeline": (
        (*BASE, "clock", "durable", "ops.measure", "pauses", "records", "sinks.base", "sinks.refused"),
        ("google_crc32c", "msgspec", "numpy", "pyarrow", "structlog"),
    ),
    "sinks": ((*BASE, "clock", "declared", "durable", "diagnosis", "records"), ("msgspec", "numpy", "pyarrow", "structlog")),
    "sinks.questdb": (
        (*BASE, "durable", "diagnosis", "quantities", "records", "sinks.base", "sinks.refused"),
        ("msgspec", "numpy", "pandas", "pyarrow", "questdb", "structlog"),
    ),
    "store": ((), ()),
    "store.read": (
        (
            *(*BASE, "clock", "pipeline.codec", "pipeline.cursors", "pipeline.frames", "quantities", "records"),
            *("sinks.bounds", "sinks.bucket", "sinks.buffers", "sinks.described", "sinks.manifest"),
        ),
        ("duckdb", "fsspec", "msgspec", "numpy", "pandas", "polars", "pyarrow"),
    ),
    "store.prove": (
        (
            *(*BASE, "clock", "records", "store.read", "venues.base"),
            *(f"sinks.{one}" for one in ("bounds", "bucket", "buffers", "described", "manifest")),
        ),
        ("msgspec", "numpy", "pyarrow"),
    ),
    "store.mend": (
        (*BASE, "clock", "durable", "pipeline", "records", "sinks", "store.prove", "store.read", "venues.base"),
        ("msgspec", "numpy", "pyarrow"),
    ),
    "store.report": (
        (*BASE, "clock", "records", "sinks.bounds", "sinks.described", "sinks.manifest", "store.prove", "store.read"),
        ("matplotlib", "msgspec", "numpy", "pyarrow"),
    ),
    "look": (
        (*BASE, "clock", "pipeline", "records", "store.read"),
        ("matplotlib", "msgspec", "numpy", "pyarrow", "rich", "textual"),
    ),
    "sinks.bucket": (("errors", "diagnosis"), ("obstore",)),
    "sinks.uploads": (("errors", "durable", "pauses", "sinks"), ("msgspec", "structlog")),
    "emulator": ((*BASE, "recordings"), ("msgspec", "uvloop", "websockets")),
    "settings": ((*BASE, "durable", "quantities", "sinks", "venues"), ("dotenv", "platformdirs")),
    "doctor": (
        (*BASE, "clock", "durable", "feed", "diagnosis", "ops", "pipeline", "settings", "sinks", "store", "venues"),
        ("msgspec", "structlog"),
    ),
    "deploy": ((*BASE, "settings", "sinks", "venues"), ()),
    "logs": ((*BASE, "quantities"), ("msgspec", "structlog")),
    "ops": (BASE, ("msgspec", "structlog")),
    "ops.measure": (("ops.facts",), ("numpy",)),
    "ops.http": ((*BASE, "clock", "look", "ops", "pipeline"), ("aiohttp", "msgspec", "pyarrow", "structlog", "uvloop")),
    "app": (
        (*BASE, "clock", "feed", "logs", "ops", "pauses", "pipeline", "recordings", "settings", "sinks", "venues"),
        ("msgspec", "rich", "structlog", "uvloop"),
    ),
    "trading": ((*BASE, "clock", "durable", "store.read"), ("msgspec",)),
    "trading.model": (BASE, ("msgspec",)),
    "trading.books": ((*BASE, "trading.model"), ("msgspec",)),
    "trading.risk": ((*BASE, "trading.model", "trading.books"), ("msgspec",)),
    "trading.paper": ((*BASE, "trading.model", "trading.books", "trading.risk"), ("msgspec",)),
    "trading.ledger": ((*BASE, "trading.model"), ("msgspec",)),
    "trading.core": (
        (*BASE, "trading.model", "trading.books", "trading.risk", "trading.paper", "trading.ledger"),
        ("msgspec",),
    ),
    "trading.strategies": (("model.analytics", "trading.model"), ("msgspec",)),
    "trading.stats": (("trading.model",), ("msgspec", "numpy", "pyarrow")),
    "trading.log": ((*BASE, "clock", "durable", "pipeline.frames", "trading.model"), ("msgspec",)),
    "trading.source": ((*BASE, "clock", "pipeline", "records", "store.read", "trading.model"), ("msgspec",)),
    "cli": (("",), ("click", "msgspec", "pyarrow", "rich", "structlog")),
    "__main__": (("cli",), ()),
}
OWN = ("venues", "emulator")
"""Where venues are at home."""
SAME_IN_EACH = {
    "venues": ("base",),
    "venues/*": ("fields", "listing", "market", "recorded", "session", "wire"),
    "sinks": ("base",),
    "sinks/*": ("sink",),
}
"""File names that mean the same in each package of a family: its contract, and what each venue's and each sink's package has."""
SAYS = {"cli/commands.py", "cli/options.py", "cli/demo.py"}
"""Files that show a user what a subscription looks like."""


def module(path: Path) -> str:
    """`feed.link` for xtrader/feed/link.py, `venues` for a package's __init__."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(name: str, part: str) -> bool:
    return part in ("", name) or name.startswith(part + ".")


def part_of(name: str) -> str:
    return max((part for part in TABLE if within(name, part)), key=len)


def imports(path: Path) -> Iterator[str]:
    """Full names of what a file imports; `from a import b` is a.b where that is a module of ours."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            for alias in node.names:
                inner = Path(*node.module.split("."), alias.name)
                is_module = (ROOT / inner).is_dir() or (ROOT / inner).with_suffix(".py").is_file()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def names(path: Path, name: str) -> list[str]:
    """Where a name is used as a variable or an attribute."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in nodes
        if (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Attribute) and node.attr == name)
    ]


@pytest.mark.parametrize("path", [path for path in FILES if module(path)], ids=module)
def test_a_file_imports_only_what_its_part_may(path: Path) -> None:
    name = module(path)
    part = part_of(name)
    own, others = TABLE[part]
    for imported in imports(path):
        top, _, rest = imported.partition(".")
        if top == "xtrader":
            allowed = not rest or within(rest, part.split(".")[0] if "." not in part else part) or any(within(rest, p) for p in own)
            assert allowed, f"{name} must not import {imported}"
        elif top not in sys.stdlib_module_names:
            assert top in others, f"{name} must not import {imported}"


def test_a_venue_knows_no_other_venue() -> None:
    for package in ("venues", "emulator"):
        modules = {path for path in FILES if module(path).startswith(f"{package}.")}
        venues = {exchange.split("_")[0].lower() for exchange in exchanges()}
        for path in modules:
            own = next((venue for venue in venues if module(path).split(".")[1].split("_")[0] == venue), None)
            for imported in imports(path):
                other = imported.removeprefix(f"xtrader.{package}.").split(".")[0].split("_")[0]
                if own is not None and imported.startswith(f"xtrader.{package}.") and other in venues:
                    assert other == own, f"{module(path)} must not import {imported}"


def test_no_venue_and_no_further_sink_is_named_in_shared_code() -> None:
    """The default sink's files are what a recording is: whatever reads or mends one knows them."""
    venues = {exchange.split("_")[0].lower() for exchange in exchanges()}
    others = set(sinks.names()) - {sinks.DEFAULT}
    pattern = re.compile(rf"(?<![a-z])({'|'.join(sorted(venues | others))})", re.IGNORECASE)
    for path in FILES:
        name = module(path)
        if name.split(".")[0] in OWN or any(within(name, f"sinks.{sink}") for sink in others):
            continue
        if str(path.relative_to(PACKAGE)) in SAYS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {id(one) for one in docstrings(tree)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            text = node.id if isinstance(node, ast.Name) else text
            if text and id(node) not in documented:
                assert not pattern.search(text), f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} names a venue or a sink"


def docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Strings that stand alone as statements."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def test_only_one_file_reads_the_environment() -> None:
    allowed = PACKAGE / "settings" / "environment.py"
    found = [place for path in FILES if path != allowed for name in ("environ", "getenv") for place in environment(path, name)]
    assert found == []


def environment(path: Path, name: str) -> list[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.value, ast.Name) and node.value.id == "os"
    ]


def test_nothing_prints_but_the_commands() -> None:
    allowed = (PACKAGE / "cli", PACKAGE / "emulator" / "__main__.py")
    found = [place for path in FILES if not any(path.is_relative_to(one) for one in allowed) for place in names(path, "print")]
    assert found == []


def test_pure_code_reads_no_clock() -> None:
    for path in FILES:
        if module(path).split(".")[0] in ("model", "venues", "recordings"):
            assert not {"time", "asyncio", "socket", "random", "logging"} & set(imports(path)), module(path)


def test_a_class_name_stands_for_one_thing() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_file_name_stands_for_one_thing() -> None:
    """But for what is the same thing in each of its rooms (SAME_IN_EACH), a venue's two files (it, and it emulated), and a command,
    which is named as users call it."""
    venues = {exchange.split("_")[0].lower() for exchange in exchanges()}
    places: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        parts = path.relative_to(PACKAGE).parts
        if parts[0] == "emulator" and path.stem in venues:
            continue
        if parts[0] != "cli" and path.stem not in SAME_IN_EACH.get("/".join([parts[0], *["*"] * (len(parts) - 2)]), ()):
            places[path.name].append(module(path))
    del places["__init__.py"], places["__main__.py"]
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", [path for path in FILES if module(path)], ids=module)
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST
    if path.name != "__init__.py" or text:
        assert ast.get_docstring(ast.parse(text)), "no module docstring"


def test_the_page_on_architecture_states_the_same_table() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| ([^|]*) \| [^|]* \|$", page, re.MULTILINE))
    thirds = dict(re.findall(r"^\| `([\w.]+)` \| [^|]* \| ([^|]*) \|$", page, re.MULTILINE))
    for part, (own, others) in TABLE.items():
        assert set(re.findall(r"`([\w.]+)`", rows[part])) == {one for one in own if one}, part
        assert set(re.findall(r"`([\w.]+)`", thirds[part])) == set(others), part
