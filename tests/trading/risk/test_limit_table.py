"""Limits: on by default, tightened by anybody, loosened past their ceilings by nobody."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtrader.errors import ConfigError
from xtrader.trading.risk.limit_table import (
    OLDER,
    PROFILES,
    TABLE,
    UNIT_ROWS,
    LimitFile,
    limits_in_force,
    read_limits,
    row_of,
)

D = Decimal
STATED = {
    "max_loss.daily_usd": 500,
    "max_loss.daily_loss_pct": 5,
    "max_loss.per_trade_usd": 50,
    "max_loss.adverse_move_pct": 2,
    "position_limits.per_symbol_usd": 1000,
    "position_limits.gross_exposure_usd": 5000,
    "position_limits.net_exposure_usd": 5000,
    "position_limits.exposure_per_minute_usd": 1000,
    "position_limits.max_open_orders": 50,
    "position_limits.max_open_orders_per_symbol": 10,
    "slippage.max_bps": 25,
    "units.BTC.max_position": 1,
    "units.BTC.max_short": 1,
    "units.BTC.max_order_size": D("0.5"),
    "units.BTC.min_order_size": D("0.01"),
    "rate_limits.orders_per_sec": 10,
    "rate_limits.burst": 20,
    "rate_limits.orders_per_minute": 120,
    "rate_limits.cancels_per_minute": 120,
    "circuit_breakers.pnl_drawdown_pct": 5,
    "circuit_breakers.max_drawdown_pct": 15,
    "circuit_breakers.spread_bps": 100,
    "circuit_breakers.price_jump_pct": 10,
    "circuit_breakers.consecutive_violations": 3,
    "price_sanity.max_deviation_from_mid_pct": 5,
    "price_sanity.max_book_age_ms": 1000,
}


def test_without_a_file_the_stated_limits_hold() -> None:
    found = limits_in_force()
    assert {key: found[key] for key in STATED} == STATED
    assert {one.source for one in found.values.values()} == {"default"}


def test_a_file_names_its_line_and_may_loosen_up_to_the_ceiling() -> None:
    text = (
        '[max_loss]\n# so much\ndaily_usd = 5000\n\n[units.BTC]\nmax_position = 2.5\n[position_limits.units."ETH"]\nmax_short = 3\n'
    )
    found = limits_in_force(read_limits(text, "limits.toml"))
    assert found.values["max_loss.daily_usd"] == (D(5000), "limits.toml:3")
    assert found.values["units.BTC.max_position"] == (D("2.5"), "limits.toml:6")
    assert found.values["units.ETH.max_short"] == (D(3), "limits.toml:8")
    assert found.unit("ETH", "max_short") == 3
    assert found.unit("ETH", "max_position") is None


def test_a_profile_is_the_stricter_one() -> None:
    found = limits_in_force(read_limits("[max_loss]\ndaily_usd = 90\n", "f"), profile="conservative")
    assert found.values["max_loss.daily_usd"] == (D(90), "f:2")
    assert found.values["units.BTC.max_position"] == (D("0.5"), "profile conservative")
    assert found["units.BTC.max_order_size"] == D("0.1")
    assert limits_in_force(read_limits('profile = "conservative"\n', "f"))["max_loss.daily_usd"] == 100


def test_older_keys_only_tighten() -> None:
    assert limits_in_force(read_limits("[risk]\nmax_daily_loss = 5000\n", "f"))["max_loss.daily_usd"] == 500
    assert limits_in_force(read_limits("[risk]\nmax_daily_loss = 50\n", "f"))["max_loss.daily_usd"] == 50
    assert all(row_of(key) is not None for key in OLDER.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[max_loss]\ndaily_used = 1\n", "'f' line 2 has the unknown limit 'max_loss.daily_used'; did you mean max_loss.daily_usd"),
        ("[max_loss]\ndaily_usd = -1\n", "line 2 sets max_loss.daily_usd to .*: a limit is a number of 0 or more"),
        ("[max_loss]\ndaily_usd = nan\n", "a limit is a number of 0 or more"),
        ("[max_loss]\ndaily_usd = true\n", "a limit is a number of 0 or more"),
        ("[max_loss]\ndaily_usd = 'much'\n", "a limit is a number of 0 or more"),
        ("[max_loss]\ndaily_usd = 5000.01\n", "it can be no more than 5000"),
        ("[max_loss]\nadverse_move_pct = 0.05\n", "it can be no less than 0.1"),
        ("[units.BTC]\nmax_positon = 1\n", "did you mean units.BTC.max_position"),
        ("[max_loss\n", "'f' is no TOML"),
        ("profile = 3\n", "has the profile 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_limits(text, "f")


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no profile 'brave' of limits; there are standard, conservative"):
        limits_in_force(profile="brave")


def test_profiles_name_limits_that_exist() -> None:
    assert all(row_of(key) is not None for values in PROFILES.values() for key in values)


@given(
    st.dictionaries(st.sampled_from(sorted(TABLE)), st.integers(0, 10**7), max_size=5),
    st.dictionaries(st.sampled_from(sorted(TABLE)), st.integers(0, 10**7), max_size=5),
)
def test_whoever_adds_limits_only_makes_them_stricter(one: dict[str, int], other: dict[str, int]) -> None:
    files = [LimitFile(name, {key: (D(value), 0) for key, value in values.items()}) for name, values in (("a", one), ("b", other))]
    before, after = limits_in_force(tighter=files[:1]), limits_in_force(tighter=files)
    for key, row in TABLE.items():
        assert after[key] >= before[key] if row.is_least else after[key] <= before[key]
    assert limits_in_force(tighter=files[::-1]).digest == after.digest


def test_the_digest_is_of_the_values_alone() -> None:
    same = limits_in_force(read_limits("[max_loss]\ndaily_usd = 500.00\n", "f"))
    assert same.digest == limits_in_force().digest
    assert limits_in_force(profile="conservative").digest != same.digest


def test_no_default_is_looser_than_its_ceiling() -> None:
    for row in (*TABLE.values(), *UNIT_ROWS.values()):
        assert row.default >= row.ceiling if row.is_least else row.default <= row.ceiling
