"""Every exchange, by existing: its session beside its emulated venue, through losses, repetitions and wrong orders of messages.

XTRADER_FAULTS_EACH sets how many faults each exchange has, XTRADER_FAULTS_SEED the seed; a seed replays the same faults.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.time_loop import run
from tests.venues.fuzz import mutate
from tests.venues.loopback import Loopback, names, sides
from tests.venues.recorded import rebuilt
from tests.venues.sound import is_sound
from xtrader.errors import CredentialsRejected, ProtocolError
from xtrader.model.market import BookUpdate
from xtrader.venues import exchanges

FAULTS = int(os.environ.get("XTRADER_FAULTS_EACH", "60"))
SEED = int(os.environ.get("XTRADER_FAULTS_SEED", "1"))
every = pytest.mark.parametrize("exchange", sorted(exchanges()))


@every
def test_what_is_not_disturbed_is_recorded_whole_and_without_a_gap(exchange: str) -> None:
    async def go() -> None:
        made = Loopback(exchange, SEED)
        await made.recover()
        first = len(made.sent())
        for _ in range(150):
            await made.step()
            assert made.book is not None
            assert sides(made.book) == made.true_book()
        updates = [one for one in made.records if isinstance(one, BookUpdate)]
        assert sides(rebuilt(updates)) == made.true_book()
        assert names(made.stored())[-len(made.sent()[first:]) :] == names(made.sent()[first:])
        assert made.gaps("L2") == made.gaps("TRADES") == []
        odd = {name: count for name, count in (made.of("L2").counts + made.of("TRADES").counts).items() if name in ODD}
        assert odd == {}

    run(go())


ODD = ("breaks", "crossed", "malformed", "unknown", "unknown_side", "errors", "duplicates", "trade_gaps", "late")


@every
def test_no_fault_of_the_sequence_goes_by_unseen_and_no_gap_is_without_one(exchange: str) -> None:
    happened: Counter[str] = Counter()

    async def go() -> None:
        made = Loopback(exchange, SEED)
        await made.recover()
        random, blind = made.random, made.venue.blind
        lost: set[str] = set()
        first = len(made.sent())
        number = between = 0
        while happened.total() < FAULTS:
            fate = random.choice(("fine", "fine", "fine", "lost", "doubled", "swapped", "cut"))
            gaps, before = len(made.gaps("L2")), len(made.sent())
            if fate == "cut":
                happened[fate] += 1
                made.connect()
                await made.recover()
                continue
            if fate == "swapped":
                await made.swap()
            elif fate == "lost":
                number = made.board.sequence
                await made.lose()
                # A batch that changes nothing of what the book shows is no message: a loss shows with the next one that is.
                between = made.board.sequence
                lost |= set(names(made.sent()[before:]))
                await made.step()
                while made.board.sequence == between:
                    await made.step()
            else:
                await (made.double() if fate == "doubled" else made.step())
            happened[fate] += fate != "fine"
            assert made.book is None or sides(made.book) == made.true_book(), f"after {fate}"
            if fate in ("fine", "doubled"):
                assert len(made.gaps("L2")) == gaps, f"a gap after {fate}"
            if fate == "lost" and "L2" not in blind and number != between:
                assert len(made.gaps("L2")) > gaps, "a loss went by unseen"
            await made.recover()
            updates = [one for one in made.records if isinstance(one, BookUpdate)]
            assert sides(rebuilt(updates)) == made.true_book()
            made.records = [one for one in made.records if not isinstance(one, BookUpdate)] + [snapshot(made)]
        await made.step()
        stored = names(made.stored())
        assert len(stored) == len(set(stored)), "a trade is stored twice"
        missing = set(names(made.sent()[first:])) - set(stored)
        assert missing <= lost, "a trade is missing that arrived"
        if not blind:
            assert len(declared(made)) >= len(missing), "a loss of trades went by unseen"

    run(go())
    assert all(happened[fate] for fate in ("lost", "doubled", "swapped", "cut"))


def snapshot(made: Loopback) -> BookUpdate:
    """The recorded book, in one record."""
    bids, asks = (list(side.items()) for side in made.true_book())
    return BookUpdate(made.key, True, bids, asks, None, None, None, 0)


def declared(made: Loopback) -> set[int]:
    """The numbers that rows say are missing."""
    found: set[int] = set()
    for row in made.gaps("TRADES"):
        if row.ids_from is not None and row.ids_to is not None:
            found |= set(range(row.ids_from, row.ids_to + 1))
    return found


@every
def test_damaged_messages_raise_documented_errors_only(exchange: str) -> None:
    async def go() -> None:
        made = Loopback(exchange, SEED)
        for _ in range(30):
            await made.step()
        random, texts = Random(SEED), made.frames[-60:]
        for _ in range(600):
            session, wire = random.choice(made.lines)
            try:
                for output in session.receive(mutate(random, random.choice(texts), random.choice(texts)), made.now):
                    assert is_sound(output)
            except (ProtocolError, CredentialsRejected):
                made.connect()
            wire.outbox.clear()

    run(go())


@every
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_whatever_a_field_holds_what_comes_out_is_sound(exchange: str, data: st.DataObject) -> None:
    values = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)

    async def go() -> None:
        made = Loopback(exchange, SEED)
        for _ in range(3):
            await made.step()
        text = data.draw(st.sampled_from(made.frames[-8:]))
        try:
            message = json.loads(text)
        except ValueError:
            return
        places = [(inner, name) for inner in objects(message) for name in inner]
        if places:
            inner, name = data.draw(st.sampled_from(places))
            inner[name] = data.draw(values)
        for session, _ in made.lines:
            try:
                outputs = list(session.receive(json.dumps(message).encode(), made.now))
            except (ProtocolError, CredentialsRejected):
                continue
            assert all(is_sound(output) for output in outputs)

    run(go())


def objects(value: object) -> list[dict[str, object]]:
    """All objects inside a message."""
    if isinstance(value, dict):
        return [value, *(inner for one in value.values() for inner in objects(one))]
    return [inner for one in value for inner in objects(one)] if isinstance(value, list) else []
