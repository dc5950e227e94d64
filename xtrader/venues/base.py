"""What a venue is to the rest of xtrader: pure values in, pure values out.

The machine, in the order in which things happen:

    market.links(subscriptions)         which connections there will be, and what each carries       -> Link
    market.session(link, ...)           a fresh, pure conversation for one connection                -> MarketSession
    session.start(now)                  what to say first                                            -> Send | Fetch
    session.receive(payload, ts_recv)   one whole text message from the socket                       -> records, Send, Fetch, Ready
    session.answer(fetch, status, body, ts_recv)   the REST answer to a Fetch it asked for           -> the same
    session.idle(now)                   called about once a second                                   -> the same
    session.listen(now)                 called once, on a link for notices: ask for them             -> Send, later Relisted

Coverage as sessions tell it (the shell closes what is open when the next row of that subscription comes):
    start           `syncing` with the session's cause, open, for every subscription
    in sync         `live` with the cause of the sync, from the `ts_recv` of what completed it, open; and Ready. Again, with another
                    depth, for a book that is live already, when a deeper snapshot of it came
    chain broken    `gap` closed: from the last good message's `ts_recv` to that of the message that showed it, then open `syncing`,
                    both with cause venue_gap (or silent), and what resyncs that one instrument
    book crossed    `gap` open with cause crossed, from the message that crosses it; nothing is recorded until `live`: with the
                    message that uncrosses it (the book then, as a snapshot with that message's number), or with a new snapshot
    trades missing  `gap` closed, with the missing numbers as `ids_from` to `ids_to`, then `live`, open, from the message that
                    showed it
    trades late     `live` closed, cause filled, with the numbers that came after all and the times of the hole that they fill
    delisted        `gap` open with cause delisted and the venue's words, from the last message; `syncing` when it is known again
    by an operator  `gap` closed, cause operator, from the last good message to the command, then open `syncing`
    odd message     `gap` closed, cause malformed, from the last good message to the odd one, then open `syncing`; and a Notice

The session never sees a socket, a clock, the environment or a log. Its state dies with it: a reconnect is a new session. One
instrument's break resyncs that instrument inside the session. Whatever it returns is carried out in order.

How to add a venue: one module here with EXCHANGES and `market(exchange, options)`, one in `emulator/`, one transcript in
`tests/venues/`. No registry, no shared code with the venue's name in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from xtrader.model.book import Book
from xtrader.model.instrument import Instrument
from xtrader.model.market import Coverage, MarketRecord
from xtrader.model.subscription import Subscription
from xtrader.venues.machine.trades import SeenTrades

ORDERED = "begun anew as an operator asked"
"""What the gap row of a resync by command says."""


class Send(msgspec.Struct, frozen=True):
    """A text message for the socket. `urgent` ones (pongs, keep-alives) are not held back by pacing. `weight` counts against
    the link's send limits (for OKX the number of channels in the request)."""

    payload: str
    urgent: bool = False
    weight: int = 1


class Fetch(msgspec.Struct, frozen=True):
    """A REST request: a GET, or, with a `body`, a POST of that JSON text. `path` starts with "/" and is relative to the market's
    REST URL; `params` are its query.

    `depths` are the (limit, weight) pairs that the shell may choose from, deepest first, by the weight that is left; the
    chosen limit is added as parameter `depth_param`. Without depths the request weighs `weight`. `key` says what it is about
    (an instrument key, or "catalogue"), `purpose` is one of "snapshot", "probe", "catalogue". One that is `patient` waits until
    nobody else needs the weight. `depth` is set by the shell when it hands over the answer: the limit that was chosen, None if
    that is not known. Where an answer is one page of several, `cursor` says where it names the next one: the way to a text in its
    JSON (empty after the last page), and the parameter that asks for it.
    """

    key: str
    purpose: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    weight: int = 1
    depths: tuple[tuple[int, int], ...] = ()
    depth_param: str = "limit"
    patient: bool = False
    depth: int | None = None
    cursor: tuple[tuple[str, ...], str] | None = None
    body: str = ""

    @property
    def method(self) -> str:
        """GET | POST"""
        return "POST" if self.body else "GET"


