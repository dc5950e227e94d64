"""The exception tree. Errors carry data and build their text in `__str__`; `retryable` is the one retry rule."""

from __future__ import annotations

from datetime import UTC, datetime


class XTraderError(Exception):
    """Base of everything that xtrader raises on purpose."""

    exit_code = 1


class ConfigError(XTraderError):
    """Input from the user that cannot be used: one sentence, exit code 2."""

    exit_code = 2

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class UnknownKind(TypeError):
    """A record, batch or stream reached a part of the program that does not know its kind. Never input: a mistake of ours, so that
    whoever adds a kind sees where it is lacking, instead of losing rows in silence."""

    def __init__(self, what: object) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"nothing here takes {self.what if isinstance(self.what, str) else type(self.what).__name__}"


class VenueError(XTraderError):
    """Something a venue said or did."""

    def __init__(self, venue: str, what: str) -> None:
        super().__init__(venue, what)
        self.venue = venue
        self.what = what

    def __str__(self) -> str:
        return f"{self.venue}: {self.what}"


class ProtocolError(VenueError):
    """A message of a known kind that does not have its shape; ends the session."""


class Malformed(ProtocolError):
    """The same where it is known which subscription the message is of, which then is resynced; the session goes on. `kind` is what
    is wrong in words that do not change, `detail` what it was this time."""

    def __init__(self, venue: str, kind: str, detail: str = "") -> None:
        super().__init__(venue, f"{kind}: {detail[:200]}" if detail else kind)
        self.kind = kind


class Unresponsive(VenueError):
    """The venue stopped answering on a connection that is still open."""


class ReconnectOrdered(VenueError):
    """An operator wants a connection made anew."""


class SequenceBroken(VenueError):
    """A chain of updates that cannot be continued by resyncing one instrument; ends the session."""


class SubscriptionRejected(VenueError):
    """The venue refused what was asked for; asking again does not help until something changes."""


class CredentialsRejected(SubscriptionRejected):
    """The venue refused the key or secret."""

    exit_code = 2


class SinkError(XTraderError):
    """A sink did not take rows."""


class SinkRetry(SinkError):
    """Not taken now; the same bytes may be offered again."""


class SinkReject(SinkError):
    """Will never be taken; set the rows aside."""


class NotCovered(XTraderError):
    """A book was asked for at a time at which the recording holds none. `state`, `cause`, `ts_from`, `ts_to` (int ns, None while
    it is open) and `detail` are those of the interval around that time; `state` is "unknown" where no interval is known."""

    def __init__(
        self, instrument: str, ts: int, state: str, cause: str, ts_from: int | None, ts_to: int | None, detail: str
    ) -> None:
        super().__init__(instrument, ts, state, cause, ts_from, ts_to, detail)
        self.instrument = instrument
        self.ts = ts
        self.state = state
        self.cause = cause
        self.ts_from = ts_from
        self.ts_to = ts_to
        self.detail = detail

    def __str__(self) -> str:
        if self.state == "unknown":
            return f"no book of {self.instrument} at {utc(self.ts)}: {self.detail}"
        until = "now" if self.ts_to is None else utc(self.ts_to)
        since = "the beginning" if self.ts_from is None else utc(self.ts_from)
        about = f", {self.detail}" if self.detail else ""
        return f"no book of {self.instrument} at {utc(self.ts)}: {self.state} ({self.cause}{about}) from {since} to {until}"


def utc(ts: int) -> str:
    """A time (int ns) as texts have it: ISO 8601, to the nanosecond."""
    whole = datetime.fromtimestamp(ts // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ts % 10**9:09d}Z"


class StorageError(XTraderError):
    """A disk write, fsync or rename failed. Final: Linux marks the pages clean, so a retry would only look like success."""

    exit_code = 74

    def __init__(self, path: object, what: object) -> None:
        super().__init__(path, what)
        self.path = path
        self.what = what

    def __str__(self) -> str:
        return f"storage failed at {self.path}: {self.what}"


class DamagedFile(XTraderError, OSError):
    """A file that cannot be read, or is not what a recording has in its place. `what` goes on from its path."""

    exit_code = 2

    def __init__(self, path: object, what: str) -> None:
        super().__init__()
        self.args = (path, what)
        self.path = path
        self.what = what

    def __str__(self) -> str:
        return f"'{self.path}' {self.what}"


def retryable(error: BaseException) -> bool:
    """True if trying again can help: the network, a venue that misbehaves, a sink that is down.

    False for what only a person can change (configuration, credentials, rejected rows) and for storage.
    """
    if isinstance(error, (ConfigError, CredentialsRejected, SinkReject, StorageError, DamagedFile)):
        return False
    return isinstance(error, (VenueError, SinkError, OSError, TimeoutError, EOFError))
