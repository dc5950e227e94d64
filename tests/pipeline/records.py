"""Records for the tests of pipeline and sinks: by Hypothesis, and by formula for load."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import structs

from tests.pipeline.numbered import DAY_START, KEYS, trade, update
from xtrader.model.instrument import Instrument
from xtrader.model.market import CAUSES, SIDES, STATES, BookUpdate, Coverage, Record, Trade

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


INTEGERS = (-(2**63) - 1, -(2**63) + 1, -1, 0, 2**63 - 1, 2**63, 9_999_999_999_999_000_000, 2**64, 10**30)
FLOATS = (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308)
TEXTS = ("", "\0", "a\0b", "\ud800", "币", "\n", " ", '"', ",=\\", "x" * 900, "x" * 100_000)
NAMES = ("", "\0", "\ud800", "..", "/", "币" * 20, "币" * 40, "S" * 100, "S" * 300)


def extremes() -> dict[str, list[Record]]:
    """Kind and column -> records that are plain but for that column, which is at its ends and beyond."""
    exchange, _, symbol = KEYS[0].partition("@")
    plain: list[Record] = [
        Instrument(exchange=exchange, symbol=symbol, alias="BTCUSDT", kind="perpetual", ts=DAY_START),
        Coverage(KEYS[0], "L2", "live", "start", DAY_START, DAY_START),
        trade(1),
        update(7),
    ]
    floats_of = ("tick_size", "lot_size", "min_size", "contract_size", "strike", "price", "size")
    integers = ("expiry", "ts", "ts_from", "ts_to", "ids_from", "ids_to", "depth", "ts_event", "ts_recv", "prev_sequence")
    texts_of = ("alias", "base", "quote", "settle", "contract_unit", "option_type", "status", "source", "detail", "trade_id")
    values: dict[str, tuple[object, ...]] = {
        **dict.fromkeys(floats_of, (*FLOATS, 10**400)),
        **dict.fromkeys(integers, INTEGERS),
        **dict.fromkeys(texts_of, TEXTS),
        **dict.fromkeys(("exchange", "symbol"), NAMES),
        **dict.fromkeys(("bids", "asks"), tuple([(number, 1.0), (2.0, number)] for number in (*FLOATS, 10**400))),
        "instrument": ("no exchange", "", "@", *(f"OKX_SWAP@{one}" for one in NAMES)),
        "sequence": INTEGERS,
    }
    return {
        f"{type(record).__name__}.{name}": [structs.replace(record, **{name: value}) for value in values[name]]
        for record in plain
        for name in record.__struct_fields__
        if name in values and (type(record), name) != (Trade, "sequence")
    }
