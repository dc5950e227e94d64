"""What a recorded line that was left out means for a subscription. One rule: a gap, unless numbers prove that nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable

from xtrader.model.market import BookUpdate, Coverage, MarketRecord, Trade
from xtrader.model.subscription import Subscription
from xtrader.recordings.events import Torn


def concerned(torn: Torn, subscriptions: Iterable[Subscription]) -> list[Subscription]:
    """Which of these it may have been about: those whose names are left in it; without a name it may be any."""
    among = list(subscriptions)
    text = torn.fragment.lower()
    return [one for one in among if one.instrument.lower().encode() in text] or among


def since(torn: Torn, last: MarketRecord | None) -> int:
    """Time of the last thing that is known before it, int ns. `last` is the last record of the subscription."""
    return torn.ts if last is None else last.ts_recv


def unproved(subscription: Subscription, torn: Torn, last: MarketRecord | None, record: MarketRecord | None) -> list[Coverage]:
    """The rows to write before `record`, the first one that was taken after it; None if none came any more. `last` is the one
    before. Of a book its own chain proves what is missing, as soon as a further message comes."""
    ts = since(torn, last)
    if record is None:
        return [Coverage(subscription.key, subscription.stream, "gap", "malformed", ts, None, torn.detail)]
    if type(record) is BookUpdate:
        return []
    if type(record) is Trade:
        number = last.sequence if type(last) is Trade else None
        first = record.sequence if record.first is None else record.first
        if number is not None and first is not None and first <= number + 1:
            return []
    ts_to = max(ts, record.ts_recv)
    return [
        Coverage(subscription.key, subscription.stream, "gap", "malformed", ts, ts_to, torn.detail),
        Coverage(subscription.key, subscription.stream, "live", "malformed", ts_to, None),
    ]
