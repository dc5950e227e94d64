"""THE TABLE OF LIMITS: what each limit is called, its value where nobody sets one, and the value that no file can pass.

The rule: limits are on by default, and what is in force is the strictest of what anybody set. Nothing here reads a file.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

import msgspec

from xtrader.errors import ConfigError


class LimitRow(NamedTuple):
    """One limit. `ceiling` is the loosest value that a file may set. `is_least`: a larger value is the stricter one."""

    key: str
    default: Decimal
    ceiling: Decimal
    is_least: bool = False


def _row(key: str, default: str, ceiling: str, *, is_least: bool = False) -> LimitRow:
    return LimitRow(key, Decimal(default), Decimal(ceiling), is_least)


TABLE: Final = {
    row.key: row
    for row in (
        _row("max_loss.daily_usd", "500", "5000"),
        _row("max_loss.daily_loss_pct", "5", "10"),
        _row("max_loss.per_trade_usd", "50", "500"),
        _row("max_loss.adverse_move_pct", "2", "0.1", is_least=True),
        _row("position_limits.per_symbol_usd", "1000", "100000"),
        _row("position_limits.order_notional_usd", "1000", "100000"),
        _row("position_limits.gross_exposure_usd", "5000", "500000"),
        _row("position_limits.net_exposure_usd", "5000", "500000"),
        _row("position_limits.exposure_per_minute_usd", "1000", "100000"),
        _row("position_limits.max_open_orders", "50", "500"),
        _row("position_limits.max_open_orders_per_symbol", "10", "100"),
        _row("position_limits.max_positions", "3", "50"),
        _row("position_limits.max_leverage", "1", "5"),
        _row("slippage.max_bps", "25", "200"),
        _row("rate_limits.orders_per_sec", "10", "1000"),
        _row("rate_limits.burst", "20", "2000"),
        _row("rate_limits.orders_per_minute", "120", "60000"),
        _row("rate_limits.cancels_per_minute", "120", "60000"),
        _row("circuit_breakers.pnl_drawdown_pct", "5", "10"),
        _row("circuit_breakers.max_drawdown_pct", "15", "30"),
        _row("circuit_breakers.spread_bps", "100", "1000"),
        _row("circuit_breakers.price_jump_pct", "10", "25"),
        _row("circuit_breakers.consecutive_violations", "3", "10"),
        _row("price_sanity.max_deviation_from_mid_pct", "5", "20"),
        _row("price_sanity.max_book_age_ms", "1000", "60000"),
        _row("price_sanity.min_valid_price", "0.00000001", "0", is_least=True),
        _row("price_sanity.max_valid_price", "100000000", "1000000000000"),
    )
}
UNIT_ROWS: Final = {
    row.key: row
    for row in (
        _row("max_position", "1.0", "1000000"),
        _row("max_short", "1.0", "1000000"),
        _row("max_order_size", "0.5", "1000000"),
        _row("min_order_size", "0.01", "0", is_least=True),
    )
}
"""Limits of a base, in its own units: `units.BTC.max_position`. Without a file there are those of BTC."""
UNITS: Final = ("BTC",)
PROFILES: Final[Mapping[str, Mapping[str, str]]] = {
    "standard": {},
    "conservative": {
        "units.BTC.max_position": "0.5",
        "units.BTC.max_order_size": "0.1",
        "max_loss.daily_usd": "100",
    },
}
OLDER: Final = {
    "risk.max_daily_loss": "max_loss.daily_usd",
    "risk.max_position": "units.BTC.max_position",
    "risk.max_order_size": "units.BTC.max_order_size",
    "risk.max_open_orders": "position_limits.max_open_orders",
    "risk.max_drawdown_pct": "circuit_breakers.max_drawdown_pct",
    "risk.max_slippage_bps": "slippage.max_bps",
}
"""Older keys, which can only tighten."""


class LimitValue(NamedTuple):
    """One limit in force, and who set it: a file with its line, a profile, or "default"."""

    value: Decimal
    source: str


class RiskLimits(msgspec.Struct, frozen=True):
    """The limits in force: dotted key -> value and source. `digest` is the SHA-256 of the values."""

    values: Mapping[str, LimitValue]
    digest: str

    def __getitem__(self, key: str) -> Decimal:
        return self.values[key].value

    def unit(self, base: str, name: str) -> Decimal | None:
        """A limit of a base in its own units; None where there is none."""
        found = self.values.get(f"units.{base}.{name}")
        return None if found is None else found.value


class LimitFile(NamedTuple):
    """What one file, phase, venue or strategy sets: name of whoever does, dotted key -> (value, line or 0)."""

    name: str
    values: Mapping[str, tuple[Decimal, int]]
    profile: str = ""


def row_of(key: str) -> LimitRow | None:
    """The row of the table that a dotted key is of; None if there is none."""
    head, _, rest = key.partition(".")
    if head == "units":
        base, _, name = rest.rpartition(".")
        return UNIT_ROWS.get(name) if base else None
    return TABLE.get(key)


def defaults() -> dict[str, LimitValue]:
    """The limits that hold where nobody sets any."""
    found = {key: LimitValue(row.default, "default") for key, row in TABLE.items()}
    for base in UNITS:
        found |= {f"units.{base}.{name}": LimitValue(row.default, "default") for name, row in UNIT_ROWS.items()}
    return found


def limits_in_force(file: LimitFile | None = None, tighter: Sequence[LimitFile] = (), profile: str = "") -> RiskLimits:
    """The limits of a file, or the defaults for what it does not set, then the strictest of these, the profile's and `tighter`
    (phase, venue, strategy). Raises ConfigError for an unknown profile."""
    values = defaults()
    for key, (value, line) in () if file is None else file.values.items():
        if key not in OLDER:
            values[key] = LimitValue(value, f"{file.name}:{line}" if line else file.name)  # type: ignore[union-attr]
    chosen = profile or (file.profile if file is not None else "") or "standard"
    if chosen not in PROFILES:
        raise ConfigError(f"there is no profile '{chosen}' of limits; there are {', '.join(PROFILES)}")
    named = {key: (Decimal(text), 0) for key, text in PROFILES[chosen].items()}
    for one in (*([file] if file is not None else []), LimitFile(f"profile {chosen}", named), *tighter):
        for key, (value, line) in one.values.items():
            _tighten(values, OLDER.get(key, key), LimitValue(value, f"{one.name}:{line}" if line else one.name))
    return RiskLimits(values, digest(values))


def digest(values: Mapping[str, LimitValue]) -> str:
    """SHA-256 of the values, whoever set them."""
    text = "".join(f"{key}={values[key].value.normalize():f}\n" for key in sorted(values))
    return hashlib.sha256(text.encode()).hexdigest()


def _tighten(values: dict[str, LimitValue], key: str, found: LimitValue) -> None:
    row = row_of(key)
    assert row is not None, key
    current = values.get(key)
    if current is None or (found.value > current.value if row.is_least else found.value < current.value):
        values[key] = found


def read_limits(text: str, name: str) -> LimitFile:
    """The limits in TOML text; `name` is the file's, for messages. Raises ConfigError: no TOML, an unknown key, a value that is no
    number, below 0 or looser than its ceiling."""
    try:
        # Numbers stay the text that they were written as.
        found = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"'{name}' is no TOML: {error}") from None
    lines = key_lines(text)
    profile = found.pop("profile", "")
    if not isinstance(profile, str):
        raise ConfigError(f"'{name}' has the profile {profile!r}; there are {', '.join(PROFILES)}")
    # Some people write the units of a base below the position limits.
    limits = found.get("position_limits")
    if isinstance(limits, dict) and isinstance(limits.get("units"), dict):
        found.setdefault("units", {}).update(limits.pop("units"))
    values: dict[str, tuple[Decimal, int]] = {}
    for key, value in _flat(found, ""):
        line = lines.get(key, lines.get(f"position_limits.{key}", 0))
        values[key] = (_checked(key, value, f"'{name}'" + (f" line {line}" if line else "")), line)
    return LimitFile(name, values, profile)


def _checked(key: str, value: object, where: str) -> Decimal:
    row = row_of(OLDER.get(key, key))
    if row is None:
        known = [*TABLE, *OLDER, *(f"units.{key.split('.')[1] if key.count('.') == 2 else 'BTC'}.{name}" for name in UNIT_ROWS)]
        near = difflib.get_close_matches(key, known, n=2)
        raise ConfigError(
            f"{where} has the unknown limit '{key}'; " + (f"did you mean {' or '.join(near)}?" if near else "see docs/trading.md")
        )
    try:
        number = value if isinstance(value, Decimal) else Decimal(value) if type(value) in (int, str) else None  # type: ignore[arg-type]
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number < 0:
        raise ConfigError(f"{where} sets {key} to {value!r}: a limit is a number of 0 or more")
    if (number < row.ceiling) if row.is_least else (number > row.ceiling):
        side = "less" if row.is_least else "more"
        raise ConfigError(f"{where} sets {key} to {number}: it can be no {side} than {row.ceiling}")
    return number


def _flat(table: Mapping[str, object], prefix: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in table.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return found


def key_lines(text: str) -> dict[str, int]:
    """Dotted key -> the line of TOML text that sets it, as far as lines tell."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            table = bare.strip("[]").replace('"', "").replace("'", "").replace(" ", "") + "."
        elif "=" in bare and not bare.startswith("#"):
            key = bare.partition("=")[0].strip().replace('"', "").replace("'", "")
            found.setdefault(table + key, number)
    return found
