"""Text recordings line by line, packed or not. One rule: no line is trusted: what cannot be right is left out, counted and named.

Memory is bounded by the longest line. `damage` collects one sentence for each kind of thing that was wrong with a file.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from xtrader.errors import ConfigError
from xtrader.recordings.events import Answered, Closed, Event, Torn
from xtrader.recordings.packed import Cut, chunks

MAX_LINE = 64 * 1024 * 1024
"""Bytes of one line. The longest real ones, catalogues of all instruments, have about 4 MB."""
NS = 1_000_000_000
EARLIEST = 1_000_000_000 * NS
LATEST = 4_102_444_800 * NS
"""The first second that has ten digits (2001), and the year 2100: what is before or after is no time of a recording."""
BACK = 10 * NS
"""So much earlier than a line before it a line may be, and so much later without that those after it must agree."""
DAY = 86_400 * NS
AHEAD = 5
"""Lines that are asked whether they agree with the one before them."""
REMEMBERED = 20_000
"""Lines among which a line may turn up a second time."""
NAMED = 5
"""Line numbers that are named of each kind of damage."""
FRAGMENT = 4096
"""Bytes of a line that was left out of which it is looked at what it was about."""
_UNITS = {10: NS, 13: 1_000_000, 16: 1_000, 19: 1}
_WORD = re.compile(rb"[A-Za-z]{1,16}")
_whole = msgspec.json.Decoder(msgspec.Raw).decode


Form = tuple[int, bool]
"""How a time is written: digits before the point, and whether there is a point."""


class Timed(NamedTuple):
    """What a line says, and how its time is written."""

    event: Event
    form: Form


Parse = Callable[[bytes], Timed | None]
"""One line; None for one that says nothing of the connection. Raises ValueError if it is not of the format."""


def lines(path: Path) -> Iterator[tuple[int, bytes | Cut]]:
    """(line number from 1, line without its end) of every line that is not blank; (number of the last one, Cut) where bytes are
    missing, its `why` made to follow a file's name. Raises ConfigError if the file cannot be read."""
    number = 0
    pending = b""
    is_too_long = False
    for chunk in chunks(path):
        if isinstance(chunk, Cut):
            if pending and _is_document(pending[pending.find(b"{") :]):
                number += 1
                yield number, pending.strip()
            yield number, Cut(f" is cut off or damaged after line {number}: {chunk.why}")
            pending, is_too_long = b"", False
            continue
        *ended, pending = (pending + chunk).split(b"\n")
        for line in ended:
            number += 1
            line = line.strip()
            if line:
                yield number, b"" if is_too_long else line
            is_too_long = False
        if len(pending) > MAX_LINE:
            pending, is_too_long = pending[:1], True
    if pending.strip():
        if _is_document(pending[pending.find(b"{") :]):
            yield number + 1, pending.strip()
        else:
            yield number, Cut(f": the last line ({number + 1}) is torn and was left out")


def first_lines(path: Path, count: int) -> list[bytes]:
    """The first lines, as far as there are so many. Raises ConfigError if the file cannot be read, or no whole line is in it."""
    found: list[bytes] = []
    cut = None
    for _, line in lines(path):
        if isinstance(line, Cut):
            cut = line
        else:
            found.append(line)
        if len(found) >= count:
            break
    if not found and cut is not None:
        raise ConfigError(f"{path} is damaged: not a line of it can be unpacked; it{cut.why}")
    return found


def ns_from_epoch(text: bytes) -> tuple[int, Form]:
    """Decimal time since the epoch -> (nanoseconds, how it is written), exactly: `1652459224.5300605` is no float.

    10 digits are seconds, 13 milliseconds, 16 microseconds, 19 nanoseconds. Raises ValueError for anything else.
    """
    whole, point, fraction = text.partition(b".")
    unit = _UNITS.get(len(whole))
    if unit is None or not whole.isdigit() or (point and not fraction.isdigit()):
        raise ValueError(f"no time: {text[:40]!r}")
    ns = int(whole) * unit + int(fraction[:9].ljust(9, b"0")) * unit // NS
    if not EARLIEST <= ns < LATEST:
        raise ValueError(f"no time of a recording: {text[:40]!r}")
    return ns, (len(whole), bool(point))


def url(text: bytes) -> str:
    """A URL. Raises ValueError if it is none."""
    found = text.decode()
    if not urlsplit(found).hostname:
        raise ValueError(f"no URL: {found[:100]!r}")
    return found


def message(payload: bytes) -> bytes:
    """What came over a socket or as an answer: a whole JSON document, or a word (`pong`). Raises ValueError for anything else."""
    if not _is_document(payload) and not _WORD.fullmatch(payload):
        raise ValueError("no whole message")
    return payload


def _is_document(text: bytes) -> bool:
    if not text.startswith((b"{", b"[")):
        return False
    try:
        _whole(text)
        text.decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