class Ready(msgspec.Struct, frozen=True):
    """The subscription delivers: its book is in sync, or its trades were acknowledged."""

    subscription: Subscription


class Notice(msgspec.Struct, frozen=True):
    """Something that a person should read. `event` names it: "malformed" (said once for each kind of a connection), "delisted" or
    "listed" (again)."""

    event: str
    subscription: Subscription
    words: str


class Relisted(msgspec.Struct, frozen=True):
    """The venue says that its catalogue has other facts of these instruments now, by its own symbols. Any may be among them."""

    symbols: tuple[str, ...]


Output: TypeAlias = MarketRecord | Coverage | Send | Fetch | Ready | Notice | Relisted


class Link(msgspec.Struct, frozen=True):
    """One connection that is to be made. `send_limits` are (count, seconds) pairs that must all hold for what is sent."""

    exchange: str
    name: str
    """Unique among the market's links: `OKX_SWAP/0`."""
    url: str
    subscriptions: tuple[Subscription, ...]
    send_limits: tuple[tuple[int, float], ...] = ()
    lifetime: float | None = None
    """Seconds after which the venue cuts the connection; it is replaced well before."""
    notices: bool = False
    """Whether this connection is the one of its market on which the venue tells that its catalogue changed (see `listen`)."""


class Limits(msgspec.Struct, frozen=True):
    """A venue's published limits, as far as they are not part of a Link."""

    rest_weight: int
    """REST weight units per `rest_seconds` and address."""
    rest_seconds: float
    connects: int
    """Connection attempts per `connect_seconds` and address."""
    connect_seconds: float
    used_weight_header: str = ""
    """Response header that states the weight used in the current interval, empty if there is none."""


class Rules(msgspec.Struct, frozen=True):
    """What a venue's numbers prove about what was recorded of it, long after.

    `bridges`: the first change after a snapshot may begin before it and end with it, not only follow it. `trade_ids`:
    "contiguous" (each is the one before + 1), "increasing", or "unique" (nothing but that). `depth`: levels a side of the deepest
    snapshot, None where a snapshot has all. `chain` is what links the messages of a book: "numbers", a "checksum" in each,
    the numbers of all messages of a "connection", nothing where each is "whole", or "none". `numbered` says of trades what is
    checked while recording where that is more than `trade_ids`.
    """

    bridges: bool
    trade_ids: str
    depth: int | None = None
    chain: str = "numbers"
    numbered: str = ""


class Activity(msgspec.Struct):
    """What a session knows of one subscription; read by the watch and the status, written by the session only."""

    subscription: Subscription
    state: str = "syncing"
    """syncing | live | rejected"""
    messages: int = 0
    """Messages of this subscription that were taken (applied updates or trades, snapshots included)."""
    ts_last: int = 0
    """`ts_recv` of the last message of this subscription on this connection, whatever became of it; 0 before the first."""
    ts_acked: int = 0
    """When the venue acknowledged it; 0 before."""
    depth: int | None = None
    """Levels a side that the snapshot of its book was asked for; None where the venue gives all, or if it is not known."""


def counted(rare: Counter[str], messages: int, activity: Mapping[Subscription, Activity]) -> Counter[str]:
    """A session's counts: `rare` ones, counted one by one, and what follows from `messages` (all that came) and from what each
    subscription took. A Counter costs five times what an attribute does, on every message."""
    counts = rare.copy()
    taken = {stream: sum(one.messages for s, one in activity.items() if s.stream == stream) for stream in ("L2", "TRADES")}
    for name, number in (("messages", messages), ("applied", taken["L2"] - rare["snapshots"]), ("trades", taken["TRADES"])):
        if number:
            counts[name] = number
    return counts


