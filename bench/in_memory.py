"""The recorder's work on each message without socket, disk and second process: decode, check, book, columns, journal frames.

The rule: it is always seen beside the bare decode of the same frames, slice by slice in turn, so that the machine's speed and its
other work fall out of the ratio. `python -m bench.in_memory` prints it, `--profile` says where the time goes.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Iterable

from bench import frames
from bench.bare import DECODE
from bench.frames import BOOK, TRADES, Traffic
from bench.server import Replay
from xtrader.model.subscription import parse_subscriptions
from xtrader.pipeline import codec
from xtrader.pipeline.batch import Batcher
from xtrader.pipeline.frames import framed
from xtrader.venues import exchanges, market
from xtrader.venues.base import Fetch, MarketSession, Output, Ready, Send

SLICE = 400
FRAMES_A_BATCH = 1_000
"""Messages after which columns become journal frames: at 10,000 messages a second that is the writer's 100 ms."""
MAKES: dict[str, Callable[[int], Traffic]] = {
    "Binance mix": frames.binance,
    "OKX books": frames.okx,
    "Deribit books": frames.deribit,
}


class InMemory:
    """Sessions of one traffic, and what stands behind them up to the journal's bytes."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.batcher = Batcher()
        self.rows = 0
        self.bytes = 0
        self._venue = Replay(traffic, None)
        self._sessions: dict[str, MarketSession] = {}
        made = market(traffic.exchange, {})
        for link in made.links(parse_subscriptions(traffic.subscriptions, exchanges())):
            session = made.session(link, "start", {})
            for subscription in link.subscriptions:
                self._sessions[BOOK if subscription.stream == "L2" else TRADES] = session
            self._carry_out(session, session.start(1))

    def take(self, slice_: Iterable[tuple[str, bytes]]) -> None:
        """Everything that the recording process does with these frames but read and write them."""
        add = self.batcher.add
        for channel, payload in slice_:
            session = self._sessions[channel]
            for output in session.receive(payload, 1_791_369_350_776_000_000):
                if isinstance(output, Send | Fetch | Ready):
                    self._carry_out(session, (output,))
                else:
                    add(output)
                    self.rows += 1
                    if not self.rows % FRAMES_A_BATCH:
                        self.flush()

    def flush(self) -> None:
        """Columns to journal frames."""
        for entry in self.batcher.flush():
            parts, length = framed(self.bytes, [codec.head(entry, 0, 1), *entry.parts])
            self.bytes += length if parts else 0

    def _carry_out(self, session: MarketSession, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                for reply in self._venue.reply(set(), output.payload):
                    self._carry_out(session, session.receive(reply.encode(), 1))
            elif isinstance(output, Fetch):
                body = self.traffic.answers[output.path]
                self._carry_out(session, session.answer(output, 200, body, 1))
            elif not isinstance(output, Ready):
                self.batcher.add(output)
                self.rows += 1


def slices(traffic: Traffic) -> list[list[tuple[str, bytes]]]:
    """The frames, cut; what is left over at the end is left out."""
    return [traffic.frames[at : at + SLICE] for at in range(0, len(traffic.frames) - SLICE + 1, SLICE)]


def ratio(traffic: Traffic) -> float:
    """CPU of the path by that of the bare decode: the least of all slices by the least of all slices."""
    path = InMemory(traffic)
    decode = DECODE[traffic.exchange]
    decoded, taken = [], []
    for slice_ in slices(traffic):
        began = time.thread_time_ns()
        for _, payload in slice_:
            decode(memoryview(payload))
        between = time.thread_time_ns()
        path.take(slice_)
        taken.append(time.thread_time_ns() - between)
        decoded.append(between - began)
    # The first slices warm up, and hold the snapshot.
    return sum(sorted(taken[5:])[: len(taken) // 4]) / sum(sorted(decoded[5:])[: len(decoded) // 4])


def main() -> None:
    """Print the ratios, or the profile."""
    for name, make in MAKES.items():
        traffic = make(20_000)
        if "--profile" not in sys.argv:
            print(f"{name:<15}{ratio(traffic):6.2f} times the bare decode")
            continue
        path = InMemory(traffic)
        with cProfile.Profile() as profile:
            path.take(traffic.frames)
            path.flush()
        print(name)
        pstats.Stats(profile).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
