"""What an instance needs of a platform: an image, processor, memory and disk, and the time to drain.

Rule: one place for each figure, so that all platforms give the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xtrader.deploy.instance import Instance
from xtrader.errors import ConfigError

USER = 10001
"""Of the image: user and group."""
STOP_SECONDS = 45
"""From SIGTERM to SIGKILL: a writer has 40 s to finish."""
READY_SECONDS = 30
"""How long a new version must have been ready before the old one ends."""
PROCESSES = 256
HEALTH = ("xtrader", "healthcheck")
"""Whether it is alive: if not it is killed."""
READY = ("xtrader", "status")
"""Whether all that it was asked for is live: only then the old one ends."""
SECRETS = "/run/secrets"
"""Where secrets are files within a container."""
MIB = 2**20
LEAST_LIMIT = 1024
"""MiB: room for a catalogue of thousands of instruments, and for a sink that catches up."""
IMAGE = re.compile(
    r"(?P<name>[a-z0-9]+(?:[._-][a-z0-9]+)*(?::\d+)?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)+|[a-z0-9]+(?:[._-][a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
FARGATE = {256: (512, 1024, 2048), 512: (1024, 2048, 3072, 4096), 1024: tuple(range(2048, 8193, 1024))} | {
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
    8192: tuple(range(16384, 61441, 4096)),
    16384: tuple(range(32768, 122881, 8192)),
}
"""Processor units -> MiB that Fargate sells with them."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image's reference: its name without tag, the tag and the digest, either of which may be empty, not both."""

    name: str
    tag: str
    digest: str

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def image(text: str, option: str = "--image") -> Image:
    """The image of a reference such as registry/xtrader@sha256:…, given with an option. Raises ConfigError."""
    found = IMAGE.fullmatch(text)
    if not found:
        raise ConfigError(f"{option} '{text}' is not an image such as registry.example/xtrader@sha256:<64 hexadecimal digits>")
    if not found["digest"] and found["tag"] in (None, "latest"):
        raise ConfigError(f"{option} '{text}' names no version, so nobody could say what runs; give a tag or, better, a digest")
    return Image(found["name"], found["tag"] or "", found["digest"] or "")


@dataclass(frozen=True, slots=True)
class Needs:
    """Processor in thousandths of a core, memory and disk in MiB: usual, and the most."""

    cpu: int
    cpu_most: int
    memory: int
    memory_most: int
    disk: int


def needs(instance: Instance) -> Needs:
    """Measured (docs/performance.md): 123 MiB and 0.2 MiB an instrument for each recording process, twice that with two
    connections, and as much again for a sink; the most is twice the usual, and LEAST_LIMIT. Disk: the journal's limit, what must
    stay free, and as much again for files until they are finished."""
    settings = instance.settings
    instruments = len({one.key for one in instance.subscriptions})
    processes = settings.workers + len(settings.sinks) * settings.workers
    memory = _round(128 * processes + instruments * settings.connections * (1 + len(settings.sinks)) // 4, 64)
    cores = settings.workers + 1
    disk = settings.journal_max_bytes * (2 if settings.writes_files else 1) + settings.min_free_bytes
    most = max(LEAST_LIMIT, memory * 2)
    return Needs(250 * settings.workers, 1000 * cores, memory, most, _round(-(-disk // MIB), 1024))


def fargate(needed: Needs) -> tuple[int, int]:
    """The smallest pair of processor units and MiB that has the most memory needed. Raises ConfigError if none has."""
    for cpu, memories in FARGATE.items():
        for memory in memories:
            if cpu >= needed.cpu * 1024 // 1000 and memory >= needed.memory_most:
                return cpu, memory
    raise ConfigError(f"an instance that needs {needed.memory_most} MiB is too large for Fargate; part its subscriptions")


def refuse_fixed_collector(instance: Instance, platform: str) -> None:
    """Raise ConfigError for an instance whose old and new recorder would write files of the same names side by side."""
    if instance.settings.collector is not None and not instance.keeps_files:
        raise ConfigError(
            f"{instance.place('XTRADER_COLLECTOR_ID')} cannot be given to {platform}: when a version changes old and new run side "
            "by side there, and would both have that name; leave it away, then each makes its own"
        )


def _round(value: int, step: int) -> int:
    return -(-value // step) * step
