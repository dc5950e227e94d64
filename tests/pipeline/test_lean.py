"""The recording processes are spared pandas, and nobody else misses it."""

import subprocess
import sys

LATER = """
import sys
from xtrader.pipeline.lean import run_lean
run_lean()
from xtrader import app
import pyarrow as pa
column = pa.array(["a", "b"])
assert "pandas" not in sys.modules
frame = pa.table({"x": column}).to_pandas()
import pandas
assert isinstance(frame, pandas.DataFrame) and pa.array(pandas.Series([1, 2])).to_pylist() == [1, 2]
"""


def test_a_recorder_works_without_pandas_and_who_wants_it_later_has_it() -> None:
    done = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_process_of_a_sink_does_not_import_pandas() -> None:
    lane = [sys.executable, "-X", "importtime", "-m", "xtrader", "_lane"]
    imported = subprocess.run(lane, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120).stderr
    assert "xtrader.sinks.schemas" in imported
    assert "pandas.core" not in imported
