"""An NTP server on loopback: it answers as RFC 5905 says, by a clock that may be wrong, or as a test wants."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

EPOCH = 2_208_988_800
Change = Callable[[bytearray], None]


@contextlib.contextmanager
def time_server(ahead: float = 0.0, change: Change = lambda answer: None) -> Iterator[int]:
    """Its port. Its clock is `ahead` seconds ahead of this machine's; `change` may spoil each answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as serving:
        serving.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(serving, ahead, change), daemon=True)
        thread.start()
        try:
            yield serving.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                serving.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(serving: socket.socket, ahead: float, change: Change) -> None:
    while True:
        try:
            question, asker = serving.recvfrom(512)
        except OSError:
            return
        if not question:
            return
        stamp = _stamp(time.time() + ahead)
        answer = bytearray(struct.pack("!BBBb3I", 0x24, 2, 6, -20, 655, 655, 0) + stamp + question[40:48] + stamp + stamp)
        change(answer)
        serving.sendto(bytes(answer), asker)


def _stamp(now: float) -> bytes:
    whole = int(now)
    return struct.pack("!II", whole + EPOCH, int((now - whole) * 2**32))
