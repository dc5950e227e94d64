"""A running QuestDB server for the tests of a file, and tables of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.sinks.questdb.server import Server

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole package; a test that stops it starts it again."""
    running = Server(tmp_path_factory.mktemp("questdb"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def prefix() -> str:
    """A table prefix that no other test has."""
    return f"t{next(_numbers)}_"
