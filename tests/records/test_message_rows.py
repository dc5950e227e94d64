"""Rows of levels cut into messages, wherever the tables that hold them end."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from xtrader.records.message_rows import cut, whole_messages

MESSAGES = ["bba", "", "a", "bb", "", "ba"]
"""The sides of each message's rows; one without levels is a row without a side."""


def rows(messages: list[str]) -> list[tuple[str, bool]]:
    return [(side, place == max(len(one) - 1, 0)) for one in messages for place, side in enumerate(one or "-")]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_messages_are_whole_wherever_tables_end(size: int) -> None:
    columns = dict(zip(("side", "is_last"), map(list, zip(*rows([*MESSAGES, "b"]), strict=True)), strict=True))
    columns["is_last"][-1] = False  # The last one is not whole.
    table = pa.table(columns)
    found: list[str] = []
    for whole, ends in whole_messages(table.slice(start, size) for start in range(0, table.num_rows, size)):
        assert whole.num_rows == ends[-1]
        sides = np.array(whole["side"].to_pylist())
        for start, middle, stop in zip(*cut(ends, sides == "a", sides == "-"), strict=True):
            assert set(sides[start:middle]) <= {"b"}
            assert set(sides[middle:stop]) <= {"a"}
            found.append("".join(sides[start:stop]))
    assert found == MESSAGES


def test_without_empty_messages_every_row_is_a_level() -> None:
    starts, middles, stops = cut(np.array([2, 3]), np.array([0, 1, 1]))
    assert [starts.tolist(), middles.tolist(), stops.tolist()] == [[0, 2], [1, 2], [2, 3]]
    assert all(low < high for low, high in pairwise(stops.tolist()))