def events(path: Path, connection: str, parse: Parse, expected: str, damage: list[str]) -> Iterator[Event]:
    """The events of one file in the order of its lines; a Torn in the place of a line that was left out, a Closed where bytes are
    missing in the middle.

    `connection` is whose lines these are. `expected` is what a line looks like, for the sentence.
    Raises ConfigError if the file cannot be read.
    """
    reader = _TextReader(path, connection, parse, expected)
    try:
        yield from reader.events(damage)
    finally:
        reader.report(damage)


def _tell(damage: list[str], sentence: str) -> None:
    """Say it once: a file that holds several connections is read once for each."""
    if sentence not in damage:
        damage.append(sentence)


class _Line(NamedTuple):
    number: int
    text: bytes
    said: Timed


class _TextReader:
    """Decides which lines are believed: those that parse, are not repeated, and whose times are in line with their neighbours'."""

    def __init__(self, path: Path, connection: str, parse: Parse, expected: str) -> None:
        self._path = path
        self._connection = connection
        self._parse = parse
        self._expected = expected
        self._counts: Counter[str] = Counter()
        self._named: dict[str, list[int]] = {}
        self._form: Form | None = None
        self._last = 0
        self._order: deque[int] = deque()
        self._seen: set[int] = set()

    def events(self, damage: list[str]) -> Iterator[Event]:
        waiting: deque[_Line | Torn | Closed] = deque()
        lines_waiting = 0
        is_cut = False
        for number, text in lines(self._path):
            if isinstance(text, Cut):
                _tell(damage, f"{self._path.name}{text.why}")
                is_cut = True
                continue
            if is_cut:
                waiting.append(Closed(self._connection, 0, "the recording is cut off or damaged here"))
                is_cut = False
            try:
                said = self._parse(text)
            except ValueError:
                torn = self._torn(number, text, f"expected {self._expected}")
                before = waiting[-1] if waiting else None
                if isinstance(before, Torn):
                    waiting[-1] = before._replace(fragment=(before.fragment + torn.fragment)[:FRAGMENT])
                else:
                    waiting.append(torn)
                continue
            if said is not None:
                waiting.append(_Line(number, text, said))
                lines_waiting += 1
            while lines_waiting > AHEAD:
                lines_waiting -= isinstance(waiting[0], _Line)
                yield from self._next(waiting)
        while waiting:
            yield from self._next(waiting)

    def report(self, damage: list[str]) -> None:
        """One sentence for each reason for which lines were left out."""
        for why, count in self._counts.items():
            named = ", ".join(map(str, self._named[why])) + (", …" if count > NAMED else "")
            _tell(damage, f"{self._path.name}: {count:,} line{'s'[: count > 1]} left out ({named}): {why}")

    def _leave_out(self, number: int, why: str) -> None:
        self._counts[why] += 1
        named = self._named.setdefault(why, [])
        if len(named) < NAMED:
            named.append(number)

    def _torn(self, number: int, text: bytes, why: str) -> Torn:
        self._leave_out(number, why)
        return Torn(self._connection, 0, text[:FRAGMENT], f"line {number} of {self._path.name} cannot be used")

    def _next(self, waiting: deque[_Line | Torn | Closed]) -> Iterator[Event]:
        first = waiting.popleft()
        if not isinstance(first, _Line):
            yield first._replace(ts=self._last)
            return
        event, form = first.said
        if event.ts <= self._last and self._is_repeated(first.text):
            self._leave_out(first.number, "the same line, at the same time, stands before it")
            return
        if not self._is_in_line(event, form, [one.said for one in waiting if isinstance(one, _Line)]):
            yield self._torn(first.number, first.text, "its time is out of line with those around it")._replace(ts=self._last)
            return
        self._form = form
        self._last = max(self._last, event.ts)
        self._remember(first.text)
        yield event

    def _is_in_line(self, event: Event, form: Form, ahead: list[Timed]) -> bool:
        """True if the lines before and after agree with this one's time: how it is written, and that it comes between them."""
        if form != self._form:
            agree = sum(one.form == form for one in ahead)
            if 2 * agree < len(ahead) or (self._form is not None and not agree):
                return False
        if event.ts < self._last - BACK:
            return False
        if self._last and event.ts <= self._last + BACK:
            return True
        is_answer = type(event) is Answered
        later = [one.event.ts for one in ahead if one.form == form]
        if not later:
            return is_answer or not self._last or event.ts <= self._last + DAY
        after = [ts for ts in later if ts >= event.ts - BACK]
        is_alone = not self._last and not is_answer and min(after, default=LATEST) > event.ts + DAY
        return 2 * len(after) >= len(later) and not is_alone

    def _remember(self, text: bytes) -> None:
        key = hash(text)
        self._order.append(key)
        self._seen.add(key)
        if len(self._order) > REMEMBERED:
            self._seen.discard(self._order.popleft())

    def _is_repeated(self, text: bytes) -> bool:
        return hash(text) in self._seen
