"""Faults: what goes wrong at an emulated venue, and at which message. `damage.py` has what happens to the bytes.

Its one rule: what happened is told, with the numbers of what did not arrive, so that a recording can be judged by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, get_type_hints

import msgspec

from xtrader.emulator.damage import FRAMES
from xtrader.emulator.truth import FaultEvent
from xtrader.errors import ConfigError

REMEMBERED = 10_000
"""Applied faults that are kept for asking."""


class FaultKind(NamedTuple):
    """Where a fault strikes (frame, stream, socket, connect, rest, venue), and its usual seconds, code and times."""

    place: str
    seconds: float = 0.0
    code: int = 0
    times: int = 1


KINDS: dict[str, FaultKind] = {
    **{name: FaultKind("frame") for name in FRAMES},
    "crossings": FaultKind("frame", times=3),
    "reorder": FaultKind("frame"),
    "silent": FaultKind("stream", 40.0),
    "never_delivers": FaultKind("subscribe"),
    "behind": FaultKind("subscribe", 3.0),
    "close_1006": FaultKind("socket"),
    "close_1001": FaultKind("socket", code=1001),
    "no_pong": FaultKind("socket"),
    "half_open": FaultKind("socket"),
    "notice": FaultKind("socket", 10.0),
    "refuse": FaultKind("connect", code=503),
    "abort_connect": FaultKind("connect"),
    "short_life": FaultKind("connect", 2.0),
    "rest_429": FaultKind("rest", 1.0, 429),
    "rest_418": FaultKind("rest", 2.0, 418),
    "rest_5xx": FaultKind("rest", code=503),
    "rest_hang": FaultKind("rest", 30.0),
    "rest_garbage": FaultKind("rest"),
    "slow_snapshot": FaultKind("rest", 4.0),
    "stale_snapshot": FaultKind("rest"),
    "refused_snapshot": FaultKind("rest", code=400),
    "freeze": FaultKind("venue", 40.0),
    "seq_reset": FaultKind("venue"),
    "burst": FaultKind("venue"),
    "tick_change": FaultKind("venue"),
    "status_change": FaultKind("venue", 30.0),
    "expiry_change": FaultKind("venue", 3600.0),
    "delisted": FaultKind("venue", 30.0),
    "venue_clock": FaultKind("venue", 18_000.0),
}
"""Every fault. In `venue_clock` the seconds are how far the clock goes wrong, in the others how long it lasts."""

BOOKS_ONLY = ("crossed", "crossings", "undeleted", "odd_ids", "seq_reset", "slow_snapshot", "stale_snapshot", "refused_snapshot")
TRADES_ONLY = ("unknown_enum", "behind")
REMOVING = ("lost", "silent", "odd", "odd_ids", "malformed", "bad_utf8", "truncated", "compressed")


class Message(NamedTuple):
    """One message of a subscription: of a book the numbers before and after it, of trades their ids."""

    stream: str
    """L2 | TRADES"""
    symbol: str
    previous: int | None = None
    number: int | None = None
    ids: Sequence[str] = ()


class Fault(msgspec.Struct, frozen=True):
    """`kind:[STREAM:]EXCHANGE[@INSTRUMENT][:after=N][,times=N][,every=N][,seconds=S][,code=N]`.

    It strikes after `after` messages of its target that went to somebody, `times` times, at every `every`-th message; REST and
    connection faults strike the next `times` requests from then on.
    """

    kind: str
    exchange: str
    stream: str = ""
    symbol: str = ""
    after: int = 0
    times: int = 1
    every: int = 1
    seconds: float = 0.0
    code: int = 0

    @property
    def place(self) -> str:
        return KINDS[self.kind].place

    def __str__(self) -> str:
        target = f"{self.stream}:{self.exchange}" if self.stream else self.exchange
        target = f"{target}@{self.symbol}" if self.symbol else target
        options = {"after": self.after, "times": self.times, "every": self.every, "seconds": self.seconds, "code": self.code}
        kind = KINDS[self.kind]
        usual = {"after": 0, "times": kind.times, "every": 1, "seconds": kind.seconds, "code": kind.code}
        told = ",".join(f"{name}={value:g}" for name, value in options.items() if value != usual[name])
        return ":".join(filter(None, (self.kind, target, told)))

    def concerns(self, stream: str, symbol: str) -> bool:
        """Whether the target includes this subscription; an empty stream or symbol stands for all."""
        return self.stream in ("", stream) and self.symbol in ("", symbol)


def parse(text: str) -> Fault:
    """A fault from its text, see Fault. Raises ConfigError with one sentence."""
    kind, _, rest = text.strip().partition(":")
    if kind not in KINDS:
        raise ConfigError(f"unknown fault '{kind}' in '{text}'; known are {', '.join(KINDS)}")
    parts = [part for part in rest.split(":") if part]
    options = [one for part in parts if "=" in part for one in part.split(",")]
    parts = [part for part in parts if "=" not in part]
    stream = parts.pop(0).upper() if len(parts) == 2 else ""
    if len(parts) != 1 or stream not in ("", "L2", "TRADES"):
        raise ConfigError(f"fault '{text}' must be {kind}:[L2:|TRADES:]EXCHANGE[@INSTRUMENT][:after=N,times=N,…]")
    if (kind in BOOKS_ONLY and stream == "TRADES") or (kind in TRADES_ONLY and stream == "L2"):
        raise ConfigError(f"fault '{text}': {kind} is not for {stream}")
    stream = stream or ("L2" if kind in BOOKS_ONLY else "TRADES" if kind in TRADES_ONLY else "")
    exchange, _, symbol = parts[0].partition("@")
    given: dict[str, float] = {"seconds": KINDS[kind].seconds, "code": KINDS[kind].code, "times": KINDS[kind].times}
    for option in options:
        name, _, value = option.partition("=")
        try:
            if name not in ("after", "times", "every", "seconds", "code"):
                raise ValueError
            given[name] = get_type_hints(Fault)[name](value)
            if given[name] < (1 if name in ("times", "every") else 0):
                raise ValueError
        except ValueError:
            raise ConfigError(f"fault '{text}': '{option}' is no option; after, times, every, seconds and code are") from None
    return msgspec.convert({"kind": kind, "exchange": exchange.upper(), "stream": stream, "symbol": symbol, **given}, Fault)


class FaultTarget(NamedTuple):
    """Where chance may put a fault: an exchange, its symbols, and the kinds that it cannot have."""

    exchange: str
    symbols: Sequence[str]
    cannot: Collection[str] = ()


def draw(
    seed: int | str, targets: Sequence[FaultTarget], count: int, horizon: int, kinds: Sequence[str] = tuple(KINDS)
) -> list[Fault]:
    """`count` faults by chance, at messages 1 to `horizon` of one subscription each; the same for the same arguments."""
    random = Random(seed)
    drawn = []
    for _ in range(count):
        exchange, symbols, cannot = random.choice(targets)
        kind = random.choice([kind for kind in kinds if kind not in cannot])
        stream = "L2" if kind in BOOKS_ONLY else "TRADES" if kind in TRADES_ONLY else random.choice(("L2", "TRADES"))
        times, every = max(random.choice((1, 1, 1, 2, 3)), KINDS[kind].times), random.choice((1, 1, 5, 20))
        seconds = KINDS[kind].seconds * random.choice((0.5, 1.0))
        after = random.randrange(1, horizon)
        drawn.append(Fault(kind, exchange, stream, random.choice(symbols), after, times, every, seconds, KINDS[kind].code))
    return drawn


@dataclass
class _Armed:
    """A fault that has not struck as often as it shall. `until`: loop time at which one that lasts is over."""

    fault: Fault
    left: int
    next_at: int
    seen: int = 0
    until: float = 0.0


class Faults:
    """The faults of one venue: which of them a message, a connection or a request meets."""

    def __init__(self) -> None:
        self.applied: deque[FaultEvent] = deque(maxlen=REMEMBERED)
        self._waiting: list[_Armed] = []
        self._requests: list[_Armed] = []

    @property
    def armed(self) -> bool:
        """Whether any message may still meet a fault, or be told again by one."""
        return bool(self._waiting) or any(one.fault.kind == "behind" for one in self._requests)

    def pending(self) -> list[str]:
        """The faults that have not struck as often as they shall."""
        return [str(one.fault) for one in (*self._waiting, *self._requests)]

    def add(self, fault: Fault) -> None:
        """Arm a fault; one for requests that waits for no message is there at once."""
        armed = _Armed(fault, fault.times, fault.after + 1)
        at_once = fault.place in ("rest", "connect", "subscribe") and not fault.after
        (self._requests if at_once else self._waiting).append(armed)

    def met_by(self, message: Message, now: float) -> list[Fault]:
        """Count a message of a subscription, and name the faults that it meets; those that are used up are forgotten. A fault of
        a frame stays due until `struck` is called for it, because not every message has what it needs."""
        met = []
        for armed in list(self._waiting):
            fault = armed.fault
            if not fault.concerns(message.stream, message.symbol):
                continue
            if armed.until:
                if now < armed.until:
                    met.append(fault)
                    continue
                armed.until = 0.0
                if not armed.left:
                    self._waiting.remove(armed)
                    continue
            armed.seen += 1
            if armed.seen < armed.next_at or not armed.left:
                continue
            if fault.place in ("rest", "connect", "subscribe"):
                self._waiting.remove(armed)
                self._requests.append(armed)
                continue
            met.append(fault)
            if fault.place == "stream":
                armed.until = now + fault.seconds
            if fault.place != "frame":
                self._used(armed)
        return met

    def struck(self, fault: Fault) -> None:
        """A fault of a frame was carried out."""
        self._used(next(armed for armed in self._waiting if armed.fault is fault))

    def request(self, place: str, symbol: str, *, stream: str = "", kinds: Iterable[str] = KINDS) -> Fault | None:
        """The fault that a request (`rest`), a connection (`connect`) or a subscription (`subscribe`) meets."""
        for armed in self._requests:
            fault = armed.fault
            fits = (not symbol or fault.symbol in ("", symbol)) and (not stream or fault.stream in ("", stream))
            if fault.place == place and fault.kind in kinds and fits:
                armed.left -= 1
                if not armed.left:
                    self._requests.remove(armed)
                return fault
        return None

    def _used(self, armed: _Armed) -> None:
        armed.left -= 1
        armed.next_at = armed.seen + armed.fault.every
        if not armed.left and not armed.until:
            self._waiting.remove(armed)
