"""Playback: recordings served over real sockets, websocket and REST on one loopback port for each exchange.

One rule: what was recorded is sent as it was recorded, byte for byte and in its order, and nothing else is made up but the answers
to requests. `python`: `async with Playback({"OKX_SPOT": [path]}) as playback: os.environ.update(playback.variables)`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from xtrader.emulator.dialects import asked_by, book_asked, book_of, family, respond, stream_of
from xtrader.errors import ConfigError
from xtrader.recordings.detect import Recording, open_recordings
from xtrader.recordings.events import Answered, Event, Received

SETTLE = 0.3
"""Seconds without a further subscription after which a connection's streams are played."""
SNAPSHOT_WITHIN = 2.0
"""Seconds that the frames after a recorded book snapshot wait for the client to ask for it."""
ANY_BOOK = "@depth"
"""What `book_of` says of a book whose instrument is not named: it is that of the only one there is."""
TURN = 64
"""Frames after which others get their turn, however fast the client reads."""
_NS = 1_000_000_000
_DEPTH = frozenset({"limit", "sz", "depth"})
"""Query parameters that say how deep a book is wanted: the recorded one is served whatever they say."""


class Playback:
    """`files`: exchange token -> files and directories of its recordings (one that holds several exchanges is named for each).

    `speed` 0 plays as fast as the client reads, 1 as it was recorded, 10 ten times as fast. A connection that has played to the
    end stays open and answers. Raises ConfigError for files that are no recordings.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]], *, speed: float = 0.0, settle: float = SETTLE) -> None:
        if speed < 0:
            raise ConfigError(f"the speed of a playback is 0 or more, not {speed}")
        self.variables: dict[str, str] = {}
        """Environment variables that point xtrader here."""
        self.done = asyncio.Event()
        """Set while every stream that is subscribed was played to its end; cleared when a further one begins."""
        self.venues = {exchange: PlaybackVenue(open_recordings(paths), self, speed, settle) for exchange, paths in files.items()}
        self._playing = 0
        self._servers: list[Server] = []

    async def __aenter__(self) -> Playback:
        try:
            for exchange, venue in self.venues.items():
                await asyncio.to_thread(venue.look)
                server = await serve(venue.talk, "127.0.0.1", 0, process_request=venue.rest, compression=None)
                self._servers.append(server)
                port = next(iter(server.sockets)).getsockname()[1]
                self.variables[f"XTRADER_{exchange}_WS_URL"] = f"ws://127.0.0.1:{port}"
                self.variables[f"XTRADER_{exchange}_REST_URL"] = f"http://127.0.0.1:{port}"
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._close()

    def begin(self) -> None:
        """A connection begins to play."""
        self._playing += 1
        self.done.clear()

    def end(self) -> None:
        """A connection has played to its end, or is gone."""
        self._playing -= 1
        if not self._playing:
            self.done.set()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()


class PlaybackVenue:
    """One exchange token: what its recordings hold, and the connections that were made to it."""

    def __init__(self, recordings: Sequence[Recording], playback: Playback, speed: float, settle: float) -> None:
        self.delivered: Counter[str] = Counter()
        """Frames sent, by recorded stream."""
        self._recordings = recordings
        self._playback = playback
        self._speed = speed
        self._settle = settle
        self._players = 0
        self._streams: dict[str, list[str]] = {}
        self._answers: dict[str, Answered] = {}
        self._books: dict[str, list[tuple[Answered, asyncio.Event]]] = {}

    def look(self) -> None:
        """Read the recordings once: which streams there are, what was answered over REST."""
        streams: set[str] = set()
        for event in self._events():
            if isinstance(event, Received):
                streams.add(stream_of(event.payload))
            elif isinstance(event, Answered):
                book = book_of(event.url, event.body)
                if book:
                    self._books.setdefault(book, []).append((event, asyncio.Event()))
                else:
                    self._answers[_request(event.url)] = event
        for stream in sorted(streams - {""}):
            self._streams.setdefault(family(stream), []).append(stream)

    def rest(self, connection: ServerConnection, request: Request) -> Response | None:
        """A plain GET is answered from the recording; a websocket handshake goes on."""
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return None
        answer = self._next_book(request.path) or self._answers.get(_request(request.path))
        if answer is None:
            return _response(404, b'{"error":"not in the recording"}')
        return _response(answer.status, answer.body)

    async def talk(self, connection: ServerConnection) -> None:
        """One connection: answers requests, plays what is subscribed, stays until the client goes."""
        assert connection.request is not None
        wanted: set[str] = set()
        subscribed = asyncio.Event()
        player = asyncio.create_task(self._play(connection, wanted, subscribed))
        try:
            self._subscribe(asked_by(connection.request.path), wanted, subscribed)
            async for message in connection:
                reply = respond(message if isinstance(message, str) else message.decode(errors="replace"))
                for answer in reply.answers:
                    await connection.send(answer)
                wanted.difference_update(map(self._recorded, reply.unsubscribe))
                self._subscribe(reply.subscribe, wanted, subscribed)
        except ConnectionClosed:
            return
        finally:
            player.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await player

    def _subscribe(self, names: Sequence[str], wanted: set[str], subscribed: asyncio.Event) -> None:
        if names:
            wanted.update(map(self._recorded, names))
            subscribed.set()

    def _recorded(self, name: str) -> str:
        """The recorded stream that stands for the one that is asked for; itself if there is none."""
        there = self._streams.get(family(name), [name])
        return name if name in there else there[0]

    async def _play(self, connection: ServerConnection, wanted: set[str], subscribed: asyncio.Event) -> None:
        await subscribed.wait()
        self._begin()
        try:
            while subscribed.is_set():
                subscribed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settle):
                        await subscribed.wait()
            await self._send_all(connection, wanted)
        finally:
            self._players -= 1
            self._playback.end()

    def _begin(self) -> None:
        """A connection begins to play: after a pause from the beginning again, with every recorded book to be had again."""
        if not self._players:
            for books in self._books.values():
                for _, asked in books:
                    asked.clear()
        self._players += 1
        self._playback.begin()

    async def _send_all(self, connection: ServerConnection, wanted: set[str]) -> None:
        """Send every recorded frame of the wanted streams, in order, at the chosen speed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        first = count = 0
        seen: set[str] = set()
        shown: Counter[str] = Counter()
        for event in self._events():
            if isinstance(event, Answered):
                await self._wait_for_book(event, seen, shown)
            if not isinstance(event, Received):
                continue
            first = first or event.ts
            stream = stream_of(event.payload)
            if stream not in wanted:
                continue
            if self._speed:
                await asyncio.sleep(began + (event.ts - first) / _NS / self._speed - loop.time())
            seen.add(family(stream))
            await connection.send(event.payload, text=True)
            self.delivered[stream] += 1
            count += 1
            if count % TURN == 0:
                await asyncio.sleep(0)

    async def _wait_for_book(self, answer: Answered, seen: set[str], shown: Counter[str]) -> None:
        """Hold the frames that followed a book snapshot until the client has asked for it, as it had when it was recorded."""
        book = book_of(answer.url, answer.body)
        if not book:
            return
        _, asked = self._books[book][shown[book]]
        shown[book] += 1
        if book in seen or (book == ANY_BOOK and any(name.endswith(ANY_BOOK) for name in seen)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SNAPSHOT_WITHIN):
                    await asked.wait()

    def _next_book(self, path: str) -> Answered | None:
        """The book that a request asks for: each is served once, in their order."""
        book = book_asked(path)
        if not book:
            return None
        for answer, asked in self._books.get(book, []) + self._books.get(ANY_BOOK, []):
            if not asked.is_set():
                asked.set()
                return answer
        return None

    def _events(self) -> Iterator[Event]:
        for recording in self._recordings:
            yield from recording.events()


def _request(url: str) -> str:
    """What a REST request asks for, whatever the host and the order of its query."""
    parts = urlsplit(url)
    query = sorted((name, value) for name, value in parse_qsl(parts.query) if name not in _DEPTH)
    return parts.path + "?" + "&".join(f"{name}={value}" for name, value in query)


def _response(status: int, body: bytes) -> Response:
    headers = Headers([("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")])
    return Response(status, "OK" if status < 400 else "Not Found", headers, body)
