"""The recording processes are spared pandas, and nobody else misses it."""

import subprocess
import sys
from pathlib import Path

import msgspec

from tests.pipeline.journaling import opened
from xtrader.pipeline.delivery import DeliverySpec, Order
from xtrader.sinks.base import SinkSpec

LATER = """
import sys
from xtrader.pipeline.process_setup import set_up_process
set_up_process()
from xtrader.app import compose
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


def test_the_process_of_a_sink_imports_its_own_sink_and_nothing_of_the_recorder(tmp_path: Path) -> None:
    opened(tmp_path / "journal").close()
    sink = SinkSpec("parquet", {"directory": str(tmp_path / "data"), "upload": "", "keep_local": True}, 60.0, 1 << 30)
    spec = DeliverySpec(str(tmp_path / "journal"), "c1", sink)
    told = msgspec.json.encode(spec) + b"\n" + msgspec.json.encode(Order(0, finish=True)) + b"\n"
    command = [sys.executable, "-X", "importtime", "-m", "xtrader", "_deliver"]
    with (tmp_path / "imported").open("w") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
        assert process.stdin is not None
        process.stdin.write(told)
        process.stdin.flush()
        assert process.wait(120) == 0
        process.stdin.close()
    imported = {line.rpartition("|")[2].strip() for line in (tmp_path / "imported").read_text().splitlines()}
    assert "xtrader.sinks.parquet.sink" in imported
    assert not imported & {"pandas.core", "questdb", "aiohttp", "websockets", "xtrader.app", "xtrader.feed"}
