"""`xtrader _reference`: makes the page of the documentation that lists what Python programs may use."""

from __future__ import annotations

import inspect
from typing import Any

import click


@click.command("_reference", hidden=True)
def reference() -> None:
    """Print docs/api.md."""
    click.echo(page(), nl=False)


def page() -> str:
    """The page: every public name of the package, by its signature and docstring."""
    import xtrader

    parts = ["# Python reference\n\nMade from the docstrings by `xtrader _reference`; `import xtrader` gives all of these.\n"]
    for name in xtrader.__all__:
        if name != "__version__":
            parts += _entry(name, getattr(xtrader, name))
    return "\n".join(parts)


def _entry(name: str, what: Any) -> list[str]:
    if not inspect.isclass(what):
        return [f"## `xtrader.{name}`\n", _call(name, what), _text(what)]
    found = [f"## `xtrader.{name}`\n", _text(what)]
    fields = getattr(what, "__struct_fields__", ())
    if fields:
        kinds = what.__annotations__
        found.append("| field | type |\n|---|---|\n" + "\n".join(f"| `{one}` | `{_kind(kinds[one])}` |" for one in fields) + "\n")
    for method in vars(what) if not fields and not issubclass(what, BaseException) else ():
        own = inspect.getattr_static(what, method)
        if method.startswith("_") or not callable(getattr(what, method)) or not getattr(own, "__doc__", None):
            continue
        found += [f"### `{name}.{method}`\n", _call(method, own), _text(own)]
    return found


def _call(name: str, function: Any) -> str:
    return f"```python\n{name}{inspect.signature(function)}\n```\n"


def _kind(annotation: object) -> str:
    return str(annotation).replace("|", "\\|")


def _text(what: Any) -> str:
    return (inspect.getdoc(what) or "") + "\n"
