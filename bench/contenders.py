"""Who takes part, how each is started, and where what it recorded is found. Each set-up is the best that its
documentation offers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import check, database, environments
from bench.check import Found
from bench.environments import CRYPTOFEED_2, CRYPTOFEED_3, NAUTILUS, Peer
from bench.task import Answer, Task

ALL = ("Binance mix", "OKX books", "Deribit books")


@dataclass(frozen=True)
class Contender:
    """`share` of the messages is enough where a message costs much. `plain`: no TLS (the socket costs it less than the others)."""

    name: str
    what: str
    module: str
    mode: str
    read: Callable[[Task, Answer], Found] | None
    """None: it hands nothing on."""
    peer: Peer | None = None
    ends_itself: bool = True
    plain: bool = False
    share: float = 1.0
    traffics: tuple[str, ...] = ALL
    questdb: bool = False

    def python(self) -> str:
        """The Python it runs on. Raises LeftOut."""
        return sys.executable if self.peer is None else environments.python_of(self.peer)

    def command(self, task: Task) -> list[str]:
        if not self.ends_itself:
            flags = ["--subscriptions", task.subscriptions, "--output-directory", f"{task.directory}/data", "--sink", self.mode]
            return [self.python(), "-m", self.module, *flags]
        return [self.python(), "-m", self.module, json.dumps(asdict(task))]

    def environment(self, task: Task) -> dict[str, str]:
        """Variables for xtrader's own command."""
        if self.peer is not None:
            return {}
        return {
            f"XTRADER_{task.exchange}_WS_URL": task.ws,
            f"XTRADER_{task.exchange}_REST_URL": task.rest,
            "XTRADER_CACHE_DIRECTORY": f"{task.directory}/cache",
            "XTRADER_OFFLINE_NAMES": "true",
            **({"QUESTDB_HTTP_PORT": str(task.questdb_port)} if task.questdb_port else {}),
        }

    def found(self, task: Task, answer: Answer) -> Found | None:
        """What it has recorded. Raises Wrong."""
        return None if self.read is None else self.read(task, answer)


def _answered(task: Task, answer: Answer) -> Found:
    return check.answered(answer)


def _journal(task: Task, answer: Answer) -> Found:
    return check.our_journal(Path(task.directory))


def _files(task: Task, answer: Answer) -> Found:
    return check.our_files(Path(task.directory))


def _columns(task: Task, answer: Answer) -> Found:
    found = check.column_files(Path(task.directory))
    found.books = answer.books
    return found


def _catalogue(suffix: str) -> Callable[[Task, Answer], Found]:
    def read(task: Task, answer: Answer) -> Found:
        found = check.answered(answer)
        base = Path(task.directory) / "catalog"
        files = {str(path.relative_to(base)): path for path in base.rglob(f"*.{suffix}") if path.stat().st_size}
        found.trades = check.rows_in(path for name, path in files.items() if "trade" in name)
        # A book that begins anew is one row more than its levels: the row that clears it.
        found.levels = check.rows_in(path for name, path in files.items() if "delta" in name) - 1
        return found

    return read


def _ours(name: str, what: str, mode: str, read: Callable[[Task, Answer], Found] | None, module: str = "bench.ours") -> Contender:
    return Contender(name, what, module, mode, read)


def _cryptofeed(
    peer: Peer,
    mode: str,
    what: str,
    read: Callable[[Task, Answer], Found] = _answered,
    traffics: tuple[str, ...] = ALL,
) -> Contender:
    name = f"cryptofeed {peer.version}, {mode}"
    to_server = mode == "questdb"
    share = 0.2 if to_server else 0.4
    module = "bench.peers.cryptofeed_peer"
    return Contender(name, what, module, mode, read, peer, share=share, traffics=traffics, questdb=to_server)


def _nautilus(mode: str, what: str, read: Callable[[Task, Answer], Found] = _answered, share: float = 0.6) -> Contender:
    module = "bench.peers.nautilus_peer"
    name = f"nautilus {NAUTILUS.version}, {mode}"
    return Contender(name, what, module, mode, read, NAUTILUS, plain=True, share=share, traffics=ALL[:2])


CONTENDERS = (
    _ours("socket", "a bare TLS socket, bytes counted: the floor", "socket", None, "bench.bare"),
    _ours("decode", "our websocket reader and typed decode, nothing else: the ceiling", "decode", None, "bench.bare"),
    _ours("xtrader, records", "sockets to checked books and records, in one process", "records", _answered),
    _ours("xtrader, best", "the same, best bid and ask after each update", "best", _answered),
    _ours(
        "xtrader, journal",
        "the same to the durable journal, in one process",
        "journal",
        _journal,
    ),
    Contender(
        "xtrader, Parquet",
        "the recorder as users start it: journal, and finished Parquet files from a process of its own",
        "xtrader",
        "parquet",
        _files,
        ends_itself=False,
    ),
    Contender(
        "xtrader, QuestDB",
        "the recorder with `--sink questdb`: journal, and every level of every message in the database",
        "xtrader",
        "questdb",
        database.our_tables,
        ends_itself=False,
        share=0.4,
        traffics=ALL[:1],
        questdb=True,
    ),
    _cryptofeed(CRYPTOFEED_3, "null", "a callback that counts"),
    _cryptofeed(CRYPTOFEED_3, "best", "a callback that asks for best bid and ask"),
    _cryptofeed(CRYPTOFEED_3, "columns", "to Parquet by column lists", _columns),
    _cryptofeed(CRYPTOFEED_3, "dicts", "to Parquet by lists of dicts", _columns),
    _cryptofeed(
        CRYPTOFEED_3,
        "questdb",
        'to its own QuestDB backend, `overflow="block"` so that nothing is dropped (top 10 levels)',
        database.cryptofeed_tables,
        ALL[:1],
    ),
    _cryptofeed(CRYPTOFEED_2, "null", "a callback that counts", traffics=ALL[:2]),
    _nautilus("managed", "a Python actor that takes deltas and trades, the node keeps the book"),
    _nautilus("best", "the same, best bid and ask after each update"),
    _nautilus("feather", "the same to its Feather files", _catalogue("feather"), share=0.2),
    _nautilus("promoted", "the same, promoted to its Parquet catalogue at the close", _catalogue("parquet"), share=0.2),
)
LATENCY = Contender("xtrader, latency", "the recorder, and the times of its records", "bench.ours", "latency", None)
"""Takes no part in the comparison."""
