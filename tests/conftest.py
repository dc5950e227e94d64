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
OURS = {"XTRADER_HTTP": "off"}
os.environ.update(OURS)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: the longest tests wait, for processes and for servers."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True, scope="session")
def variables_of_the_tests_alone() -> None:
    """What says how the tests run, or how somebody records on this machine, is no setting of what they run. Helpers and tests
    have read their variables when they were imported."""
    for name in [one for one in os.environ if one.startswith("XTRADER_") and one not in OURS]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    yield
    processes.end_all()
