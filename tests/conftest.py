"""For all tests: no verdict by a clock, asserts of helpers say as much as those of tests, recorders serve HTTP where asked to."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import processes

pytest.register_assert_rewrite("tests.pipeline.killing", "tests.reading", "tests.sinks.contract")
settings.register_profile("xtrader", deadline=None)
settings.load_profile("xtrader")
os.environ["XTRADER_HTTP"] = "off"


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    yield
    processes.end_all()
