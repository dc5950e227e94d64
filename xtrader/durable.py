"""Files and directories that are there after a power cut.

The rule: what a function here has returned from is on the disk, names included. All raise OSError.
"""

from __future__ import annotations

import errno
import os
import zlib
from pathlib import Path
from typing import Final

_MARK: Final = b" crc32=%08x\n"
_MARK_BYTES: Final = len(_MARK % 0)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(directory: Path) -> None:
    """Make a directory and its parents, each durable in its parent."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    sync_directory(directory.parent)


def open_new(path: Path) -> int:
    """A descriptor to write to a file that is made now, in place of whatever was there, a symbolic link included: nothing is
    written through one."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)


def link_below(root: Path, path: Path) -> Path | None:
    """The first symbolic link on the way from `root` down to the relative `path`, relative too; None if there is none."""
    here = Path()
    for name in path.parts:
        here /= name
        if (root / here).is_symlink():
            return here
    return None


def refuse_links(root: Path, path: Path) -> None:
    """Raises OSError for a symbolic link on the way from `root` to the relative `path`: nothing is written through one."""
    link = link_below(root, path)
    if link is not None:
        raise OSError(errno.ELOOP, "is a symbolic link, and nothing of a recording is written through one", str(root / link))


def replace_file(path: Path, content: bytes, temporary_name: str = "") -> None:
    """Give a file new content in one step: the old or the new content is there at any instant, never a mixture. Processes that
    may do so at the same time must give different names for the file that takes its place."""
    temporary = path.with_name(temporary_name or f".{path.name}.tmp")
    descriptor = open_new(temporary)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    sync_directory(path.parent)


def keep_file(path: Path, content: bytes) -> None:
    """As `replace_file`, for the few bytes that no other file can replace: twice, with a checksum."""
    replace_file(path, content + b"\n" + content + _mark(content))


def kept_file(path: Path) -> bytes:
    """What `keep_file` put there, whichever one byte was damaged since. A file that was written otherwise, or is damaged more, is
    given back as it is: what reads it must be able to tell."""
    text = path.read_bytes()
    count, odd = divmod(len(text) - 1 - _MARK_BYTES, 2)
    if count < 0 or odd:
        return text
    first, second, mark = text[:count], text[count + 1 : 2 * count + 1], text[2 * count + 1 :]
    for content in (second, first):
        if mark == _mark(content):
            return content
    wrong = sum(one != other for one, other in zip(mark, _mark(first), strict=True))
    return first if first == second and wrong == 1 else text


def _mark(content: bytes) -> bytes:
    return _MARK % zlib.crc32(content)


def free_path(path: Path) -> Path:
    """The path, or one beside it that nobody has."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free
