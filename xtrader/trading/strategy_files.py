"""Strategies by name or from a file, and their parameters.

The rule: what cannot be used is one sentence before anything runs; a strategy is never imported from where it does not lie.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import sys
import tomllib
import traceback
import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from xtrader.errors import ConfigError
from xtrader.trading.model.strategy import CALLBACKS

SHIPPED: Final = {"simple_spread": "SimpleSpread"}
MODULE: Final = "xtrader_user_strategy"


class LoadedStrategy(NamedTuple):
    """What runs: `make` makes one, `params_type` is its Struct of parameters (None: it has none), `text` is its source."""

    name: str
    make: Callable[[], Any]
    params_type: type[Any] | None
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of its source."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load_strategy(name: str, text: str | None = None) -> LoadedStrategy:
    """The shipped strategy of this name, or the one in this file (`text`: as it was). Raises ConfigError."""
    if name in SHIPPED:
        module = import_module(f"xtrader.trading.strategies.{name}")
        made = getattr(module, SHIPPED[name])
        return LoadedStrategy(name, made, made.Params, inspect.getsource(module))
    path = Path(name)
    if path.suffix != ".py":
        near = difflib.get_close_matches(name, SHIPPED, n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped are {', '.join(SHIPPED)}"
        raise ConfigError(f"there is no strategy '{name}': give the path of a .py file or the name of a shipped one; {hint}")
    if text is None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ConfigError(f"the strategy '{name}' cannot be read: {why}") from None
    found = _in_module(_module(path, text), name)
    params_type = getattr(found, "Params", None)
    if params_type is not None and not (isinstance(params_type, type) and issubclass(params_type, msgspec.Struct)):
        raise ConfigError(f"the strategy '{name}' has Params that are no msgspec.Struct")
    return LoadedStrategy(path.stem, found if inspect.isclass(found) else lambda: found, params_type, text)


def _module(path: Path, text: str) -> types.ModuleType:
    module = types.ModuleType(f"{MODULE}_{path.stem}")
    module.__file__ = str(path)
    # Structs and dataclasses look their module up by name.
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)  # noqa: S102
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = getattr(error, "lineno", None) or next((one.lineno for one in reversed(frames) if one.filename == str(path)), None)
        where = f" (line {line})" if line else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(f"the strategy '{path}' cannot be imported: {type(error).__name__}: {what}{where}") from None
    return module


def _in_module(module: types.ModuleType, name: str) -> Any:
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__ and any(callback in vars(value) for callback in CALLBACKS)
    ]
    found = [one for one in own if not any(one is not other and issubclass(other, one) for other in own)]
    tick = getattr(module, "on_tick", None)
    if callable(tick) and not found:
        return tick
    if len(found) != 1:
        what = f"{len(found)} classes of strategies: {', '.join(one.__name__ for one in found)}" if found else "no strategy"
        near = sorted(
            {one for value in vars(module).values() if inspect.isclass(value) for one in vars(value) if one.startswith("on_")}
        )
        hint = f"; it has {', '.join(near)}, the callbacks are {', '.join(CALLBACKS)}" if near and not found else ""
        raise ConfigError(f"'{name}' has {what}: it needs one class with callbacks such as on_quote, or a function on_tick{hint}")
    return found[0]


def params_of(name: str, config: Path | None) -> tuple[Path, dict[str, Any]]:
    """The file of parameters of a strategy, and what it says: `config`, else the one of the strategy's name beside its file where
    that is. Raises ConfigError for one that cannot be read or is no TOML."""
    path = config or Path(name).with_suffix(".toml")
    if config is None and (not name.endswith(".py") or not path.is_file()):
        return path, {}
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"the parameters '{path}' cannot be read: {why}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the parameters '{path}' are no TOML: {error}") from None


def parameters(strategy: LoadedStrategy, given: Mapping[str, Any], source: str) -> Any:
    """The parameters as the strategy's Struct; `source` is who gave them, for messages. Raises ConfigError: an unknown one, a wrong
    type."""
    kind = strategy.params_type
    names = list(kind.__struct_fields__) if kind is not None else []
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names) or 'none'}"
            raise ConfigError(f"{source} sets '{name}', which is no parameter of {strategy.name}; {hint}")
    if kind is None:
        return None
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source} has a parameter of {strategy.name} that cannot be used: {error}") from None
