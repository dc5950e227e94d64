"""The recorder with an object store as its output directory, from emulated venues to what the bucket holds."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import objectstore, reading
from tests.objectstore import KEYS, Store
from tests.running import log_of, recorder, stop, until
from tests.test_recorder import both, check_books, check_trades
from xtrader.emulator.server import Emulator
from xtrader.emulator.truth import Truth


@pytest.fixture
def store() -> Iterator[Store]:
    yield from objectstore.server()


def refuse_unknown_keys(store: Store, after: float) -> None:
    """Have the server check credentials from so many requests on."""
    request = urllib.request.Request(f"{store.url}/moto-api/reset-auth", str(after).encode(), {"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


def test_a_bucket_that_is_missing_or_closed_is_waited_for_while_recording_goes_on(store: Store, tmp_path: Path) -> None:
    variables = KEYS | {"AWS_ENDPOINT_URL": store.url, "XDG_STATE_HOME": str(tmp_path / "state"), "XTRADER_ROTATE_SECONDS": "1"}
    asked = "s3://recordings/of/mine"

    async def main() -> Truth:
        async with Emulator(["OKX_SWAP"], instruments=1, rate=500, keep_truth=True) as emulator:
            assert emulator.truth is not None
            subscriptions = both("OKX_SWAP", "BTC-USDT-SWAP")
            async with recorder(
                tmp_path, subscriptions, emulator.variables | variables, "--output-directory", asked, "--verbose"
            ) as process:
                await until(lambda: "NoSuchBucket" in log_of(tmp_path))
                refuse_unknown_keys(store, 0)
                await until(lambda: "InvalidAccessKeyId" in log_of(tmp_path))
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
