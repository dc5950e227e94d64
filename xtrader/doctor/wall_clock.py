"""Whether this machine's clock is right: by the kernel, by a time server, and by what venues say.

The rule: an offset is said with the error within which it is known, and only what is proven counts.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import struct
import time
from contextlib import suppress
from typing import Final

from xtrader.diagnosis import Diagnosis, ok, warning, wrong

NTP_PORT: Final = 123
PATIENCE: Final = 2.0
"""Seconds for an answer of a time server."""
WORTH_A_WORD: Final = 0.05
"""Seconds that a clock may be wrong; beyond it is warned of."""
TOO_FAR: Final = 1.0
"""Seconds beyond which it is wrong."""
SYNCHRONISE: Final = "have the machine keep its clock: systemctl enable --now chrony; in a container, on its host"

_NTP_EPOCH: Final = 2_208_988_800
"""Seconds from 1900 to 1970."""
_PACKET: Final = struct.Struct("!BBbb11I")
_UNSYNCHRONISED: Final = 0x40


class _Timex(ctypes.Structure):
    """The kernel's `struct timex`, as far as it is read; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def kernel_clock() -> Diagnosis | None:
    """Whether anybody keeps this machine's clock, by its kernel; None where that cannot be asked."""
    state = _Timex()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.adjtimex(ctypes.byref(state)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return judge_kernel(bool(state.status & _UNSYNCHRONISED), state.maxerror / 1e6)


def judge_kernel(is_free: bool, most: float) -> Diagnosis:
    """What the kernel's word means: whether its clock runs free, and by how many seconds it may be wrong at most."""
    if is_free:
        return warning("clock", "the kernel says that nobody keeps this machine's clock right", SYNCHRONISE)
    return ok("clock", f"kept right, by the kernel; wrong by {most * 1000:.1f} ms at most")


def ntp_clock(server: str) -> Diagnosis:
    """This machine's clock beside that of an NTP server, `host` or `host:port`."""
    host, port = _address(server)
    try:
        offset, error = ntp_offset(host, port)
    except (OSError, ValueError) as failure:
        return ok("clock", f"the time server {server} was not heard ({_reason(failure)}), so it says nothing about the clock")
    return judge(f"the time server {server}", offset, error)


def judge(who: str, offset: float, error: float) -> Diagnosis:
    """What it means that the clock is `offset` s ahead of another one, as it is known within `error` s."""
    proven = max(abs(offset) - error, 0.0)
    way = "ahead of" if offset > 0 else "behind"
    words = f"{abs(offset):.3f} s {way} {who} (known within {error:.3f} s)"
    if proven >= TOO_FAR:
        return wrong("clock", words, f"every ts_recv would be wrong by that; {SYNCHRONISE}")
    if proven >= WORTH_A_WORD:
        return warning("clock", words, SYNCHRONISE)
    return ok("clock", words)


def ntp_offset(host: str, port: int) -> tuple[float, float]:
    """Seconds by which this machine's clock is ahead of an NTP server's, and the error within which that is known. Raises OSError,
    ValueError for an answer that is none."""
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    cookie = secrets.randbits(64)
    with socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol) as asking:
        asking.settimeout(PATIENCE)
        asking.connect(place)
        sent = time.time()
        # The server gives the cookie back: what does not have it answers somebody else's question.
        asking.send(_PACKET.pack(0x23, 0, 0, 0, *[0] * 9, cookie >> 32, cookie & 0xFFFFFFFF))
        answer = asking.recv(512)
        received = time.time()
    if len(answer) < _PACKET.size:
        raise ValueError("its answer is too short")
    head, stratum, _, _, delay, dispersion, _, *stamps = _PACKET.unpack_from(answer)
    _, _, back_high, back_low, *times = stamps
    if head & 7 != 4 or (back_high << 32 | back_low) != cookie:
        raise ValueError("its answer is none to this question")
    if not 1 <= stratum <= 15 or head >> 6 == 3:
        raise ValueError("it does not know the time itself")
    heard, said = _seconds(times[0], times[1], received), _seconds(times[2], times[3], received)
    error = max((received - sent) - (said - heard), 0.0) / 2 + (delay / 2 + dispersion) / 65536
    return ((sent - heard) + (received - said)) / 2, error


def _seconds(whole: int, part: int, near: float) -> float:
    """A time of NTP, Unix seconds; of its eras, of 136 years each, the one near `near`."""
    found = whole - _NTP_EPOCH + part / 2**32
    return found + round((near - found) / 2**32) * 2**32


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    with suppress(ValueError):
        if colon and ":" not in host:
            return host, int(port)
    return text.strip("[]"), NTP_PORT


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {PATIENCE:.0f} s"
    if isinstance(error, socket.gaierror):
        return "no such host"
    return os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
