"""What became of an intent: each check with its value and its limit, and the verdict."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from xtrader.trading.model.intents import Intent


class CheckResult(NamedTuple):
    """One check of the gate: `value` against `limit`, None where it is not known, which counts as failed."""

    code: str
    value: object
    limit: object
    is_ok: bool


class Rejected(msgspec.Struct, frozen=True):
    """An intent that does not become an order. `code` is that of the first check that failed, all are in `checks`."""

    intent: Intent
    code: str
    checks: tuple[CheckResult, ...]
    limits: str
    """SHA-256 of the limits in force."""
    ts: int
    """When it was decided, int ns."""

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """All checks that failed, in order."""
        return tuple(check for check in self.checks if not check.is_ok)
