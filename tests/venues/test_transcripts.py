"""Conversations in the venues' real wire text, line by line. One with a line `# session EXCHANGE STREAM@SYMBOL …` is played as it
stands, so a venue's is in this test by existing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.venues.transcripts import play
from xtrader.model.subscription import Subscription
from xtrader.venues import exchanges, market
from xtrader.venues.base import Link, MarketSession

DIRECTORY = Path(__file__).parent
OPENING = "# session "
PATHS = [path for path in sorted(DIRECTORY.glob("*.transcript")) if OPENING in path.read_text(encoding="utf-8")]


def session_of(path: Path) -> MarketSession:
    """The session that a transcript is of."""
    opening = next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(OPENING))
    exchange, *wanted = opening.removeprefix(OPENING).split()
    subscriptions = tuple(Subscription(stream, exchange, symbol) for stream, symbol in (text.split("@", 1) for text in wanted))
    return market(exchange, {}).session(Link(exchange, "test", "", subscriptions), "start", {})


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_transcript_comes_out_line_by_line(path: Path) -> None:
    assert play(session_of(path), path) >= 5, "a transcript that expects nothing proves nothing"


def test_every_venue_has_a_transcript() -> None:
    venues = {module.rpartition(".")[2] for module in exchanges().values()}
    assert {path.stem for path in DIRECTORY.glob("*.transcript")} >= venues
