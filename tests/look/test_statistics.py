"""What is added up is what happened: spreads by the time they held, nothing across a gap, from the last reset on."""

from pathlib import Path
from random import Random

import pytest

from tests.look.journals import INSTRUMENT, KEY, NOW, OTHER, deltas, scribe, snapshot, trade
from xtrader.clock import SECOND
from xtrader.look.live_book import LiveBook
from xtrader.look.statistics import KEPT, News, Slot, Statistics, joined
from xtrader.model.analytics import sides, spread_bps
from xtrader.model.book import Book
from xtrader.model.market import Coverage


def test_a_spread_counts_for_as_long_as_it_held() -> None:
    statistics = Statistics(NOW, 1.0)
    statistics.take(
        News(spreads=[(NOW + SECOND // 2, 4.0), (NOW + SECOND, 2.0), (NOW + SECOND, 3.0)]), NOW + SECOND, NOW + 3 * SECOND
    )
    found = statistics.summary(NOW + 3 * SECOND)
    # 2.0 held for no time at all.
    assert (found.spread_low, found.spread_high) == (1.0, 4.0)
    assert found.spread_mean == pytest.approx((0.5 + 2 + 6) / 3)
    first = NOW // SECOND
    assert [(slot.second, slot.low, slot.high, slot.held) for slot in found.slots] == [
        (first, 1.0, 4.0, SECOND),
        (first + 1, 3.0, 3.0, SECOND),
        (first + 2, 3.0, 3.0, SECOND),
    ]


def test_a_gap_has_no_spread() -> None:
    statistics = Statistics(NOW, 1.0)
    news = News(spreads=[(NOW + SECOND, None), (NOW + 5 * SECOND, 3.0)])
    statistics.take(news, NOW + 6 * SECOND, NOW + 6 * SECOND)
    found = statistics.summary(NOW + 6 * SECOND)
    assert [slot.second - NOW // SECOND for slot in found.slots] == [0, 5]
    assert found.spread_mean == 2.0


def test_only_so_many_seconds_are_remembered_and_the_sums_are_of_all() -> None:
    statistics = Statistics(NOW, 9.0)
    statistics.take(News(spreads=[(NOW + SECOND, 1.0)]), NOW + SECOND, NOW + 2 * KEPT * SECOND)
    found = statistics.summary(NOW + 2 * KEPT * SECOND)
    assert len(found.slots) == KEPT
    assert {slot.high for slot in found.slots} == {1.0}
    assert found.spread_high == 9.0


def test_trades_add_up_to_volume_vwap_and_the_share_of_buyers() -> None:
    statistics = Statistics(NOW)
    statistics.take(News(trades=[trade(1), trade(2)], updates=3), NOW + SECOND, NOW + SECOND)
    statistics.take(News(trades=[trade(3)]), NOW + 2 * SECOND, NOW + 2 * SECOND)
    found = statistics.summary(NOW + 2 * SECOND)
    assert (found.trades, found.updates, found.volume, found.bought) == (3, 3, 1.5, 4 / 6)
    assert found.vwap == pytest.approx((100.1 * 0.25 + 100.2 * 0.5 + 100.3 * 0.75) / 1.5)


def test_rates_are_those_of_the_last_seconds_and_sums_those_since_the_reset() -> None:
    statistics = Statistics(NOW)
    for tenth in range(1, 301):
        now = NOW + tenth * SECOND // 10
        statistics.take(News(updates=5 if tenth <= 150 else 1, resyncs=int(tenth == 7)), now, now)
    found = statistics.summary(NOW + 30 * SECOND)
    assert (found.updates, found.resyncs) == (150 * 5 + 150, 1)
    assert found.update_rate == pytest.approx(10.0)
    fresh = statistics.restarted(NOW + 30 * SECOND).summary(NOW + 30 * SECOND)
    assert (fresh.since, fresh.updates, fresh.resyncs, fresh.update_rate, fresh.slots) == (NOW + 30 * SECOND, 0, 0, 0.0, ())


def test_a_reset_goes_on_with_the_spread_that_there_is() -> None:
    statistics = Statistics(NOW, 5.0)
    statistics.take(News(spreads=[(NOW + SECOND, 2.0)]), NOW + SECOND, NOW + SECOND)
    fresh = statistics.restarted(NOW + 2 * SECOND)
    fresh.take(News(), NOW + 3 * SECOND, NOW + 3 * SECOND)
    found = fresh.summary(NOW + 3 * SECOND)
    assert (found.spread_low, found.spread_high) == (2.0, 2.0)


def test_slots_of_several_seconds_are_the_sums_of_theirs() -> None:
    slots = [Slot(10, 1.0, 2.0, 3.0, 2), Slot(11, 0.5, 1.0, 1.0, 1), Slot(14, 7.0, 7.0, 7.0, 1)]
    assert joined(slots, 2) == {5: Slot(10, 0.5, 2.0, 4.0, 3), 7: slots[2]}


def test_a_watch_tells_every_message_with_the_spread_after_it_however_it_is_polled(tmp_path: Path) -> None:
    random = Random(5)
    every = [snapshot(), *deltas(100)]
    book = Book()
    true = []
    for update in every:
        book.apply(update)
        true.append((update.ts_recv, spread_bps(sides(book))))
    with scribe(tmp_path) as writer:
        live_book = LiveBook(tmp_path, KEY, None)
        told, updates = [], 0
        left = list(every)
        while left:
            some, left = left[: (count := random.randrange(1, 9))], left[count:]
            writer.write(INSTRUMENT, *some, *deltas(2, key=OTHER))
            live_book.poll()
            told += live_book.news.spreads
            updates += live_book.news.updates
    assert updates == len(every)
    assert [ts for ts, _ in told] == [ts for ts, _ in true]
    assert [spread for _, spread in told] == pytest.approx([spread for _, spread in true])


def test_a_gap_is_told_once_when_it_opens_and_a_resync_when_the_book_is_live_again(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        row = writer.cover("live", "start")
        writer.write(snapshot())
        live_book = LiveBook(tmp_path, KEY, None)
        assert live_book.news == News()
        row = writer.cover("gap", "venue_gap", before=row)
        live_book.poll()
        assert ([gap.cause for gap in live_book.news.gaps], live_book.news.spreads) == (["venue_gap"], [(row.ts_from, None)])
        writer.cover("live", "venue_gap", before=row)
        live_book.poll()
        assert (live_book.news.gaps, live_book.news.resyncs) == ([], 1)
        ts = writer.clock.time
        writer.write(Coverage(KEY, "TRADES", "gap", "disconnect", ts - 2, ts - 1), Coverage(OTHER, "L2", "gap", "silent", ts, None))
        live_book.poll()
        assert ([gap.cause for gap in live_book.news.gaps], live_book.news.resyncs) == (["disconnect"], 0)
