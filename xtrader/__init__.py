"""xtrader: a market-data recorder whose recordings can be proven complete."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from xtrader.app.live import listen, live
    from xtrader.errors import ConfigError, NotCovered, StorageError, VenueError, XTraderError
    from xtrader.model.book import Book
    from xtrader.model.instrument import Instrument
    from xtrader.model.market import BookUpdate, Coverage, Trade
    from xtrader.store.read.answer import Answer
    from xtrader.store.read.dataset import Dataset
    from xtrader.trading.app import TradeRun

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Book",
    "BookUpdate",
    "ConfigError",
    "Coverage",
    "Dataset",
    "Instrument",
    "NotCovered",
    "StorageError",
    "Trade",
    "VenueError",
    "XTraderError",
    "__version__",
    "listen",
    "live",
    "open",
]
_WHERE = {
    "Answer": "xtrader.store.read.answer",
    "Book": "xtrader.model.book",
    "BookUpdate": "xtrader.model.market",
    "ConfigError": "xtrader.errors",
    "Coverage": "xtrader.model.market",
    "Dataset": "xtrader.store.read.dataset",
    "Instrument": "xtrader.model.instrument",
    "NotCovered": "xtrader.errors",
    "StorageError": "xtrader.errors",
    "Trade": "xtrader.model.market",
    "VenueError": "xtrader.errors",
    "XTraderError": "xtrader.errors",
    "listen": "xtrader.app.live",
    "live": "xtrader.app.live",
}


def __getattr__(name: str) -> Any:
    # Nothing is imported before it is used: the command starts with this module.
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'xtrader' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


def open(*places: str | Path, filesystem: Any = None, journal: str | Path | None = None) -> Dataset:
    """A recording as a data set.

    `places` are directories or URLs (`s3://bucket/prefix`, whatever pyarrow or fsspec reads); several are read as one recording,
    as are several collectors in one place: what they recorded twice is there once. `filesystem` (pyarrow's or fsspec's) is
    where the places are paths of. `journal` is where the live end of the recording lies if not in `.journal` of a local
    directory. Raises ConfigError if there is no recording, OSError.
    """
    from xtrader.store.read.dataset import open_dataset

    return open_dataset(*places, filesystem=filesystem, journal=journal)


def trade(*places: str | Path, strategy: str, **options: Any) -> TradeRun:
    """Trade recordings on paper; see docs/trading.md.

    `places` are as for `open`, `strategy` is a shipped one's name or the path of a .py file. `options` are the fields of
    `xtrader.trading.app.TradeOptions`, such as `markets`, `start` and `end` (int ns), `params`, `limits_file`, `capital`, `seed`.
    The result has `report`, `directory`, and `fills`, `orders`, `positions` and `pnl` as Arrow tables. Raises ConfigError for what
    cannot be used, OSError.
    """
    from xtrader.errors import ConfigError
    from xtrader.trading.app import TradeOptions, replay

    known = TradeOptions.__struct_fields__
    for name in options:
        if name not in known:
            raise ConfigError(f"trade takes no '{name}'; it takes {', '.join(known)}")
    if options.get("mode", "replay") != "replay":
        raise ConfigError("from Python there is the mode replay; a paper run is followed by `xtrader trade --mode paper`")
    return replay(TradeOptions(strategy=strategy, places=[str(place) for place in places], **options))
