"""What Binance's sessions make of real, recorded traffic."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.captures import captures
from xtrader.model.book import Book
from xtrader.model.market import BookUpdate, Coverage, Trade
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Link, Output
from xtrader.venues.binance.session import BinanceSession

Answers = dict[str, tuple[int, bytes]]
"""Symbol -> (ts_recv, body) of its recorded snapshot."""


def lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def play(session: BinanceSession, frames: Iterable[tuple[int, bytes]], answers: Answers) -> list[Output]:
    """Feed frames; a snapshot that is asked for is answered at its recorded time, or at once if that is past."""
    out: list[Output] = []
    due: list[tuple[int, Fetch, bytes]] = []

    def take(outputs: Iterable[Output], now: int) -> None:
        for item in outputs:
            out.append(item)
            if isinstance(item, Fetch):
                ts, body = answers[dict(item.params)["symbol"]]
                due.append((max(ts, now), item, body))

    take(session.start(0), 0)
    for ts, payload in frames:
        for answer in [d for d in due if d[0] <= ts]:
            due.remove(answer)
            take(session.answer(answer[1], 200, answer[2], answer[0]), answer[0])
        take(session.receive(payload, ts), ts)
    return out


def session_of(exchange: str, symbols: Iterable[str]) -> BinanceSession:
    wanted = tuple(Subscription(stream, exchange, s) for s in symbols for stream in ("L2", "TRADES"))
    session = market(exchange, {}).session(Link(exchange, "recorded", "", wanted), "start", {})
    assert isinstance(session, BinanceSession)
    return session


def rebuilt(out: Iterable[Output], key: str) -> Book:
    book = Book()
    for item in out:
        if isinstance(item, BookUpdate) and item.instrument == key:
            book.apply(item)
    return book


def ns(seconds: str) -> int:
    whole, _, part = seconds.partition(".")
    return int(whole) * 10**9 + int((part + "0" * 9)[:9])


def test_four_futures_books_join_at_their_first_candidate_and_never_break() -> None:
    folder = captures() / "recorded-1"
    answers: Answers = {}
    for line in lines(folder / "BINANCE_FUTURES.http.0.0.gz"):
        if line.startswith("https://"):
            url, rest = line.split(" -> ", 1)
            stamp, payload = rest.split(": ", 1)
            answers[parse_qs(urlsplit(url).query)["symbol"][0]] = (ns(stamp), payload.split(" header: ")[0].encode())
    frames = []
    for line in lines(folder / "BINANCE_FUTURES.ws.1.0.gz"):
        stamp, sep, payload = line.partition(": ")
        if sep and stamp.replace(".", "", 1).isdigit():
            frames.append((ns(stamp), payload.encode()))
    session = session_of("BINANCE_FUTURES", answers)
    out = play(session, frames, answers)
    counts = session.counts
    assert sum(b'"depthUpdate"' in payload for _, payload in frames) == 764
    assert (counts["applied"], counts["skipped"], counts["snapshots"]) == (752, 12, 4)
    assert (counts["trades"], counts["trade_gaps"]) == (91, 0)
    assert (counts["breaks"], counts["crossed"], counts["stale_snapshots"], counts["unknown"]) == (0, 0, 0, 0)
    assert sum(isinstance(item, Fetch) for item in out) == 4
    for symbol in answers:
        key = f"BINANCE_FUTURES@{symbol}"
        live = session.book(key)
        assert live is not None
        again = rebuilt(out, key)
        assert (again.bids.levels(), again.asks.levels()) == (live.bids.levels(), live.asks.levels())


@pytest.mark.parametrize(
    ("exchange", "name", "deltas", "skipped", "trades", "best", "levels"),
    [
        (
            "BINANCE_SPOT",
            "spot_btcusdt_20240808.gz",
            3451,
            2,
            9757,
            ((61685.99, 1.0087), (61686.00, 2.29327)),
            (1209, 2196),
        ),
        (
            "BINANCE_FUTURES",
            "usdm_btcusdt_20240808.gz",
            6551,
            4,
            21313,
            ((61659.70, 1.486), (61659.80, 0.981)),
            (5018, 4578),
        ),
    ],
)
def test_collected_session_ends_with_the_published_book(
    exchange: str,
    name: str,
    deltas: int,
    skipped: int,
    trades: int,
    best: tuple[tuple[float, float], tuple[float, float]],
    levels: tuple[int, int],
) -> None:
    answers: Answers = {}
    frames = []
    for line in lines(captures() / "recorded-2" / name):
        stamp, payload = line.split(" ", 1)
        if payload.startswith('{"lastUpdateId"'):
            answers["BTCUSDT"] = (int(stamp), payload.encode())
        else:
            frames.append((int(stamp), payload.encode()))
    session = session_of(exchange, ["BTCUSDT"])
    out = play(session, frames, answers)
    counts = session.counts
    assert (counts["applied"], counts["skipped"]) == (deltas - skipped, skipped)
    assert (counts["trades"], counts["trade_gaps"], counts["duplicates"]) == (trades, 0, 0)
    assert (counts["breaks"], counts["crossed"], counts["unknown"]) == (0, 0, 0)
    key = f"{exchange}@BTCUSDT"
    live = session.book(key)
    assert live is not None
    assert live.best() == best
    assert (len(live.bids.sizes), len(live.asks.sizes)) == levels
    again = rebuilt(out, key)
    assert (again.bids.levels(), again.asks.levels()) == (live.bids.levels(), live.asks.levels())
    ids = [item.sequence for item in out if isinstance(item, Trade)]
    assert all(b == a + 1 for a, b in itertools.pairwise(ids) if a is not None)
    assert [c for c in out if isinstance(c, Coverage) and c.state == "gap"] == []
