"""CoverageTracker: at any time one open interval per subscription; every row that opens one closes the one before."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from xtrader.model.market import Coverage


class CoverageTracker:
    """Turns what sessions and the shell say into rows: an interval is written when it opens and again when it closes."""

    def __init__(self, open_rows: Iterable[Coverage] = ()) -> None:
        """`open_rows`: intervals that an earlier run left open in the same journal."""
        self._open: dict[tuple[str, str], Coverage] = {}
        self.go_on(open_rows)

    def go_on(self, open_rows: Iterable[Coverage]) -> None:
        """Continue intervals that are open in the journal already."""
        self._open.update({(row.instrument, row.stream): row for row in open_rows})

    def rows(self, row: Coverage) -> list[Coverage]:
        """The rows to write for `row`: the close of the interval that it ends, then the row itself.

        Times never run backwards within a subscription: an interval is closed no earlier than it began, and
        a loss begins no earlier than what it ends. What was filled later concerns an earlier interval, and ends none.
        """
        if row.cause == "filled":
            return [row]
        place = (row.instrument, row.stream)
        current = self._open.pop(place, None)
        rows = []
        if current is not None and row.state == "gap" and row.ts_to is None:
            row = msgspec.structs.replace(row, ts_from=max(row.ts_from, current.ts_from))
        if current is not None:
            if row.ts_to is None and row == msgspec.structs.replace(current, ts_from=row.ts_from):
                self._open[place] = current
                return []
            rows.append(msgspec.structs.replace(current, ts_to=max(current.ts_from, row.ts_from)))
        rows.append(row)
        if row.ts_to is None:
            self._open[place] = row
        return rows

    def current(self, instrument: str, stream: str) -> Coverage | None:
        """The open interval of a subscription."""
        return self._open.get((instrument, stream))

    def open_rows(self) -> list[Coverage]:
        """Every open interval."""
        return list(self._open.values())
