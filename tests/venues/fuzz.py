"""Throws damaged messages at a venue's session: `python -m tests.venues.fuzz OKX_SWAP --runs 1000000 [--seed 1]`.

Starts from the transcripts' real messages. With atheris (`make fuzz` installs it) what reaches new code is damaged further; without
it, or with --blind, each message is damaged afresh. Only the documented errors may come out.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FunctionType

from tests.venues.speakers import SPEAKERS
from tests.venues.transcripts import frames
from xtrader.errors import CredentialsRejected, ProtocolError
from xtrader.model.subscription import Subscription
from xtrader.venues import market
from xtrader.venues.base import Fetch, Link, MarketSession, Output

LOGIN = {"DERIBIT_CLIENT_ID": "reader", "DERIBIT_CLIENT_SECRET": "words"}
SECOND = 1_000_000_000
TOKENS = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-",
    b"0",
    b"1e999",
    b"NaN",
    b"9" * 30,
    b"\\u0000",
    b"\xff",
    b"[[[",
]
PART = re.compile(rb'"[^"]*"|-?[0-9][0-9.]*|true|false|null|\\[\\]|\\{\\}')
VALUES = [
    b"null",
    b"false",
    b"-1",
    b"0",
    b"1e999",
    b"-9223372036854775808",
    b"9223372036854775807",
    b"9" * 30,
    b"1790000000000.5",
    b'""',
    b'"x"',
    b'"-1"',
    b'"0"',
    b'"NaN"',
    b'"1e999"',
    b'"1e-400"',
    b'"9223372036854775808"',
    b"[]",
    b"{}",
    b"[[]]",
    b'[["1","2"]]',
    b'["delete",1,0]',
]
LONGEST = 8192
"""Bytes of a message that coverage guides."""


def corpus(exchange: str) -> list[bytes]:
    """Real messages of the venue, and what its REST answers look like."""
    name = exchange.partition("_")[0].lower()
    heard = frames(Path(__file__).with_name(f"{name}.transcript"))
    speaker = SPEAKERS[exchange]
    levels = [(5, 1), (4, 2)], [(11, 3)]
    made = [
        speaker.delta(100, 105, *levels, 1_790_000_000_000),
        speaker.snapshot(100, *levels, 1_790_000_000_000),
        speaker.trade(7, 7, 1_790_000_000_000),
        *speaker.hello(),
        b'[{"id":5,"time":1790000000000,"a":5,"T":1790000000000}]',
        b'{"code":"0","data":[{"seqId":5,"ts":"1790000000000","tradeId":"9"}]}',
        b'{"result":{"change_id":5,"timestamp":1790000000000,"trades":[]}}',
        b'{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[]}]}',
        b'{"code":-1121,"msg":"Invalid symbol."}',
    ]
    return heard[:400] + made


class Target:
    """A session that takes one damaged message after the other; a new one after each documented error.

    The first byte of `data` says what the rest is: a frame (mostly), a REST answer, or a catalogue.
    """

    def __init__(self, exchange: str) -> None:
        speaker = SPEAKERS[exchange]
        self.taken = self.refused = 0
        self._market = market(exchange, LOGIN if exchange == "DERIBIT" else {})
        self._speaker = speaker
        self._subscriptions = tuple(Subscription(stream, exchange, speaker.symbol) for stream in ("L2", "TRADES"))
        self._now = SECOND
        self._fetches: list[Fetch] = []
        self._session = self._fresh()

    def take(self, data: bytes) -> None:
        """Raises what should never come out."""
        kind, text = data[:1], data[1:]
        self._now += SECOND // 10
        try:
            if kind == b"c":
                self._market.instruments([text], self._now)
            elif kind in (b"a", b"e") and self._fetches:
                self._note(self._session.answer(self._fetches.pop(), 200 if kind == b"a" else 400, text, self._now))
            elif kind == b"p":
                for subscription in self._subscriptions:
                    self._note(self._session.probe(subscription, self._now))
            else:
                self._note(self._session.receive(text, self._now))
                if kind == b"i":
                    self._note(self._session.idle(self._now))
        except (ProtocolError, CredentialsRejected):
            self.refused += 1
            self._session = self._fresh()
        else:
            self.taken += 1

    @property
    def malformed(self) -> int:
        """Messages that the session takes for malformed ones of a subscription that it knows."""
        return self._session.counts["malformed"]

    def _fresh(self) -> MarketSession:
        self._session = self._market.session(Link(self._speaker.exchange, "fuzz", "", self._subscriptions), "start", {})
        self._fetches.clear()
        self._note(self._session.start(self._now))
        for text in self._speaker.hello():
            self._note(self._session.receive(text, self._now))
        return self._session

    def _note(self, outputs: object) -> None:
        for output in outputs:  # type: ignore[attr-defined]
            self._see(output)

    def _see(self, output: Output) -> None:
        if isinstance(output, Fetch):
            self._fetches = [*self._fetches[-3:], output]


def mutate(random: Random, text: bytes, other: bytes) -> bytes:
    """`text` with some of it cut out, doubled, overwritten, or replaced by a piece of `other`. Every other time it stays JSON, with
    other values or names here and there."""
    if random.random() < 0.5:
        return _replace(random, text, PART.findall(other))
    made = bytearray(text)
    for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
        at = random.randrange(len(made) + 1)
        until = min(len(made), at + random.choice((0, 1, 1, 2, 8, 40)))
        way = random.random()
        if way < 0.4:
            made[at:until] = random.choice(TOKENS)
        elif way < 0.55:
            made[at:until] = b""
        elif way < 0.7:
            made[at:at] = made[at:until] * random.choice((1, 2, 50))
        elif way < 0.85 and at < len(made):
            made[at] = random.randrange(256)
        else:
            start = random.randrange(len(other) + 1)
            made[at:until] = other[start : start + random.choice((1, 8, 60))]
    return bytes(made)


def _replace(random: Random, text: bytes, others: list[bytes]) -> bytes:
    for _ in range(random.choice((1, 1, 2, 4))):
        parts = list(PART.finditer(text))
        if not parts:
            break
        part = random.choice(parts)
        text = text[: part.start()] + random.choice(random.choice((VALUES, others or VALUES))) + text[part.end() :]
    return text


def run(exchange: str, runs: int, seed: int) -> tuple[int, float]:
    """Our own mutator; (how many were refused, CPU seconds of the slowest). Raises what should never come out."""
    random = Random(seed)
    texts = corpus(exchange)
    target = Target(exchange)
    slowest = 0.0
    for n in range(runs):
        kind = random.choice((b"f", b"f", b"f", b"f", b"f", b"i", b"p", b"a", b"a", b"e", b"c"))
        text = mutate(random, random.choice(texts), random.choice(texts))
        began = time.process_time()
        try:
            target.take(kind + text)
        except Exception as error:
            raise AssertionError(f"message {n} of seed {seed}: {kind + text!r} raised {error!r}") from error
        slowest = max(slowest, time.process_time() - began)
    return target.refused, slowest


def guided(exchange: str, runs: int, seed: int) -> None:
    """The same under atheris, which ends the process: with 0 after `runs` messages, otherwise after telling what came out."""
    atheris = importlib.import_module("atheris")
    texts = corpus(exchange)
    target = Target(exchange)
    for function in [one for one in gc.get_objects() if isinstance(one, FunctionType)]:
        if (function.__module__ or "").startswith("xtrader."):
            atheris.instrument_func(function)
    with tempfile.TemporaryDirectory() as directory:
        for n, text in enumerate(texts):
            for kind in (b"f", b"a", b"c"):
                (Path(directory) / f"{n}{kind.decode()}").write_bytes(kind + text)
        limits = [f"-runs={runs}", f"-seed={seed}", "-timeout=60", "-rss_limit_mb=1024", f"-max_len={LONGEST}", "-len_control=0"]
        atheris.Setup([sys.argv[0], *limits, directory], target.take, custom_mutator=_mutator(texts))
        atheris.Fuzz()


def _mutator(texts: list[bytes]) -> Callable[[bytes, int, int], bytes]:
    """The kind of a message, its first byte, is mostly kept."""

    def made(data: bytes, longest: int, seed: int) -> bytes:
        random = Random(seed)
        kind = data[:1] if random.random() < 0.9 else random.choice((b"f", b"i", b"p", b"a", b"e", b"c"))
        return (kind + mutate(random, data[1:], random.choice(texts)))[:longest]

    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.venues.fuzz")
    parser.add_argument("exchange", choices=list(SPEAKERS))
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blind", action="store_true")
    asked = parser.parse_args()
    if not asked.blind and importlib.util.find_spec("atheris") is not None:
        guided(asked.exchange, asked.runs, asked.seed)
        return
    refused, slowest = run(asked.exchange, asked.runs, asked.seed)
    print(f"{asked.exchange}: {asked.runs} messages of seed {asked.seed}, {refused} refused, slowest {slowest * 1000:.1f} ms")


if __name__ == "__main__":
    main()
