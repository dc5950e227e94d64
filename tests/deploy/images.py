"""Builds the image of this tree on one machine, without Docker and without a registry; `python -m tests.deploy.images` does it
before the tests ask for it.

The base is a stand-in: Debian's own bookworm with its Python 3.11, under the name of the Dockerfile's base. All is kept in a store
of its own below the temporary directory, and built anew only where what the image is made of has changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TREE = Path(__file__).parents[2]
STORE = Path(tempfile.gettempdir()) / "xtrader-images"
BASE = "docker.io/library/python:3.11-slim-bookworm"
MADE_OF = ("Dockerfile", ".dockerignore", "requirements.lock", "requirements-runtime.lock", "pyproject.toml", "README.md")
PROGRAMS = ("mmdebstrap", "buildah", "podman", "runc")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CONTAINERS = """
[containers]
netns = "host"
default_ulimits = ["nofile=8192:8192", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
BOOTED = """
FROM {image}
USER 0
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus >/dev/null \\
 && systemctl -q mask systemd-udevd systemd-networkd systemd-resolved systemd-timesyncd getty.target
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT []
# Shared, as systemd makes it on a machine; a container's root is not, and then no credentials arrive.
CMD ["/bin/sh", "-c", "mount --make-rshared / && exec /sbin/init"]
"""
"""The same with systemd as its first process."""


def lacking() -> str:
    """Why no image can be built and run here; empty if one can."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    if programs:
        return f"{', '.join(programs)} not installed (Debian, Ubuntu: apt install {' '.join(PROGRAMS)})"
    return "" if os.geteuid() == 0 else "containers are run as root here"


def forbidden() -> str:
    """Why the kernel lets no container run here, though all programs are there; empty if it lets. So it is inside of a container
    that was not given the right to make others."""
    with tempfile.TemporaryDirectory() as directory:
        below, above, work, joined = (Path(directory, name) for name in ("below", "above", "work", "joined"))
        for path in (below, above, work, joined):
            path.mkdir()
        layers = f"lowerdir={below},upperdir={above},workdir={work}"
        alone = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--mount-proc"]
        tried = subprocess.run(
            [*alone, "mount", "-t", "overlay", "overlay", "-o", layers, str(joined)], capture_output=True, text=True, check=False
        )
    groups = [path for path in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if path.is_dir()]
    if not groups or not os.access(groups[0], os.W_OK):
        return "this machine lets no control groups be made"
    return f"this machine lets no containers run: {tried.stderr.strip()}" if tried.returncode else ""


def podman(*arguments: str, check: bool = True, timeout: float = 120, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run podman on the store."""
    return _run("podman", *arguments, check=check, timeout=timeout, text=text)


def image() -> str:
    """The image of this tree, built if need be; its name."""
    name = f"localhost/xtrader:{_digest()}"
    with _alone():
        if podman("image", "exists", name, check=False).returncode:
            if podman("image", "exists", BASE, check=False).returncode:
                _make_base()
            _build(name, TREE)
    return name


def booted_image() -> str:
    """The same with systemd; its name."""
    found = image()
    name = found.replace("/xtrader:", "/xtrader-systemd:")
    with _alone():
        if podman("image", "exists", name, check=False).returncode:
            with tempfile.TemporaryDirectory() as directory:
                Path(directory, "Dockerfile").write_text(BOOTED.format(image=found))
                _build(name, Path(directory))
    return name


def relabelled(name: str, new: str) -> str:
    """Make an image of the same files with one more label; its name."""
    with _alone(), tempfile.TemporaryDirectory() as directory:
        Path(directory, "Dockerfile").write_text(f"FROM {name}\nLABEL changed=yes\n")
        _build(new, Path(directory))
    return new


def _make_base() -> None:
    with tempfile.TemporaryDirectory(dir=STORE) as directory:
        archive = str(Path(directory, "base.tar"))
        include = "--include=ca-certificates,python3,python3-venv,tzdata"
        quick = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
        _run("mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io", *quick, include, "bookworm", archive)
        container = _run("buildah", "from", "scratch").stdout.strip()
        _run("buildah", "add", "--quiet", container, archive, "/")
        _run("buildah", "run", "--isolation", "chroot", container, "ln", "-s", "/usr/bin/python3", "/usr/local/bin/python")
        _run("buildah", "commit", "--quiet", "--rm", "--format", "docker", container, BASE)


def _build(name: str, directory: Path) -> None:
    mounts = [f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"] if CERTIFICATES.exists() else []
    layers = f"--layers={'false' if os.environ.get('CI') == 'true' else 'true'}"
    build = ("buildah", "bud", "--quiet", layers, "--pull-never", "--format", "docker", "--isolation", "chroot")
    _run(*build, *mounts, "--tag", name, str(directory))


def _digest() -> str:
    """What the image is made of, as one word."""
    files = [TREE / name for name in MADE_OF]
    for directory in ("xtrader", "deploy/image"):
        files += sorted(path for path in (TREE / directory).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    found = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        found.update(f"{path.relative_to(TREE)} {len(content)} {path.stat().st_mode & 0o111}\n".encode() + content)
    return found.hexdigest()[:16]


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process builds."""
    STORE.mkdir(exist_ok=True)
    with (STORE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str, check: bool = True, timeout: float = 900, text: str | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, env=environment(), input=text, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {(done.stderr + done.stdout)[-2000:]}")
    return done


def environment() -> dict[str, str]:
    """That of this process, with a store and settings of their own for whatever makes and runs containers."""
    STORE.mkdir(exist_ok=True)
    settings = {
        "containers.conf": CONTAINERS,
        "storage.conf": f'[storage]\ndriver = "overlay"\ngraphroot = "{STORE}/graph"\nrunroot = "{STORE}/run"\n',
    }
    for name, text in settings.items():
        if not (STORE / name).exists():
            draft = STORE / f"{name}.{os.getpid()}"
            draft.write_text(text)
            draft.rename(STORE / name)
    own = {"CONTAINERS_CONF": str(STORE / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(STORE / "storage.conf")}
    return {**os.environ, **own}


if __name__ == "__main__":
    if reason := lacking() or forbidden():
        raise SystemExit(reason)
    booted_image()
