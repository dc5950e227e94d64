"""What the process that serves HTTP is told when it starts."""

from __future__ import annotations

import msgspec


class ServeSpec(msgspec.Struct, frozen=True):
    """`descriptor` is that of the listening socket, which the process inherits: so its address is the same after each restart.
    `journal` is the recorder's journal directory, `output` that of its files (empty: it writes none). `address` is how it is bound
    (host and port, as in a URL), `hosts` are further names by which clients may call it, `token` is what lets them tell the
    recorder things, None if nothing does. `instruments` is how many have metrics of their own, `log_level` that of its log,
    `log_to` the file that it goes to, as in `logs.set_up`."""

    journal: str
    output: str
    descriptor: int
    address: str
    hosts: tuple[str, ...]
    token: str | None
    instruments: int
    log_level: str
    log_to: tuple[str, int, int] | None = None


class Word(msgspec.Struct, frozen=True):
    """What it is told later."""

    stopping: str
    """Why the recorder is about to end; empty while it records."""
    levels: str = ""
    """What the log says from now on; empty: as it is."""
