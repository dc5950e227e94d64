"""What the modules of a package say of themselves in literals, read from their source without importing them.

The rule: a module that is broken, slow or lacks a library is found by its name all the same, and harms nobody until it is used.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def declarations(path: tuple[str, ...], package: str, constants: tuple[str, ...]) -> Mapping[str, Mapping[str, Any]]:
    """Full name of each module in the directories of `path` -> those of `constants` that it assigns a literal at its top level;
    modules that assign none of them are left out. A module whose text is no Python declares nothing."""
    found = {}
    for module in pkgutil.iter_modules(path):
        said = _literals(_source(path, module.name), constants)
        if said:
            found[f"{package}.{module.name}"] = said
    return found


def _source(path: Iterable[str], name: str) -> str:
    for directory in path:
        for file in (Path(directory, f"{name}.py"), Path(directory, name, "__init__.py")):
            if file.is_file():
                return file.read_text(encoding="utf-8")
    return ""


def _literals(text: str, constants: Collection[str]) -> Mapping[str, Any]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return {}
    found = {}
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id in constants:
            found[target.id] = ast.literal_eval(value)
    return found
