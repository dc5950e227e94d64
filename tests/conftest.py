"""For all tests: no verdict by a clock, and helpers' asserts say as much as those of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import processes

pytest.register_assert_rewrite("tests.pipeline.killing", "tests.reading", "tests.sinks.contract")
settings.register_profile("xtrader", deadline=None)
settings.load_profile("xtrader")


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    yield
    processes.end_all()
