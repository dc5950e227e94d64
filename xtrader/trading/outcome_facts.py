"""What an engine holds at the end of a run, as the facts that a report is made from."""

from __future__ import annotations

from decimal import Decimal

from xtrader.trading.core.engine import Engine
from xtrader.trading.stats.run_report import HoldingResult, RunFacts


def facts_of(engine: Engine, run: str, mode: str, digest: str) -> RunFacts:
    """The facts of a run that has ended."""
    grids = {key: slot.tradeable.grid for key, slot in engine.slots.items()}
    desk = engine.desk
    return RunFacts(
        run=run,
        mode=mode,
        digest=digest,
        first=engine.first,
        last=engine.state.now,
        counts=engine.counts,
        holdings=[_holding(engine, *place) for place in sorted(desk.ledger.positions)],
        orders=list(desk.orders.values()),
        fills=desk.fills,
        mids={order.id: (order.decision_mid, order.arrival_mid) for order in desk.orders.values()},
        codes=desk.codes,
        approved=desk.approved,
        curve=engine.keeper.curve,
        markouts=engine.markouts,
        blind={key: (one.nanoseconds, one.times) for key, one in engine.blind().items()},
        off_grid={key: grid.off_grid for key, grid in grids.items()},
        volume={(key, minute): grids[key].size(lots) for (key, minute), lots in engine.volume.items()},
        large=desk.large,
        unknown_funding=sorted(engine.unknown_funding),
        trips=engine.breaker.trips,
        states={name: one.state for name, one in engine.host.hosted.items()},
        slow=sum(one.slow for one in engine.host.hosted.values()),
    )


def _holding(engine: Engine, strategy: str, instrument: str) -> HoldingResult:
    ledger = engine.desk.ledger
    position = ledger.positions[strategy, instrument]
    parts = ledger.components[strategy, instrument]
    unrealised: Decimal | None = Decimal(0)
    if position.quantity:
        mark = engine.state.mark(instrument)
        rate = engine.keeper.usd(position.grid.quote if position.grid.is_spot else position.grid.settle)
        unrealised = None if mark is None or rate is None else position.unrealised(mark) * rate
    realised, fees, rebates, funding = (parts[name] for name in ("realised", "fees", "rebates", "funding"))
    net = None
    if realised is not None and unrealised is not None and fees is not None and rebates is not None and funding is not None:
        net = realised + unrealised - fees + rebates + funding
    return HoldingResult(
        strategy=strategy,
        instrument=instrument,
        quantity=position.quantity,
        entry=position.entry,
        realised=realised,
        unrealised=unrealised,
        fees=fees,
        rebates=rebates,
        funding=None if instrument in engine.unknown_funding and not funding else funding,
        net=net,
    )