class MarketSession(Protocol):
    """One conversation with a venue. See the module docstring for the order of calls."""

    activity: Mapping[Subscription, Activity]
    closing: bool
    """The venue announced that it will close this connection: it is to be replaced now, while it still works."""

    @property
    def counts(self) -> Counter[str]:
        """Facts counted since the session began. Common names: messages, applied, skipped, breaks, crossed, resyncs, trades,
        trade_gaps, late, duplicates, checksums, unknown, ignored, malformed; `unknown_side` and the like for unknown values."""
        ...

    def start(self, now: int) -> Iterable[Output]: ...

    def receive(self, payload: bytes | bytearray | memoryview, ts_recv: int) -> Iterable[Output]:
        """Take one whole message. The payload is valid only during the call. One that is malformed costs the subscription that
        it is of a resync; raises ProtocolError if that cannot be told, CredentialsRejected if a login failed."""
        ...

    def answer(self, fetch: Fetch, status: int, body: bytes, ts_recv: int) -> Iterable[Output]:
        """Take the answer to a Fetch (any HTTP status below 500 that is not 418 or 429)."""
        ...

    def idle(self, now: int) -> Iterable[Output]:
        """Say what is due (keep-alives, refreshes, second looks). Raises ProtocolError when the venue stopped answering."""
        ...

    def probe(self, subscription: Subscription, now: int) -> Iterable[Output]:
        """The subscription has been silent for longer than is usual: ask the venue whether it is quiet or dead. If the answer
        shows that something was missed, the session itself declares the gap (cause "silent") and resyncs."""
        ...

    def listen(self, now: int) -> Iterable[Output]:
        """Ask to be told when the venue's catalogue changes; what it tells comes as Relisted."""
        ...

    def gone(self, subscription: Subscription, since: int, words: str, now: int) -> Iterable[Output]:
        """It is known from elsewhere (its expiry) that the instrument was not there any more at `since` (int ns): it is recorded
        as delisted from then on, or from its last message if that came later, until the venue sends more of it."""
        ...

    def resync(self, subscription: Subscription, now: int) -> Iterable[Output]:
        """An operator wants this one subscription begun anew: out of sync, and asked for again, a book by a new snapshot. Nothing
        if it is not live: then it is on its way already, or refused."""
        ...

    def book(self, key: str) -> Book | None:
        """The live book of an instrument, None if it is not in sync."""
        ...

    def resume(self) -> Mapping[str, SeenTrades]:
        """Instrument key -> the trades seen, to hand to the next session."""
        ...


class Listed(NamedTuple):
    """A catalogue, as far as it can be read. `unread` says of each row that cannot be read which it is, and why; `doubtful` of each
    number that cannot be true, and therefore is None, whose it is and which."""

    instruments: list[Instrument]
    unread: list[str]
    doubtful: list[str]


class Market(Protocol):
    """One exchange token: where it is, what it lists, how its connections are cut up. Made by the venue's `market()`."""

    exchange: str
    environment: str
    """production | testnet | demo | override (the user's own URL)"""
    ws_url: str
    rest_url: str
    limits: Limits
    depth_window: str
    """What the recorded books hold, in words: "snapshot of up to 1000 levels a side, then every change"."""

    def catalogue(self, wanted: Sequence[str]) -> Sequence[Fetch]:
        """The requests that together return the instrument catalogue, as far as `wanted` (symbols or aliases) needs it."""
        ...

    def instruments(self, bodies: Sequence[bytes], now: int) -> Listed:
        """The catalogue from the bodies of those requests, in their order. Raises ProtocolError if one is no catalogue at all."""
        ...

    def guess(self, text: str) -> Instrument | None:
        """A rule-made instrument for a symbol or alias when no catalogue can be had; None if no rule fits."""
        ...

    def links(self, subscriptions: Sequence[Subscription]) -> list[Link]:
        """The connections for these subscriptions (looked up already), within the venue's limits."""
        ...

    def session(self, link: Link, cause: str, resume: Mapping[str, SeenTrades]) -> MarketSession:
        """A fresh session. `cause` (one of CAUSES) goes into its first Coverage rows; `resume` is the last session's."""
        ...
