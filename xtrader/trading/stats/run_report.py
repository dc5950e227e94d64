"""What a run came to: money by instrument and strategy, how orders fared, how the fills compare with the mids, and warnings.

The rule: what is not known is null, never 0; a run without fills, trades or prices has a report too. Ratios say by which formula.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, NamedTuple

import msgspec

from xtrader.trading.model.order_state import Execution, WorkingOrder
from xtrader.trading.stats.ratios import RATIOS, Point, ratios

CENT: Final = Decimal("0.00000001")
BPS: Final = 10_000
PARTICIPATION: Final = Decimal("0.05")


class HoldingResult(msgspec.Struct):
    """What one strategy made of one instrument, in USD; None where something was not known. `quantity` is what it still has."""

    strategy: str
    instrument: str
    quantity: Decimal
    entry: Decimal | None
    realised: Decimal | None
    unrealised: Decimal | None
    fees: Decimal | None
    rebates: Decimal | None
    funding: Decimal | None
    net: Decimal | None


class RunFacts(NamedTuple):
    """What a report is made from. `blind` is (ns without a book, times that it was lost) by instrument, `volume` what the market
    traded by instrument and minute in units of size, `curve` (ts, equity in USD)."""

    run: str
    mode: str
    digest: str
    first: int | None
    last: int
    counts: Mapping[str, int]
    holdings: Sequence[HoldingResult]
    orders: Sequence[WorkingOrder]
    fills: Sequence[Execution]
    mids: Mapping[int, tuple[Decimal | None, Decimal | None]]
    codes: Mapping[str, int]
    approved: int
    curve: Sequence[tuple[int, Decimal | None]]
    markouts: Sequence[tuple[int, int, Decimal | None]]
    blind: Mapping[str, tuple[int, int]]
    off_grid: Mapping[str, int]
    volume: Mapping[tuple[str, int], Decimal]
    large: int
    unknown_funding: Sequence[str]
    trips: Sequence[tuple[int, str]]
    states: Mapping[str, str]
    slow: int


class RunReport(msgspec.Struct):
    """See the fields; times are int ns, money in USD, shares between 0 and 1."""

    run: str
    mode: str
    digest: str
    first: int | None
    last: int
    records: Mapping[str, int]
    net: Decimal | None
    gross: Decimal | None
    fees: Decimal | None
    rebates: Decimal | None
    funding: Decimal | None
    holdings: Sequence[HoldingResult]
    begun_with: Decimal | None
    ended_with: Decimal | None
    max_drawdown_pct: float | None
    ratios: Mapping[str, float | None]
    formulas: Mapping[str, str]
    decisions: int
    approved: int
    rejections: Mapping[str, int]
    orders: int
    acknowledged: int
    filled: int
    fill_ratio: float | None
    fills: int
    maker_share: float | None
    decision_slippage_bps: float | None
    arrival_slippage_bps: float | None
    markouts_bps: Mapping[str, float | None]
    seconds_in_queue: float | None
    blind_seconds: Mapping[str, float]
    gaps: Mapping[str, int]
    strategies: Mapping[str, str]
    breaker: Sequence[str]
    warnings: Sequence[str]
    curve: Sequence[tuple[int, Decimal | None]]


def run_report(facts: RunFacts) -> RunReport:
    """The report of what a run left."""
    sums = {name: _sum(getattr(one, name) for one in facts.holdings) for name in ("net", "fees", "rebates", "funding")}
    gross = _sum(None if None in (one.realised, one.unrealised) else one.realised + one.unrealised for one in facts.holdings)  # type: ignore[operator]
    points: list[Point] = [(ts, float(worth)) for ts, worth in facts.curve if worth is not None]
    acknowledged = [order for order in facts.orders if order.ts_acked is not None]
    done = [order for order in acknowledged if order.filled]
    worth = [worth for _, worth in facts.curve if worth is not None]
    found, drawdown = ratios(points)
    return RunReport(
        run=facts.run,
        mode=facts.mode,
        digest=facts.digest,
        first=facts.first,
        last=facts.last,
        records=dict(facts.counts),
        net=sums["net"],
        gross=gross,
        fees=sums["fees"],
        rebates=sums["rebates"],
        funding=sums["funding"],
        holdings=facts.holdings,
        begun_with=worth[0] if worth else None,
        ended_with=worth[-1] if worth else None,
        max_drawdown_pct=drawdown,
        ratios=found,
        formulas=RATIOS,
        decisions=facts.approved + sum(facts.codes.values()),
        approved=facts.approved,
        rejections=dict(sorted(facts.codes.items(), key=lambda one: (-one[1], one[0]))),
        orders=len(facts.orders),
        acknowledged=len(acknowledged),
        filled=len(done),
        fill_ratio=len(done) / len(acknowledged) if acknowledged else None,
        fills=len(facts.fills),
        maker_share=_mean([float(fill.liquidity == "maker") for fill in facts.fills]),
        decision_slippage_bps=_slippage(facts, 0),
        arrival_slippage_bps=_slippage(facts, 1),
        markouts_bps=_markouts(facts),
        seconds_in_queue=_mean(_waits(facts)),
        blind_seconds={key: time / 10**9 for key, (time, _) in facts.blind.items()},
        gaps={key: times for key, (_, times) in facts.blind.items()},
        strategies=dict(facts.states),
        breaker=[what for _, what in facts.trips],
        warnings=_warnings(facts),
        curve=facts.curve,
    )


def printed(amount: Decimal | None) -> str:
    """Money as a statement prints it: rounded half-even to 8 digits, without zeros at its end; `unknown` for None."""
    if amount is None:
        return "unknown"
    text = f"{amount.quantize(CENT, ROUND_HALF_EVEN):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _sum(amounts: Any) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _sign(fill: Execution) -> int:
    return 1 if fill.side == "buy" else -1


def _slippage(facts: RunFacts, place: int) -> float | None:
    """What fills paid beyond a mid of their orders, weighted by notional; below 0 if they were better than it."""
    total = weight = Decimal(0)
    for fill in facts.fills:
        mid = facts.mids[fill.order_id][place]
        if mid:
            total += fill.quantity * _sign(fill) * (fill.price - mid) / mid
            weight += fill.quantity
    return float(total / weight * BPS) if weight else None


def _markouts(facts: RunFacts) -> dict[str, float | None]:
    """How far the mid had moved in favour of makers' fills, by seconds; below 0: against them."""
    fills = {fill.number: fill for fill in facts.fills}
    found: dict[str, list[float]] = defaultdict(list)
    for number, seconds, mid in facts.markouts:
        fill = fills[number]
        if mid is not None:
            found[f"{seconds}s"].append(float(_sign(fill) * (mid - fill.price) / fill.price * BPS))
    return {name: _mean(found[name]) for name in ("1s", "10s", "60s")}


