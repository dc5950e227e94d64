"""Work that is cut into pieces, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], pieces: Sequence[Item], workers: int) -> Iterator[tuple[Item, Result]]:
    """Every piece with what became of it, in the order in which they are done; in this process if there is only one worker."""
    if workers <= 1 or len(pieces) <= 1:
        yield from ((piece, work(piece)) for piece in pieces)
        return
    with ProcessPoolExecutor(min(workers, len(pieces)), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work, piece): piece for piece in pieces}
        for future in as_completed(futures):
            yield futures[future], future.result()
