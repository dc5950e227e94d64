"""The environments of the peers: one each below `bench/.envs`, with pinned versions, made once.

The rule: a peer whose Python is not on this machine, or that cannot be installed, is left out with a reason that is printed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENTS = Path(__file__).parent / ".envs"


class LeftOut(Exception):
    """Why a contender cannot run here."""


@dataclass(frozen=True)
class Peer:
    """A pinned package and the Python it runs on; `beside` is what its set-up needs as well."""

    package: str
    version: str
    python: str
    beside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.package.replace('_', '-')}-{self.version}"


CRYPTOFEED_3 = Peer("cryptofeed", "3.0.1", "3.13", ("pyarrow==26.0.1", "uvloop==0.23.0"))
CRYPTOFEED_2 = Peer("cryptofeed", "2.4.1", "3.11", ("pyarrow==26.0.1", "uvloop==0.23.0"))
NAUTILUS = Peer("nautilus_trader", "2.0.0rc7", "3.13")


def interpreter(version: str) -> str:
    """The Python of a version: XTRADER_BENCH_PYTHON313 (…311) or `python3.13` on the PATH. Raises LeftOut."""
    variable = f"XTRADER_BENCH_PYTHON{version.replace('.', '')}"
    here = sys.executable if sys.version_info[:2] == tuple(map(int, version.split("."))) else None
    for candidate in (os.environ.get(variable), here, shutil.which(f"python{version}")):
        if candidate and _version(candidate) == version:
            return candidate
    raise LeftOut(f"Python {version} is not on this machine: put python{version} on the PATH or its path into {variable}")


def _version(python: str) -> str:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def python_of(peer: Peer) -> str:
    """The Python of the peer's environment, which is made if it is not there. Raises LeftOut."""
    directory = ENVIRONMENTS / peer.name
    python = directory / "bin" / "python"
    if (directory / "complete").exists():
        return str(python)
    base = interpreter(peer.python)
    print(f"making {directory.relative_to(Path.cwd()) if directory.is_relative_to(Path.cwd()) else directory}", flush=True)
    wanted = [f"{peer.package}=={peer.version}", *peer.beside]
    for command in (
        [base, "-m", "venv", "--clear", str(directory)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LeftOut(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    (directory / "complete").touch()
    return str(python)


def installed(python: str) -> str:
    """Python's version and those of the packages in an environment, in one line."""
    code = (
        "import sys, importlib.metadata as m; print('Python', sys.version.split()[0] + ':', ', '.join(sorted("
        "f'{d.name} {d.version}' for d in m.distributions() if d.name.lower().replace('-', '_') in "
        "('cryptofeed', 'nautilus_trader', 'pyarrow', 'uvloop', 'websockets', 'order_book', 'msgspec', 'yapic.json', 'questdb'))))"
    )
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
