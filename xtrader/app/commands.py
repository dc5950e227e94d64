"""What a running recorder does for whoever comes to its door.

The rule: what costs data says so in a coverage row, every command leaves a line in the log with who gave it, and a thousand of them
in a row do no more harm than one.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from xtrader import logs
from xtrader.clock import SECOND, Clock
from xtrader.errors import ConfigError, XTraderError
from xtrader.feed.catalogue import near, pick
from xtrader.feed.feed import Feed
from xtrader.model.subscription import STREAMS, Subscription, parse_name
from xtrader.ops.ask import Asking
from xtrader.ops.door import Caller, Command, JsonText
from xtrader.venues import exchanges

if TYPE_CHECKING:
    from xtrader.app.recorder import Recorder

log = structlog.get_logger("xtrader.door")

RESYNC_AGAIN: Final = 30
"""Seconds after which one subscription is begun anew again: until then a command is one with that before."""
RECONNECT_AGAIN: Final = 60
"""The same of a connection."""
ANSWER: Final = 0.1
"""Seconds before a stop begins: who asked for it hears that it will."""
SENT: Final = 0.5
"""Share of what a venue lets a connection send, beyond which nothing is sent for a command: the rest is for what must be."""


class Commands:
    """Those of one recording process, by name."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock
        self._done: dict[str, int] = {}
        """What was begun anew when (monotonic ns)."""

    def by_name(self) -> dict[str, Command]:
        """For a Door."""
        return {
            "facts": self.facts,
            "book": self.book,
            "resync": self.resync,
            "reconnect": self.reconnect,
            "log-level": self.log_level,
            "stop": self.stop,
        }

    async def facts(self, caller: Caller, said: Mapping[str, Any]) -> JsonText:
        """{} -> Facts, a second old at most."""
        return JsonText(self._recorder.gatherer.json())

    async def book(self, caller: Caller, said: Mapping[str, Any]) -> dict[str, Any]:
        """{"instrument": EXCHANGE@INSTRUMENT} -> its whole book as the journal has it below the offset `position`: `bids` and
        `asks` are [price, size], best first."""
        key = self._instrument(word(said, "instrument"), "L2")
        stored = self._feed().stored_book(key)
        if stored is None:
            raise ConfigError(f"there is no book of {key} at this moment")
        self._recorder.writer.flush()
        bids, asks = stored.bids.levels(), stored.asks.levels()
        journal = self._recorder.journal
        return {
            "instrument": key,
            "bids": bids,
            "asks": asks,
            "sequence": stored.sequence,
            "journal": str(journal.directory),
            "position": journal.end,
            "ts": self._clock.now(),
        }

    async def resync(self, caller: Caller, said: Mapping[str, Any]) -> dict[str, Any]:
        """{"subscription": [STREAM:]EXCHANGE@INSTRUMENT} -> `resynced`, names of subscriptions, and why others are `left` alone.
        A book is asked for anew, trades are subscribed anew, which costs a gap row of cause operator."""
        feed = self._feed()
        resynced, left = [], []
        for one in self._subscriptions(word(said, "subscription")):
            name = str(one)
            against = self._too_soon(name, RESYNC_AGAIN) or self._too_much(one) or feed.resync(one)
            if against:
                left.append({"subscription": name, "why": against})
                continue
            self._done[name] = self._clock.monotonic()
            resynced.append(name)
        note("resync", caller, said, resynced=resynced, left=left)
        return {"resynced": resynced, "left": left}

    async def reconnect(self, caller: Caller, said: Mapping[str, Any]) -> dict[str, Any]:
        """{"connection": EXCHANGE/N} -> `reconnected`, names of connections, and why others are `left` alone. It costs what the
        connection carries a gap row of cause operator, unless another connection carries it too."""
        name = word(said, "connection")
        every = {keeper.link.name: keeper for keeper in self._feed().keepers}
        keeper = {known.upper(): one for known, one in every.items()}.get(name.upper())
        if keeper is None:
            raise ConfigError(f"there is no connection '{name}'; {_meant(name, every)}")
        name = keeper.link.name
        against = self._too_soon(name, RECONNECT_AGAIN)
        if not against and not keeper.reconnect():
            against = "it is not open: it is being made already"
        if not against:
            self._done[name] = self._clock.monotonic()
        result = {"reconnected": [] if against else [name], "left": [{"connection": name, "why": against}] if against else []}
        note("reconnect", caller, said, **result)
        return result

    async def log_level(self, caller: Caller, said: Mapping[str, Any]) -> dict[str, Any]:
        """As `log_level`; in the processes of sinks and of HTTP too."""
        result = await log_level(caller, said)
        self._recorder.deliveries.set_levels(result["levels"])
        if self._recorder.serving is not None:
            self._recorder.serving.set_levels(result["levels"])
        return result

    async def stop(self, caller: Caller, said: Mapping[str, Any]) -> dict[str, Any]:
        """{} -> `stopping`: drain, finish the files and end."""
        note("stop", caller, said)
        asyncio.get_running_loop().call_later(ANSWER, self._recorder.stop, f"asked for at the door by {caller.name or caller.uid}")
        return {"stopping": True}

    def _feed(self) -> Feed:
        feed = self._recorder.feed
        if feed is None or not feed.keepers:
            raise ConfigError("nothing is recorded yet: the instruments are being looked up, or the disk has no room")
        return feed

    def _subscriptions(self, text: str) -> list[Subscription]:
        stream, colon, name = text.rpartition(":")
        if colon and stream.strip().upper() not in STREAMS:
            raise ConfigError(f"unknown stream '{stream}' in '{text}'; known are {', '.join(STREAMS)}")
        key = self._instrument(name, stream.strip().upper(), text)
        return [one for one in self._feed().subscriptions if one.key == key and stream.strip().upper() in ("", one.stream)]

    def _instrument(self, name: str, stream: str, text: str = "") -> str:
        """The key of the recorded instrument that a user means, of which there is the stream (empty: any)."""
        exchange, wanted = parse_name(name, exchanges())
        known = self._recorder.instruments
        recorded = {one.key for one in self._feed().subscriptions if one.exchange == exchange and stream in ("", one.stream)}
        rows = [known[key] for key in recorded if key in known]
        found = pick(rows, wanted, text or name)
        if found is None:
            others = near(rows, wanted) if rows else f"nothing of {exchange} is"
            raise ConfigError(f"'{text or name}' is not recorded here; {others}")
        return found.key

    def _too_soon(self, name: str, seconds: int) -> str:
        done = self._done.get(name)
        if done is None:
            return ""
        ago = (self._clock.monotonic() - done) / SECOND
        return f"that was done {ago:.0f} s ago; again in {seconds - ago:.0f} s" if ago < seconds else ""

    def _too_much(self, subscription: Subscription) -> str:
        keepers = [keeper for keeper in self._feed().keepers if subscription in keeper.link.subscriptions]
        shares = [keeper.current.sent_share for keeper in keepers if keeper.current is not None]
        if max(shares, default=0.0) <= SENT:
            return ""
        return f"its connection has used {max(shares):.0%} of what the venue lets it send; later"


