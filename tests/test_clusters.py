"""A recording is read by Spark and by Dask as it lies, word for word as docs/clusters.md says it, with the same counts and bars."""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from tests import objectstore
from tests.captures import captures
from tests.needs import missing
from tests.objectstore import KEYS
from xtrader.cli.main import main

PAGE = (Path(__file__).parents[1] / "docs" / "clusters.md").read_text()
MINUTE = 60 * 10**9
Bars = dict[tuple[str, str, int], tuple[float, float, float, float, float, int]]

pytestmark = pytest.mark.slow


def needed(*names: str) -> None:
    """Skip where a package is missing; fail in CI."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            missing(f"{name} is not installed: pip install '.[clusters]'")


def example(heading: str) -> Any:
    found = re.search(rf"^## {heading}\n.*?```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return compile(found.group(1), f"docs/clusters.md, {heading}", "exec")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("clusters")
    okx = [str(path) for path in sorted((captures() / "recorded-1").glob("OKX.*"))]
    for files in (okx, [str(captures() / "recorded-2" / "usdm_btcusdt_20240808.gz")]):
        assert main(["renormalise", *files, "--output-directory", str(directory / "data")]) == 0
    return directory


@pytest.fixture(scope="module")
def expected(recording: Path) -> Bars:
    """One bar after the other, in plain Python."""
    table = ds.dataset(recording / "data" / "stream=TRADES", partitioning="hive").to_table()
    for name in ("ts_event", "ts_recv"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast("int64"))
    rows = table.filter(pc.is_valid(table["ts_event"])).to_pylist()
    rows.sort(key=lambda row: (row["ts_event"], row["ts_recv"], row["trade_id"]))
    prices: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for row in rows:
        prices.setdefault((row["exchange"], row["instrument"], row["ts_event"] // MINUTE), []).append((row["price"], row["size"]))
    return {
        place: (found[0][0], max(found)[0], min(found)[0], found[-1][0], sum(size for _, size in found), len(found))
        for place, found in prices.items()
    }


def check(found: Bars, expected: Bars) -> None:
    assert found.keys() == expected.keys()
    assert len(found) > 5
    for place, bar in found.items():
        assert bar == pytest.approx(expected[place], rel=1e-12)


def test_spark_gives_the_same_counts_and_bars(recording: Path, expected: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("pyspark")
    from pyspark.errors import AnalysisException
    from pyspark.sql import SparkSession

    if shutil.which("java") is None:
        missing("no java: Spark cannot run")
    monkeypatch.chdir(recording)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.memory", "1g")
    spark = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    try:
        with pytest.raises(AnalysisException, match="NANOS"):
            spark.read.parquet("data/stream=TRADES")
        names: dict[str, Any] = {}
        exec(example("Spark"), names)
        assert dict(names["bars"].dtypes)["minute"] == "bigint"
        check({tuple(row[:3]): tuple(row[3:]) for row in names["bars"].collect()}, expected)
        for stream in ("TRADES", "L2"):
            rows = ds.dataset(recording / "data" / f"stream={stream}", partitioning="hive").count_rows()
            assert spark.read.parquet(f"data/stream={stream}").count() == rows > 0
    finally:
        spark.stop()


@pytest.fixture
def bucket(recording: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for store in objectstore.server():
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": store.url}).items():
            monkeypatch.setenv(name, value)
        store.make_bucket("recordings")
        for path in (recording / "data").rglob("*.parquet"):
            store.client.upload_file(str(path), "recordings", f"a/{path.relative_to(recording / 'data')}")
        yield "s3://recordings/a"


def test_dask_on_two_processes_gives_the_same_counts_and_bars(
    recording: Path, expected: Bars, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("dask.dataframe", "distributed")
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    monkeypatch.chdir(recording)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, Client(cluster):
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(example("Dask"), names)
        rows = names["bars"].itertuples(index=False)
        check({(row[0], row[1], row[2].value // MINUTE): tuple(row[3:]) for row in rows}, expected)
        for stream in ("TRADES", "L2"):
            count = ds.dataset(recording / "data" / f"stream={stream}", partitioning="hive").count_rows()
            assert len(dd.read_parquet(f"{bucket}/stream={stream}", filesystem="arrow")) == count > 0
