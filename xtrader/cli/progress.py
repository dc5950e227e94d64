"""A bar for work that takes long, where there is a terminal to show it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far work is: what is yielded takes bytes done and bytes to do. On standard error; nothing without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def share_bar(what: str, first: int, last: int) -> Iterator[Callable[[Any], None]]:
    """Show how far work is that goes through times from `first` to `last` (int ns): what is yielded takes the tables that are done,
    by their last time. On standard error; nothing without a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=max(1, last - first))

        def done(table: Any) -> None:
            for name in ("ts_recv", "ts", "local_timestamp"):
                if name in table.column_names and not progress.disable:
                    ts = int(table[name][-1].cast("int64").as_py()) * (1000 if name == "local_timestamp" else 1)
                    progress.update(task, completed=ts - first)
                    return

        yield done