def _waits(facts: RunFacts) -> list[float]:
    first: dict[int, int] = {}
    for fill in facts.fills:
        if fill.liquidity == "maker":
            first.setdefault(fill.order_id, fill.ts_event)
    acked = {order.id: order.ts_acked for order in facts.orders}
    return [max(0, ts - at) / 10**9 for number, ts in first.items() if (at := acked[number]) is not None]


def _warnings(facts: RunFacts) -> list[str]:
    found = []
    if facts.large:
        found.append(f"{facts.large} orders were more than 5 % of what their level displayed: the market would have seen them")
    mine: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    for fill in facts.fills:
        mine[fill.instrument, fill.ts_event // (60 * 10**9)] += fill.quantity
    much = sum(size > PARTICIPATION * facts.volume.get(place, Decimal(0)) for place, size in mine.items())
    if much:
        found.append(f"in {much} minutes the fills were more than 5 % of what the market traded")
    found += [
        f"{key}: {count} recorded levels and trades were off the grid and not used"
        for key, count in facts.off_grid.items()
        if count
    ]
    found += [f"{key}: nothing is recorded of its funding, which is not in the result" for key in facts.unknown_funding]
    found += [
        f"{key}: the book was lost {times} times, {time / 10**9:.1f} s without it"
        for key, (time, times) in facts.blind.items()
        if times
    ]
    if facts.slow:
        found.append(f"{facts.slow} callbacks of a strategy took more than 50 ms")
    if facts.fills and not any(order.ts_acked for order in facts.orders):
        found.append("there are fills of orders that were never acknowledged")
    return found
