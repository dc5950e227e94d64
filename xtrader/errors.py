"""The exception tree. Errors carry data and build their text in `__str__`; `retryable` is the one retry rule."""

from __future__ import annotations


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


class Unresponsive(VenueError):
    """The venue stopped answering on a connection that is still open."""


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


class StorageError(XTraderError):
    """A disk write, fsync or rename failed. Final: Linux marks the pages clean, so a retry would only look like success."""

    exit_code = 74

    def __init__(self, path: object, what: object) -> None:
        super().__init__(path, what)
        self.path = path
        self.what = what

    def __str__(self) -> str:
        return f"storage failed at {self.path}: {self.what}"


def retryable(error: BaseException) -> bool:
    """True if trying again can help: the network, a venue that misbehaves, a sink that is down.

    False for what only a person can change (configuration, credentials, rejected rows) and for storage.
    """
    if isinstance(error, (ConfigError, CredentialsRejected, SinkReject, StorageError)):
        return False
    return isinstance(error, (VenueError, SinkError, OSError, TimeoutError, EOFError))
