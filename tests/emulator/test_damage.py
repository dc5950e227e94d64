"""How faults are written and drawn, and what damage does to a message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from xtrader.emulator.damage import FRAMES
from xtrader.emulator.faults import KINDS, FaultTarget, draw, parse
from xtrader.emulator.server import Emulator
from xtrader.errors import ConfigError

DEPTH = (
    '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":2,"u":3,"pu":1,'
    '"b":[["10.0","1.0"],["9.0","0.0"]],"a":[["11.0","2.0"]]}}'
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_read_back_as_it_was_written(kind: str) -> None:
    drawn = draw(f"texts/{kind}", [FaultTarget("OKX_SWAP", ("BTC-USDT-SWAP", "ETH-USDT-SWAP"))], 50, 400, [kind])
    assert {parse(str(fault)) for fault in drawn} == set(drawn)
    assert len(set(drawn)) > 10


def test_chance_draws_the_same_faults_for_the_same_seed_and_none_that_a_venue_cannot_have() -> None:
    targets = [FaultTarget("A", ("a", "b")), FaultTarget("B", ("c",), cannot=("lost", "notice"))]
    drawn = draw(3, targets, 500, 100)
    assert drawn == draw(3, targets, 500, 100) != draw(4, targets, 500, 100)
    assert {fault.kind for fault in drawn} == set(KINDS)
    assert not [fault for fault in drawn if fault.exchange == "B" and fault.kind in ("lost", "notice")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lots:OKX_SWAP", "unknown fault 'lots'"),
        ("lost", "must be lost:"),
        ("lost:L3:OKX_SWAP", "must be lost:"),
        ("lost:OKX_SWAP:times=0", "'times=0' is no option"),
        ("lost:OKX_SWAP:after=many", "'after=many' is no option"),
        ("lost:OKX_SWAP:until=3", "'until=3' is no option"),
        ("crossed:TRADES:OKX_SWAP", "crossed is not for TRADES"),
    ],
)
def test_a_fault_that_cannot_be_read_is_told_in_one_sentence(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse(text)


@pytest.mark.parametrize("text", ["lost:OKX_SWAP@NOBODY", "slow_snapshot:OKX_SWAP", "lost:DERIBIT"])
def test_a_fault_that_a_venue_cannot_have_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"fault '{text.split(':')[0]}"):
        Emulator(["OKX_SWAP"], instruments=1, faults=[parse(text)])


def payloads(frames: Sequence[bytes] | None) -> list[Any]:
    """The JSON of unfragmented frames."""
    assert frames is not None
    found = []
    for frame in frames:
        start = {126: 4, 127: 10}.get(frame[1], 2)
        found.append(json.loads(frame[start:]))
    return found


def test_damage_changes_what_its_name_says_and_nothing_else() -> None:
    whole = json.loads(DEPTH)
    assert payloads(FRAMES["lost"](DEPTH)) == []
    assert payloads(FRAMES["duplicate"](DEPTH)) == [whole, whole]
    (huge,) = payloads(FRAMES["huge"](DEPTH))
    assert len(huge.pop("padding")) == 2 * 2**20
    assert huge == whole
    (unknown,) = payloads(FRAMES["unknown_field"](DEPTH))
    assert unknown.pop("zz_new") == unknown["data"].pop("zz_new")
    assert unknown == whole
    assert payloads(FRAMES["unknown_event"](DEPTH))[1] == whole
    assert FRAMES["unknown_enum"](DEPTH) is None
    (crossed,) = payloads(FRAMES["crossed"](DEPTH))
    assert float(crossed["data"]["b"].pop()[0]) > 11
    assert crossed == whole
    (kept,) = payloads(FRAMES["undeleted"](DEPTH))
    assert kept["data"]["b"] == [["10.0", "1.0"]]
    assert kept["data"]["a"] == whole["data"]["a"]
    assert FRAMES["undeleted"](DEPTH.replace('"0.0"', '"3.0"')) is None
    (odd,) = payloads(FRAMES["odd"](DEPTH))
    assert odd == whole | {"data": []}
    (bare,) = payloads(FRAMES["odd"](json.dumps(whole["data"])))
    assert bare == {name: whole["data"][name] for name in ("e", "s")}
    (odd,) = payloads(FRAMES["odd_ids"](DEPTH))
    assert odd["data"].pop("u") == -1
    assert odd["data"].items() <= whole["data"].items()
    for name in ("malformed", "bad_utf8"):
        with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
            payloads(FRAMES[name](DEPTH))
