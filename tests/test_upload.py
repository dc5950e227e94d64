"""The recorder with an object store as its output directory, from emulated venues to what the bucket holds."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import objectstore, reading
from tests.objectstore import KEYS, Road, Store
from tests.reading import check_books, check_trades
from tests.running import both, log_of, logged, recorder, stop
from tests.waiting import until, within
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth


@pytest.fixture
def store() -> Iterator[Store]:
    yield from objectstore.server()


def refuse_unknown_keys(store: Store, after: float) -> None:
    """Have the server check credentials from so many requests on."""
    request = urllib.request.Request(f"{store.url}/moto-api/reset-auth", str(after).encode(), {"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


def variables(directory: Path, address: str) -> dict[str, str]:
    return KEYS | {"AWS_ENDPOINT_URL": address, "XDG_STATE_HOME": str(directory / "state"), "XTRADER_ROTATE_SECONDS": "1"}


def test_a_bucket_that_is_missing_or_closed_is_waited_for_while_recording_goes_on(store: Store, tmp_path: Path) -> None:
    own = variables(tmp_path, store.url)
    asked = "s3://recordings/of/mine"

    async def main() -> Truth:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=500, keep_truth=True) as emulator:
            assert emulator.truth is not None
            subscriptions = both("OKX_SWAP", "BTC-USDT-SWAP")
            async with recorder(
                tmp_path, subscriptions, emulator.variables | own, "--output-directory", asked, "--verbose"
            ) as process:
                await logged(tmp_path, "NoSuchBucket")
                refuse_unknown_keys(store, 0)
                await logged(tmp_path, "InvalidAccessKeyId")
                refuse_unknown_keys(store, 1e9)
                store.make_bucket("recordings")
                await until(lambda: len(store.versions("recordings")) > 4)
                assert await stop(process) == 0, log_of(tmp_path)
            return emulator.truth

    truth = asyncio.run(main())
    assert set(store.versions("recordings").values()) == {1}
    found = store.fetch("recordings", "of/mine", tmp_path / "fetched")
    assert check_trades(found, truth, "OKX_SWAP", "BTC-USDT-SWAP") > 50
    assert check_books(found, truth, "OKX_SWAP", "BTC-USDT-SWAP") > 50
    assert reading.gaps(found, "shutdown") == []
    (spool,) = (tmp_path / "state" / "xtrader" / "spool").iterdir()
    assert not list(spool.rglob("*.parquet"))
    assert "very-secret-words" not in log_of(tmp_path)
    assert not (tmp_path / "data").exists()


def test_a_stop_while_the_store_is_away_says_that_something_is_left_and_the_next_start_uploads_it(
    store: Store, tmp_path: Path
) -> None:
    road = Road(store.port)
    store.make_bucket("recordings")
    own = variables(tmp_path, road.url) | {"XTRADER_UPLOAD_URL": "s3://recordings", "XTRADER_WORKERS": "2"}
    names = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")

    async def main() -> Truth:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=500, keep_truth=True) as emulator:
            assert emulator.truth is not None
            subscriptions = ",".join(both("OKX_SWAP", name) for name in names)
            async with recorder(tmp_path, subscriptions, emulator.variables | own) as process:
                await until(lambda: len(store.versions("recordings")) > 8)
                road.close()
                await logged(tmp_path, "upload_waits")
                assert await stop(process) == 75, log_of(tmp_path)
            road.open()
            async with recorder(tmp_path, subscriptions, emulator.variables | own, "--shutdown-after", "3") as process:
                assert await within(process.wait()) == 0, log_of(tmp_path)
            return emulator.truth

    truth = asyncio.run(main())
    road.close()
    assert set(store.versions("recordings").values()) == {1}
    found = store.fetch("recordings", "", tmp_path / "fetched")
    for name in names:
        ids = [row["trade_id"] for row in reading.rows(found, "TRADES", "OKX_SWAP", name).to_pylist()]
        assert len(ids) == len(set(ids)) > 50
        assert set(ids) <= {trade.id for trade in truth.trades("OKX_SWAP", name)}
    copies = {place: {path.relative_to(place) for path in place.rglob("*.parquet")} for place in (tmp_path / "data", found)}
    assert copies[tmp_path / "data"] == copies[found]
