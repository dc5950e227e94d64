"""Records for the tests of pipeline and sinks: by Hypothesis, and by formula for load."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from xtrader.model.instrument import Instrument
from xtrader.model.market import CAUSES, SIDES, STATES, BookUpdate, Coverage, Record, Trade

DAY_START = 1_795_219_200_000_000_000
"""2026-11-21T00:00:00Z."""
KEYS = ("OKX_SWAP@BTC-USDT-SWAP", "DERIBIT@BTC-27NOV26-100000-C", "BINANCE_SPOT@币安人生USDT", "OKX_SPOT@a/b%20=c d")

keys = st.sampled_from(KEYS)
times = st.integers(DAY_START, DAY_START + 86_399_000_000_000)
optional_times = st.none() | times
sequences = st.none() | st.integers(-(2**63) + 1, 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
levels = st.lists(st.tuples(floats, floats), max_size=4)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

updates = st.builds(
    BookUpdate,
    instrument=keys,
    is_snapshot=st.booleans(),
    bids=levels,
    asks=levels,
    sequence=sequences,
    prev_sequence=sequences,
    ts_event=optional_times,
    ts_recv=times,
)
trades = st.builds(
    Trade,
    instrument=keys,
    trade_id=texts,
    side=st.sampled_from(SIDES),
    price=floats,
    size=floats,
    ts_event=optional_times,
    ts_recv=times,
    sequence=st.none(),
)
coverages = st.builds(
    Coverage,
    instrument=keys,
    stream=st.sampled_from(["L2", "TRADES"]),
    state=st.sampled_from(STATES),
    cause=st.sampled_from(CAUSES),
    ts_from=times,
    ts_to=optional_times,
    detail=texts,
)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    exchange, symbol = draw(keys).split("@")
    return Instrument(
        exchange=exchange,
        symbol=symbol,
        alias=draw(texts),
        kind="perpetual",
        base=draw(texts),
        tick_size=draw(st.none() | floats),
        contract_size=draw(st.none() | floats),
        expiry=draw(optional_times),
        is_inverse=draw(st.booleans()),
        ts=draw(times),
    )


records = st.lists(updates | trades | coverages | instruments(), max_size=20)


def update(number: int, key: str = KEYS[0], ts_recv: int | None = None) -> BookUpdate:
    """The book message with this number: every number makes another one."""
    ts = DAY_START + number * 1_000_000 if ts_recv is None else ts_recv
    bids = [(60_000.0 - place / 10, float(number + place)) for place in range(number % 4)]
    asks = [(60_001.0 + place / 10, float(number + place)) for place in range(number % 3)]
    return BookUpdate(key, number % 50 == 0, bids, asks, number, number - 1 if number % 50 else None, ts - 5, ts)


def trade(number: int, key: str = KEYS[0], ts_recv: int | None = None) -> Trade:
    ts = DAY_START + number * 1_000_000 if ts_recv is None else ts_recv
    return Trade(key, str(number), SIDES[number % 3], 60_000.0 + number, 0.5, ts - 5, ts)


def load(count: int, instruments: int = 1) -> Iterator[Record]:
    """Half book messages, half trades, spread over instruments."""
    for number in range(count):
        key = f"OKX_SWAP@SYM{number % instruments}-USDT-SWAP"
        yield update(number, key) if number % 2 else trade(number, key)
