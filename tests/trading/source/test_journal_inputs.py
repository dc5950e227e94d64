"""Following a journal: each record once, and what was missed is a gap, never a jump."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trading.market import KEY, START, live
from xtrader.errors import NotCovered
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage
from xtrader.pipeline.follow import FellBehind
from xtrader.pipeline.frames import Damaged
from xtrader.trading.model.inputs import Input
from xtrader.trading.source import journal_inputs
from xtrader.trading.source.journal_inputs import JournalInputs


class Following:
    """A journal of which the first reading after the beginning brings `brings`."""

    def __init__(self, *brings: Any) -> None:
        self.journal = Path(".")
        self.state = self
        self.alive = START
        self.open = {(KEY, "L2"): live(), ("OKX_SWAP@X", "L2"): live("OKX_SWAP@X")}
        self._brings = [[], list(brings)]

    def payloads(self) -> Iterator[Any]:
        for one in self._brings.pop(0) if self._brings else []:
            if isinstance(one, Exception):
                raise one
            yield one


class Recording:
    def __init__(self, *, has_book: bool = True) -> None:
        self._has_book = has_book

    def book_at(self, key: str, ts: int) -> Book:
        assert ts == START - 1
        if not self._has_book:
            raise NotCovered(key, ts, "unknown", "", None, None, "")
        book = Book()
        book.bids.apply([(100.0, 1.0)])
        return book


class Ticking:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> int:
        self.time += 1
        return self.time

    def monotonic(self) -> int:
        return self.time


def read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: list[Following], count: int, **facts: bool
) -> tuple[JournalInputs, list[Input]]:
    """The first inputs, up to `count`, of a recorder whose journals are `found`, one after the other."""
    monkeypatch.setattr(journal_inputs, "tracks", lambda directory: [found.pop(0)] if len(found) > 1 else [found[0]])
    taken: list[Input] = []
    source = JournalInputs(Recording(**facts), tmp_path, [KEY], Ticking(), lambda: len(taken) >= count)  # type: ignore[arg-type]
    for one in source:
        taken.append(one)
    return source, taken


def test_it_begins_with_the_books_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, taken = read(monkeypatch, tmp_path, [Following()], 3)
    first, second, third = (one.record for one in taken)
    assert isinstance(first, Coverage)
    assert (first.instrument, first.state) == (KEY, "live")
    assert second == BookUpdate(KEY, True, [(100.0, 1.0)], [], None, None, None, START)
    assert third is None
    assert [one.ts for one in taken] == [START] * 3
    assert taken[0].now < taken[1].now < taken[2].now


def test_a_book_that_nobody_has_is_not_made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, taken = read(monkeypatch, tmp_path, [Following()], 3, has_book=False)
    assert [type(one.record) for one in taken] == [Coverage, type(None), type(None)]


def test_a_journal_that_was_lost_is_a_gap_and_then_begins_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, taken = read(monkeypatch, tmp_path, [Following(FellBehind()), Following()], 5)
    states = [one.record.state if isinstance(one.record, Coverage) else type(one.record).__name__ for one in taken]
    assert states == ["live", "BookUpdate", "gap", "live", "BookUpdate"]
    assert source.lost == 1


def test_damage_in_the_journal_is_a_gap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, taken = read(monkeypatch, tmp_path, [Following(Damaged(0, 8))], 3)
    assert isinstance(taken[2].record, Coverage)
    assert (taken[2].record.state, taken[2].record.cause) == ("gap", "storage")
    assert source.lost == 1
