"""What an emulated venue lists: names, price and size steps, and how numbers are written. Its one rule: numbers are integers
(ticks and lots) until they are written, exactly, as the venue writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

EXPIRY = datetime(2035, 12, 28, 8, tzinfo=UTC)
"""When the dated contracts expire: a last Friday of December, 08:00 UTC, far away."""


class Scale(NamedTuple):
    """Integer steps to text: one step is `units * 10**-decimals`. `places` pads with zeros to that many decimals; None writes no
    superfluous zero."""

    units: int
    decimals: int
    places: int | None = None

    def finer(self, units: int) -> Scale:
        """One decimal more; a step is `units` of the new last decimal for each of the old one's."""
        places = None if self.places is None else max(self.places, self.decimals + 1)
        return Scale(self.units * units, self.decimals + 1, places)

    def text(self, steps: int) -> str:
        """`steps` steps as a plain decimal number."""
        units, decimals, places = self
        digits = str(steps * units).rjust(decimals + 1, "0") if decimals else f"{steps * units}"
        if places is None:
            return f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".") if decimals else digits
        if not places:
            return digits
        return f"{digits[: len(digits) - decimals]}.{digits[len(digits) - decimals :]:0<{places}}"


class Texts(dict[int, str]):
    """Texts of steps, remembered; forgets everything at 4,096 entries."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale
        self._text = scale.text

    def __missing__(self, steps: int) -> str:
        if len(self) >= 4096:
            self.clear()
        text = self[steps] = self._text(steps)
        return text


class Coin(NamedTuple):
    """A coin's price in units of 10**-`decimals` quote, and the decimals of its sizes."""

    name: str
    price: int
    decimals: int
    size_decimals: int


MAJORS = (
    Coin("BTC", 618376, 1, 3),
    Coin("ETH", 268380, 2, 3),
    Coin("SOL", 15234, 2, 1),
    Coin("XRP", 59871, 5, 0),
    Coin("BNB", 51240, 2, 2),
    Coin("DOGE", 10233, 5, 0),
    Coin("ADA", 33740, 5, 0),
    Coin("LINK", 10244, 3, 1),
)


def coins(count: int) -> list[Coin]:
    """The first `count` coins: real names, then C008, C009, …"""
    made = [Coin(f"C{number:03d}", 8_000 + 137 * number, 1 + number % 4, number % 3) for number in range(len(MAJORS), count)]
    return [*MAJORS[:count], *made]


class ListedInstrument(NamedTuple):
    """One instrument. `price` in ticks and `size` (of a usual order) in lots say where its market starts; `contract` is the
    venue's contract size as text, "" for spot."""

    symbol: str
    kind: str
    """spot | perpetual | future | option"""
    base: str
    quote: str
    settle: str
    tick: Scale
    lot: Scale
    price: int
    size: int
    contract: str = ""
    is_inverse: bool = False
    strike: int = 0
    option_type: str = ""
    """call | put | empty"""

    @property
    def expiry(self) -> datetime | None:
        """When a future or option expires, None for the others."""
        return EXPIRY if self.kind in ("future", "option") else None