async def log_level(caller: Caller, said: Mapping[str, Any]) -> dict[str, Any]:
    """{"module": NAME, "level": LEVEL} -> the `levels` that hold from now on. Module "all" is everything."""
    levels = logs.change(word(said, "module"), word(said, "level"))
    note("log-level", caller, said, levels=levels)
    return {"levels": levels}


def relayed(directories: Callable[[], Mapping[int, Path]], name: str) -> Command:
    """A command for the process that started workers: each worker is asked at its own door (`directories`: number -> journal), and
    what they did is put together. Raises what they all say if none did anything."""

    async def command(caller: Caller, said: Mapping[str, Any]) -> dict[str, Any]:
        asked = {key: value for key, value in said.items() if key != "command"} | {"by": _by(caller, said)}
        found = await asyncio.gather(
            *(asyncio.to_thread(_ask, directory, name, asked) for directory in directories().values()), return_exceptions=True
        )
        results = [one for one in found if isinstance(one, dict)]
        errors = [one for one in found if isinstance(one, BaseException)]
        if not results:
            raise next((one for one in errors if isinstance(one, XTraderError)), None) or ConfigError("no worker can be asked")
        joined = dict(results[0])
        for result in results[1:]:
            joined |= {key: joined[key] + value for key, value in result.items() if isinstance(value, list) and key in joined}
        return joined

    return command


def note(command: str, caller: Caller, said: Mapping[str, Any], **result: Any) -> None:
    """The line in the log that says who asked for what."""
    log.warning(f"{command.replace('-', '_')}_ordered", uid=caller.uid, pid=caller.pid, by=_by(caller, said), **result)


def word(said: Mapping[str, Any], name: str) -> str:
    """A text of a request. Raises ConfigError."""
    text = said.get(name)
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        raise ConfigError(f"the request needs a text '{name}'")
    return text.strip()[:200]


def _by(caller: Caller, said: Mapping[str, Any]) -> str:
    """Who asked, and for whom by own account."""
    by = said.get("by")
    for_whom = f" for {by[:100]}" if isinstance(by, str) and by.isprintable() else ""
    return f"{caller.name or 'unknown'}{for_whom}"


def _ask(directory: Path, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    with Asking(directory) as asking:
        return asking.result(name, **said)


def _meant(name: str, known: Mapping[str, object]) -> str:
    alike = difflib.get_close_matches(name.upper(), known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(alike)}?" if alike else f"there are {', '.join(sorted(known)[:10])}"
