"""Strikes: carries the faults of one emulated venue out, on messages, sockets, requests, instruments and the clock.

Its one rule: a venue that has no faults armed never comes here with a message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from xtrader.emulator.client import Client, text_frame
from xtrader.emulator.damage import FRAMES
from xtrader.emulator.faults import KINDS, REMOVING, Fault, Faults, Message, parse
from xtrader.emulator.truth import FaultEvent
from xtrader.errors import ConfigError

if TYPE_CHECKING:
    from xtrader.emulator.venue import Board, HttpAnswer, Venue

Groups: TypeAlias = Sequence[tuple[Collection[Client], str]]
"""Clients, and the text that they get: the same message may go out in two envelopes."""
CONTROL = "/_fault"
"""The path on a venue's port at which faults are added and asked for."""
SNAPSHOT_FAULTS = ("slow_snapshot", "stale_snapshot", "refused_snapshot")
BURST = 10
MOST = 1_000
"""Messages that a gateway which is behind sends once more at the most."""


class Strikes:
    """The faults of one venue at work."""

    def __init__(self, venue: Venue[Any]) -> None:
        self.faults = Faults()
        self._venue = venue
        self._held: dict[tuple[str, str], list[tuple[Client, bytes]]] = {}
        self._snapshots: dict[str, HttpAnswer] = {}
        self._earlier: dict[str, deque[tuple[float, bytes]]] = {}
        """Messages of trades and when they were sent, by symbol, as long as a fault may want them."""
        self._frozen_until = 0.0

    @property
    def is_needed(self) -> bool:
        """Whether messages have to come here."""
        return self.faults.armed or bool(self._held)

    def add(self, fault: Fault) -> None:
        """Arm a fault. Raises ConfigError for one that this venue cannot have."""
        venue = self._venue
        known = {*venue.boards, ""}
        if fault.exchange != venue.exchange or fault.symbol not in known:
            raise ConfigError(f"fault '{fault}': {venue.exchange} lists no such instrument")
        if fault.kind in venue.cannot:
            raise ConfigError(f"fault '{fault}': {fault.kind} cannot happen on {venue.exchange}")
        self.faults.add(fault)

    def deliver(self, message: Message, groups: Groups) -> None:
        """Send one message of a subscription, or what the faults make of it, and do to the sockets what they say."""
        now = asyncio.get_running_loop().time()
        if message.stream == "TRADES":
            earlier = self._earlier.setdefault(message.symbol, deque(maxlen=MOST))
            earlier.extend((now, text_frame(text.encode())) for _, text in groups[:1])
        met = self.faults.met_by(message, now)
        held = self._held.pop((message.stream, message.symbol), [])
        framing = next((fault for fault in met if self._damage(fault, message, groups)), None)
        if framing is None and not self._is_silent(met, message):
            for clients, text in groups:
                frame = text_frame(text.encode())
                for client in clients:
                    client.outbox.append(frame)
        for client, frame in held:
            client.outbox.append(frame)
        clients = {client for group, _ in groups for client in group}
        for fault in met:
            if fault.place in ("socket", "venue"):
                self._tell(fault, message, removed=False)
                self._strike(fault, message, clients)

    def _damage(self, fault: Fault, message: Message, groups: Groups) -> bool:
        """Queue what a frame fault makes of the message; False if it cannot strike this one."""
        if fault.place != "frame":
            return False
        if fault.kind == "reorder":
            self._held[message.stream, message.symbol] = [
                (client, text_frame(text.encode())) for clients, text in groups for client in clients
            ]
        else:
            made = [(clients, FRAMES[fault.kind](text, self._venue.words)) for clients, text in groups]
            if any(frames is None for _, frames in made):
                return False
            for clients, frames in made:
                for client in list(clients):
                    client.outbox.extend(frames or ())
                    if fault.kind == "truncated":
                        client.cut()
        self.faults.struck(fault)
        self._tell(fault, message, removed=fault.kind in REMOVING)
        return True

    def _is_silent(self, met: Sequence[Fault], message: Message) -> bool:
        for fault in met:
            if fault.place == "stream":
                self._tell(fault, message, removed=True)
                return True
        return False

    def _strike(self, fault: Fault, message: Message, clients: Collection[Client]) -> None:
        """Do what does not concern the message's bytes; what publishes by itself waits until this message is through."""
        loop = asyncio.get_running_loop()
        venue = self._venue
        board = venue.boards.get(message.symbol)
        if board is None:
            return
        match fault.kind:
            case "freeze":
                self._freeze(fault.seconds)
            case "seq_reset":
                loop.call_soon(venue.restart_numbering, board)
            case "burst":
                loop.call_soon(self._burst, board)
            case "tick_change":
                board.refine()
                venue.relisted(board)
            case "status_change":
                self._halt(board, True)
                loop.call_later(fault.seconds, self._halt, board, False)
            case "expiry_change":
                board.expiry = datetime.fromtimestamp(int(venue.stage.ms() / 1000 + fault.seconds), UTC)
                venue.relisted(board)
            case "delisted":
                self._list(board, False)
                loop.call_later(fault.seconds, self._list, board, True)
            case "venue_clock":
                venue.stage.wrong += 1000 * fault.seconds
            case _:
                for client in clients:
                    self._hit(fault, client)

    def _hit(self, fault: Fault, client: Client) -> None:
        match fault.kind:
            case "close_1006":
                client.cut()
            case "close_1001":
                client.close(fault.code, "going away")
            case "no_pong":
                client.socket.mute = "pongs"
            case "half_open":
                client.freeze("dead")
            case "notice":
                client.send(self._venue.notice(client))
                asyncio.get_running_loop().call_later(fault.seconds, client.close, 1001, "service upgrade")

    def _halt(self, board: Board, is_halted: bool) -> None:
        board.is_halted = is_halted
        self._venue.relisted(board)

    def _list(self, board: Board, is_listed: bool) -> None:
        if is_listed:
            self._venue.boards[board.symbol] = board
        else:
            del self._venue.boards[board.symbol]
        self._venue.relisted(board)

    def _burst(self, board: Board) -> None:
        for _ in range(BURST):
            self._venue.publish(board, board.market.step())

    def _freeze(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._frozen_until = loop.time() + seconds
        for client in self._venue.clients:
            client.freeze("frozen")
        loop.call_later(seconds, self._thaw)

    def _thaw(self) -> None:
        for client in list(self._venue.clients):
            client.thaw()

    def mutes(self, stream: str, symbol: str) -> bool:
        """Whether a subscription that is acknowledged now shall never deliver."""
        fault = self.faults.request("subscribe", symbol, stream=stream, kinds=("never_delivers",))
        if fault is not None:
            self._tell(fault, Message(stream, symbol), removed=True)
        return fault is not None

    def catch_up(self, client: Client, symbol: str) -> None:
        """Send who subscribes trades now those of the last seconds once more, if a fault says so."""
        fault = self.faults.request("subscribe", symbol, stream="TRADES", kinds=("behind",))
        if fault is not None:
            self._tell(fault, Message("TRADES", symbol), removed=False)
            since = asyncio.get_running_loop().time() - fault.seconds
            client.outbox.extend(frame for at, frame in self._earlier.get(symbol, ()) if at >= since)

    async def admit(self, client: asyncio.Transport) -> HttpAnswer | None:
        """Let a connection in, after a freeze; else what it is refused with."""
        await self._thawed()
        fault = self.faults.request("connect", "")
        if fault is None:
            return None
        message = Message(fault.stream, fault.symbol)
        if fault.kind == "short_life":
            asyncio.get_running_loop().call_later(fault.seconds, self._cut_short, fault, message, client)
            return None
        self._tell(fault, message, removed=False)
        if fault.kind == "abort_connect":
            client.abort()
        return self._venue.error(fault.code or 503)

    def _cut_short(self, fault: Fault, message: Message, client: asyncio.Transport) -> None:
        if not client.is_closing():
            self._tell(fault, message, removed=False)
            client.abort()

    async def answer(self, path: str, query: Mapping[str, str]) -> HttpAnswer:
        """Answer a REST GET, or do what a fault says instead."""
        await self._thawed()
        symbol = query.get(self._venue.parameter, "")
        is_snapshot = path.rpartition("/")[2] in self._venue.snapshots
        kinds = [kind for kind in KINDS if is_snapshot or kind not in SNAPSHOT_FAULTS]
        fault = self.faults.request("rest", symbol, kinds=kinds)
        answer = self._venue.answer(path, query)
        if fault is None:
            if is_snapshot:
                self._snapshots[symbol] = answer
            return answer
        self._tell(fault, Message("", symbol), removed=False, path=path)
        match fault.kind:
            case "stale_snapshot":
                return self._snapshots.get(symbol, answer)
            case "slow_snapshot" | "rest_hang":
                await asyncio.sleep(fault.seconds)
                return answer
            case "refused_snapshot":
                return msgspec.structs.replace(answer, body=b'{"code":-1122,"msg":"Invalid symbol status."}', status=fault.code)
            case "rest_garbage":
                return msgspec.structs.replace(answer, body=answer.body[: len(answer.body) // 2])
        refusal = self._venue.error(fault.code)
        if fault.code in (418, 429):
            return msgspec.structs.replace(refusal, headers=(("Retry-After", f"{fault.seconds:.0f}"),))
        return refusal

    def control(self, query: str) -> tuple[int, bytes]:
        """Status and JSON body of a request to CONTROL: `?add=FAULT` arms one; without it, what is pending and what happened."""
        added = dict(parse_qsl(query)).get("add")
        if added is None:
            return 200, msgspec.json.encode({"pending": self.faults.pending(), "applied": list(self.faults.applied)})
        try:
            fault = parse(added)
            self.add(fault)
        except ConfigError as error:
            return 400, msgspec.json.encode({"error": str(error)})
        return 200, msgspec.json.encode({"added": str(fault)})

    async def _thawed(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < self._frozen_until:
            await asyncio.sleep(self._frozen_until - loop.time())

    def _tell(self, fault: Fault, message: Message, *, removed: bool, path: str = "") -> None:
        stage = self._venue.stage
        event = FaultEvent(
            fault=fault.kind,
            exchange=fault.exchange,
            ts=stage.ms(),
            stream=message.stream,
            symbol=message.symbol,
            previous=message.previous,
            number=message.number,
            ids=tuple(message.ids),
            removed=removed,
            seconds=fault.seconds,
            path=path,
        )
        self.faults.applied.append(event)
        if stage.truth is not None:
            stage.truth.add(event)
