"""The benchmark's server, contenders of our own and checks: what it calls right is right, and what is wrong does not count."""

import pytest

from bench import check, frames, report, run
from bench.check import Found, Wrong
from bench.contenders import CONTENDERS
from bench.cores import Cores
from bench.frames import Traffic
from bench.server import Pace


def contender(name: str) -> run.Contender:
    return next(one for one in CONTENDERS if one.name == name)


@pytest.mark.parametrize(
    ("name", "traffic"),
    [
        ("socket", frames.binance(200)),
        ("decode", frames.deribit(200)),
        ("xtrader, best", frames.deribit(200)),
        ("xtrader, journal", frames.binance(200)),
        ("xtrader, Parquet", frames.okx(200)),
    ],
    ids=lambda value: value.name if isinstance(value, Traffic) else value,
)
def test_a_contender_of_ours_loses_nothing_and_ends_with_the_book(name: str, traffic: Traffic) -> None:
    done = run.run(contender(name), traffic, Cores.here())
    assert done.lost == {}
    assert 0 < done.cpu < 60


def test_a_paced_server_tells_when_it_sent_each_frame() -> None:
    traffic = frames.okx(200)
    done = run.run(contender("xtrader, records"), traffic, Cores.here(), pace=Pace(2_000))
    assert len(done.sent["book"]) == traffic.messages
    assert done.sent["book"] == sorted(done.sent["book"])


def test_a_book_that_is_not_the_generators_does_not_count() -> None:
    traffic = frames.okx(50)
    right = Found(traffic.books, 0, traffic.levels, dict(traffic.bids), dict(traffic.asks))
    assert check.lost(traffic, right) == {}
    price = next(iter(right.bids))
    right.bids[price] += 1
    with pytest.raises(Wrong, match="bid side"):
        check.lost(traffic, right)


def test_what_is_missing_is_shown_as_lost() -> None:
    traffic = frames.binance(50)
    found = Found(traffic.books - 2, traffic.trades, None, traffic.bids, traffic.asks)
    assert check.lost(traffic, found) == {"books": 2}


def test_the_same_seed_gives_the_same_traffic() -> None:
    for make in (frames.binance, frames.okx, frames.deribit):
        assert make(30) == make(30)
        assert make(30, seed=8) != make(30)


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    rounds = {"decode": [10.0, 10.0, 20.0], "xtrader, Parquet": [30.0, 50.0, 40.0]}
    contenders = {name: [{"cpu_us": cost, "lost": {}, "memory": 0} for cost in costs] for name, costs in rounds.items()}
    table = report.table({"throughput": {"Binance mix": contenders}, "left_out": {"a peer": "no Python 3.13"}})
    assert "3.00 (wanted 4)" in table
    assert "a peer: no Python 3.13" in table


def test_the_sizing_is_the_line_through_the_ends_of_the_curves() -> None:
    cost = {"cpu_us": 0.0, "bytes_per_level": 4.0}
    curves = {
        "rate": {},
        "levels": {"5": cost | {"cpu_us": 10.0}, "33": cost | {"cpu_us": 17.0}, "405": cost | {"cpu_us": 110.0}},
        "instruments": {
            str(count): {"memory": mib << 20, "cores": 0.1, "files": 4, "messages_a_second": 5000, "seconds_to_sync": 1.0}
            for count, mib in ((1, 100), (1025, 200))
        },
    }
    table = report.table({"throughput": {}, "left_out": {}, "curves": curves})
    assert "8.8 us a message and 0.50 us a level" in table
    assert "100 MiB and 100 KiB an instrument" in table
